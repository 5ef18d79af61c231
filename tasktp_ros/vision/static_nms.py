# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Greedy non-maximum suppression in static shapes, for graphs that are captured once and replayed.

Whether a box survives depends only on better boxes: it does unless one that survives overlaps it. Starting from "all survive"
and applying that rule again and again, the best box is right after no round, and every round makes at least one more box of each
chain right for good. What no longer changes is the greedy result, since there is only one set that the rule leaves alone. The
number of rounds is fixed; a flag tells whether they were enough.
"""

import torch
from torch import Tensor


def greedy_nms(
    boxes: Tensor, valid: Tensor, iou: float, rounds: int, labels: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Suppress boxes that overlap a better one; the slow twin is torchvision's `nms` on each group.

    Args:
        boxes: (G, K, 4) float xyxy px, in each of the G groups best first.
        valid: (G, K) bool; other boxes neither survive nor suppress.
        iou: boxes overlapping a better one by more than this are suppressed.
        rounds: how often the rule is applied, at least 1.
        labels: (G, K) int64, boxes of different labels do not suppress each other; None = all of one label.

    Returns:
        survivors: (G, K) bool.
        settled: () bool; False where more rounds are needed, and the survivors are wrong.
    """
    overlaps = pairwise_iou(boxes) > iou
    if labels is not None:
        overlaps &= labels[:, :, None] == labels[:, None, :]
    counting = torch.float32 if boxes.device.type == "cpu" else torch.bfloat16
    suppresses = overlaps.triu_(1).to(counting)
    survivors = before = valid
    for _ in range(rounds):
        before = survivors
        suppressed = torch.bmm(before[:, None].to(counting), suppresses)[:, 0] > 0
        survivors = valid & ~suppressed
    return survivors, (survivors == before).all()


def pairwise_iou(boxes: Tensor) -> Tensor:
    """Intersection over union (G, K, K) of all pairs in each group of (G, K, 4) xyxy boxes, rounded as torchvision's `nms`
    does it; NaN for two boxes without area."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    intersection = (high - low).clamp(min=0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    return intersection / (area[:, :, None] + area[:, None, :] - intersection)
