# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Proposals, boxes and masks in static shapes: slots that may stay empty, and flags where slots or rounds were not enough.

The modules and their weights are those of `proposals` and `heads`; only what is chosen from their outputs is chosen here without
lists whose length the host would have to wait for. A frame is given one image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

from tasktp_ros.vision.boxes import decode_boxes
from tasktp_ros.vision.heads import BOX_STDS, RoIHead
from tasktp_ros.vision.order import kept_first
from tasktp_ros.vision.proposals import ProposalHead
from tasktp_ros.vision.roi_align import ROI_STRIDES, pool_fixed, roi_levels
from tasktp_ros.vision.static_nms import greedy_nms

PROPOSAL_ROUNDS = 24
BOX_ROUNDS = 24
CANDIDATES = 1024
"""(region, class) pairs that go into the suppression of boxes."""


@dataclass(frozen=True)
class Proposals:
    """Proposals of one image, best first.

    Attributes:
        boxes: (P, 4) float32 xyxy px of the input; empty slots hold no box of use.
        exists: (P,) bool, False for empty slots, which come last.
        settled: () bool, False where the suppression needs more rounds.
    """

    boxes: Tensor
    exists: Tensor
    settled: Tensor


@dataclass(frozen=True)
class Found:
    """Detections of one image, best first, in slots.

    Attributes:
        boxes: (S, 4) float32 xyxy px of the input.
        scores: (S,) float32.
        labels: (S,) int64.
        count: () int64, slots that hold a detection; the others mean nothing.
        complete: () bool, False where there were more candidates than slots for them, or the suppression needs more rounds.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    count: Tensor
    complete: Tensor


def propose(
    head: ProposalHead,
    levels: Sequence[Tensor],
    image_shape: tuple[int, int],
    active: Sequence[Tensor] | None = None,
    rounds: int = PROPOSAL_ROUNDS,
) -> Proposals:
    """As `ProposalHead.propose` on one image.

    Args:
        levels: five maps (1, channels, h, w), strides 4 to 64.
        image_shape: (height, width) px of the content without padding.
        active: per level the cells (1, h, w) bool to propose from, of which there are then fewer proposals; None = all.
        rounds: of the suppression.
    """
    scores, deltas = head(levels)
    per_level, total = head.config.per_level, head.config.total
    if active is not None:
        scores = head.only(scores, active)
    ranked, boxes = [], []
    for score, delta, anchors in zip(scores, deltas, head.anchors(scores), strict=True):
        flat = score[0].permute(1, 2, 0).reshape(-1).float()
        top, index = flat.topk(min(per_level, flat.numel()))
        placed = decode_boxes(
            anchors.index_select(0, index),
            delta[0].permute(1, 2, 0).reshape(-1, 4).index_select(0, index).float(),
            image_shape,
        )
        ranked.append(F.pad(top, (0, per_level - len(top)), value=float("-inf")))
        boxes.append(F.pad(placed, (0, 0, 0, per_level - len(top))))
    together, placed = torch.stack(ranked), torch.stack(boxes)
    valid = (placed[..., 2:] > placed[..., :2]).all(-1) & together.isfinite()
    if active is not None:
        valid &= _first(per_level, active, head)
    survivors, settled = greedy_nms(placed, valid, head.config.nms_iou, rounds)
    best, index = together.masked_fill(~survivors, float("-inf")).flatten().topk(min(total, together.numel()))
    exists = best > float("-inf")
    if active is not None:
        exists &= _first(total, active, head)[: len(exists)]
    return Proposals(placed.flatten(0, 1).index_select(0, index), exists, settled)


def _first(number: int, active: Sequence[Tensor], head: ProposalHead) -> Tensor:
    """Which of the `number` best count where only these cells are worked on: (number,) bool, as `ProposalConfig.of_share`."""
    cells = torch.stack([level.sum() for level in active]).sum()
    share = cells.double() / sum(level.numel() for level in active)
    most = (share * number).ceil().clamp(min=min(head.config.least, number))
    return torch.arange(number, device=most.device) < most


def find(
    head: RoIHead,
    levels: Sequence[Tensor],
    proposals: Proposals,
    image_shape: tuple[int, int],
    relevant: Tensor,
    score_threshold: Tensor,
    slots: int,
    rounds: int = BOX_ROUNDS,
) -> Found:
    """As `RoIHead.boxes` on one image, into `slots` slots.

    Args:
        relevant: (C,) bool.
        score_threshold: () float, detections score more than this, 0..1.
        rounds: of the suppression.
    """
    logits, deltas = head.bbox_head(pool(head, levels, proposals.boxes, head.config.box_size))
    probabilities = logits.float().softmax(-1)[:, :-1] * (proposals.exists[:, None] & relevant)
    scores, index = probabilities.flatten().topk(min(CANDIDATES, probabilities.numel()))
    region, label = index // head.num_classes, index % head.num_classes
    chosen = deltas.view(-1, 4).index_select(0, index).float()
    boxes = decode_boxes(proposals.boxes.index_select(0, region), chosen, image_shape, BOX_STDS)
    valid = scores > score_threshold
    survivors, settled = greedy_nms(boxes[None], valid[None], head.config.nms_iou, rounds, label[None])
    best = kept_first(survivors)[0, :slots]
    found = [part.index_select(0, best) for part in (boxes, scores, label)]
    missing = slots - len(best)
    complete = settled & ((probabilities > score_threshold).sum() <= len(scores))
    return Found(
        F.pad(found[0], (0, 0, 0, missing)),
        F.pad(found[1], (0, missing)),
        F.pad(found[2], (0, missing)),
        survivors.sum().clamp(max=slots),
        complete & proposals.settled,
    )


def masks(head: RoIHead, levels: Sequence[Tensor], found: Found) -> Tensor:
    """Mask probabilities (S, 28, 28) float32 inside the box of every slot, also of the empty ones."""
    regions = pool(head, levels, found.boxes, head.config.mask_size)
    return head.mask_head.of_class(regions, found.labels).float().sigmoid()


def pool(head: RoIHead, levels: Sequence[Tensor], boxes: Tensor, size: int) -> Tensor:
    """As `RoIHead.pool` on one image: regions (K, channels, size, size) of (K, 4) boxes.

    Adaptive regions are read on every level, and on all but their own as regions without extent, which have no sample and
    come out as zero at nearly no cost.
    """
    image = boxes.new_zeros(len(boxes), 1)
    if head.config.samples:
        return pool_fixed(levels, boxes, image[:, 0].long(), size, head.config.samples, head.config.finest_scale)
    number = roi_levels(boxes, head.config.finest_scale)
    parts = []
    for level, stride in enumerate(ROI_STRIDES):
        features = levels[level].to(torch.promote_types(levels[level].dtype, torch.float32))
        rois = torch.cat((image, boxes * (number == level)[:, None]), dim=1).to(features.dtype)
        parts.append(roi_align(features, rois, size, 1.0 / stride, sampling_ratio=0, aligned=True))
    return (parts[0] + parts[1] + parts[2] + parts[3]).to(levels[0].dtype)
