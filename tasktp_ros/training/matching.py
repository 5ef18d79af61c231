# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which anchors and regions are which objects: the assignment and sampling rules of Mask R-CNN as mmdet 2.x has them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou

IGNORED, NEGATIVE = -2, -1


@dataclass(frozen=True)
class MatchRule:
    """IoU limits.

    Attributes:
        positive, negative: a box with at least / less than this IoU is an object / background; between: ignored.
        rescue: every object also gets its best boxes if they reach this IoU; None = no such rule.
        ignore_share: a box with more than this share of its area in an ignored region is ignored.
    """

    positive: float
    negative: float
    rescue: float | None
    ignore_share: float = 0.3


PROPOSAL_RULE = MatchRule(positive=0.7, negative=0.3, rescue=0.3)
REGION_RULE = MatchRule(positive=0.5, negative=0.5, rescue=None)


def match(boxes: Tensor, objects: Tensor, ignored: Tensor, rule: MatchRule) -> Tensor:
    """Assign every box to an object.

    Args:
        boxes: (K, 4) xyxy px.
        objects: (M, 4) xyxy px.
        ignored: (I, 4) xyxy px: crowds, and irrelevant objects where those are neither object nor background.

    Returns:
        (K,) int64: index of the object, NEGATIVE or IGNORED.
    """
    assigned = torch.full((len(boxes),), NEGATIVE, dtype=torch.int64, device=boxes.device)
    if len(objects):
        overlaps = box_iou(boxes, objects)
        best, index = overlaps.max(1)
        assigned = torch.where(best >= rule.negative, torch.full_like(index, IGNORED), assigned)
        assigned = torch.where(best >= rule.positive, index, assigned)
        if rule.rescue is not None:
            highest = overlaps.max(0).values
            rescued = (overlaps == highest) & (highest >= rule.rescue)
            # Of several objects that claim one box the last gets it, as in mmdet.
            last = len(objects) - 1 - rescued.flip(1).to(torch.uint8).argmax(1)
            assigned = torch.where(rescued.any(1), last, assigned)
    if len(ignored):
        inside = (shared_area(boxes, ignored) / box_area(boxes).clamp(min=1e-6)[:, None]).amax(1)
        assigned = assigned.masked_fill(inside > rule.ignore_share, IGNORED)
    return assigned


def shared_area(boxes: Tensor, others: Tensor) -> Tensor:
    """Areas (K, M) of the intersections of two sets of boxes, px^2."""
    low = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return (high - low).clamp(min=0).prod(-1)


def draw(assigned: Tensor, count: int, positive_share: float) -> tuple[Tensor, Tensor]:
    """Random positives (at most `count * positive_share`) and negatives that fill up to `count`: two index vectors."""
    positives = _some((assigned >= 0).nonzero()[:, 0], int(count * positive_share))
    negatives = _some((assigned == NEGATIVE).nonzero()[:, 0], count - len(positives))
    return positives, negatives


def _some(index: Tensor, count: int) -> Tensor:
    if len(index) <= count:
        return index
    return index[torch.randperm(len(index), device=index.device)[:count]]
