# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Losses of the proposal, box and mask heads, as Mask R-CNN's (L_task of the TaskTP paper)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

from tasktp_ros.training.batch import Truth
from tasktp_ros.training.matching import IGNORED, NEGATIVE, PROPOSAL_RULE, REGION_RULE, draw, match
from tasktp_ros.vision.boxes import encode_boxes
from tasktp_ros.vision.heads import BOX_STDS, RoIHead, fold_irrelevant
from tasktp_ros.vision.image import PATCH

MASK_SIDE = 28


@dataclass(frozen=True)
class SampleCounts:
    """How many anchors and regions of each image are trained on; the defaults are mmdet's.

    Attributes:
        anchors, regions: most per image.
        masks: most objects per image whose mask is trained; None = all positive regions.
    """

    anchors: int = 256
    regions: int = 512
    masks: int | None = None


@dataclass
class Targets:
    """One image's objects split by what the task does with them.

    Attributes:
        truth: objects to be found.
        ignored: (I, 4) boxes that are neither object nor background.
        relevant: (C,) bool whose class scores stay; others are folded into background; None = all stay.
    """

    truth: Truth
    ignored: Tensor
    relevant: Tensor | None = None


def split_targets(truth: Truth, relevant: Tensor | None) -> Targets:
    """Crowds are ignored, and with a task set so are irrelevant objects (table 1b, row 19)."""
    wanted = ~truth.crowd
    if relevant is not None:
        wanted = wanted & relevant[truth.labels]
    return Targets(truth.select(wanted), truth.boxes[~wanted], relevant)


def proposal_losses(
    anchors: Tensor,
    scores: Sequence[Tensor],
    deltas: Sequence[Tensor],
    targets: Sequence[Targets],
    count: int,
    active: Tensor | None = None,
) -> dict[str, Tensor]:
    """Objectness (binary cross-entropy) and box (L1) losses on sampled anchors; of a partly labelled image on objects only.

    Args:
        anchors: (A, 4) float32 xyxy px of all levels.
        scores, deltas: per level (B, 3, h, w) and (B, 12, h, w) from `ProposalHead`.
        count: anchors per image, at most half of them objects.
        active: (B, A) bool, anchors that are computed when the network is used; others teach nothing. None = all.
    """
    logits = torch.cat([s.permute(0, 2, 3, 1).flatten(1) for s in scores], dim=1)
    shifts = torch.cat([d.permute(0, 2, 3, 1).reshape(len(d), -1, 4) for d in deltas], dim=1)
    classified, wanted, predicted, expected = [], [], [], []
    for image, target in enumerate(targets):
        assigned = match(anchors, target.truth.boxes, target.ignored, PROPOSAL_RULE)
        if target.truth.labelled is not None:  # what lies there may be an object that nobody labelled
            assigned = assigned.masked_fill(assigned == NEGATIVE, IGNORED)
        if active is not None:
            assigned = torch.where(active[image], assigned, IGNORED)
        positive, negative = draw(assigned, count, 0.5)
        chosen = torch.cat((positive, negative))
        classified.append(logits[image, chosen])
        wanted.append((assigned[chosen] >= 0).float())
        predicted.append(shifts[image, positive])
        expected.append(encode_boxes(anchors[positive], target.truth.boxes[assigned[positive]]))
    total = max(1, sum(len(part) for part in wanted))
    objectness = F.binary_cross_entropy_with_logits(torch.cat(classified).float(), torch.cat(wanted), reduction="sum")
    boxes = F.l1_loss(torch.cat(predicted).float(), torch.cat(expected), reduction="sum")
    return {"loss_rpn_cls": objectness / total, "loss_rpn_bbox": boxes / total}


@dataclass
class Regions:
    """Regions of one image drawn for training: positives first.

    Attributes:
        boxes: (K, 4) xyxy px.
        labels: (K,) int64 in [0, C]; C is background.
        objects: (P,) int64: object of each positive.
    """

    boxes: Tensor
    labels: Tensor
    objects: Tensor


def draw_regions(
    proposals: Tensor, target: Targets, count: int, num_classes: int, active: Tensor | None = None
) -> Regions:
    """A quarter objects, the rest background; the objects' own boxes are proposals too.

    Args:
        active: (h, w) bool, tokens around which the network works; regions centred elsewhere teach nothing. None = all.
    """
    candidates = torch.cat((target.truth.boxes, proposals))
    assigned = match(candidates, target.truth.boxes, target.ignored, REGION_RULE)
    if active is not None:
        column, line = ((candidates[:, :2] + candidates[:, 2:]) / (2 * PATCH)).long().unbind(1)
        seen = active[line.clamp(0, active.shape[0] - 1), column.clamp(0, active.shape[1] - 1)]
        assigned = torch.where(seen, assigned, IGNORED)
    positive, negative = draw(assigned, count, 0.25)
    objects = assigned[positive]
    labels = torch.cat((target.truth.labels[objects], objects.new_full((len(negative),), num_classes)))
    return Regions(candidates[torch.cat((positive, negative))], labels, objects)


def region_losses(
    head: RoIHead,
    levels: Sequence[Tensor],
    proposals: Sequence[Tensor],
    targets: Sequence[Targets],
    counts: SampleCounts,
    active: Tensor | None = None,
) -> dict[str, Tensor]:
    """Class (cross-entropy), box (L1) and mask (binary cross-entropy) losses on drawn regions.

    Background of a partly labelled image may be of an unlabelled category: -log(p of background + sum of p of those).
    Only objects with a known outline have a mask loss.

    active: (B, h, w) bool, see :func:`draw_regions`.
    """
    tokens = [None] * len(targets) if active is None else list(active)
    drawn = [
        draw_regions(boxes, target, counts.regions, head.num_classes, seen)
        for boxes, target, seen in zip(proposals, targets, tokens, strict=True)
    ]
    logits, deltas = head.bbox_head(head.pool(levels, [regions.boxes for regions in drawn], head.config.box_size))
    parts = logits.float().split([len(regions.boxes) for regions in drawn])
    logits = torch.cat([_folded(*each) for each in zip(parts, targets, drawn, strict=True)])
    labels = torch.cat([regions.labels for regions in drawn])
    losses = {"loss_cls": F.cross_entropy(logits, labels, reduction="sum") / max(1, len(labels))}

    positive = (labels < head.num_classes).nonzero()[:, 0]
    predicted = deltas.view(len(deltas), head.num_classes, 4)[positive, labels[positive]].float()
    expected = [
        encode_boxes(regions.boxes[: len(regions.objects)], target.truth.boxes[regions.objects], BOX_STDS)
        for regions, target in zip(drawn, targets, strict=True)
    ]
    losses["loss_bbox"] = F.l1_loss(predicted, torch.cat(expected), reduction="sum") / max(1, len(labels))
    losses["loss_mask"] = _mask_loss(head, levels, drawn, targets, counts.masks)
    return losses


def _folded(logits: Tensor, target: Targets, drawn: Regions) -> Tensor:
    """Class logits (K, C + 1) whose background holds irrelevant categories, and for regions of background the unlabelled."""
    labelled, relevant = target.truth.labelled, target.relevant
    if labelled is None:
        return fold_irrelevant(logits, relevant)
    stays = torch.ones_like(labelled) if relevant is None else relevant
    stays = stays.expand(len(logits), -1).clone()
    stays[len(drawn.objects) :] &= labelled
    return fold_irrelevant(logits, stays)


def _mask_loss(
    head: RoIHead, levels: Sequence[Tensor], drawn: Sequence[Regions], targets: Sequence[Targets], most: int | None
) -> Tensor:
    chosen = [_with_mask(regions, target, most) for regions, target in zip(drawn, targets, strict=True)]
    boxes = [regions.boxes[: len(regions.objects)][rows] for regions, rows in zip(drawn, chosen, strict=True)]
    labels = torch.cat(
        [regions.labels[: len(regions.objects)][rows] for regions, rows in zip(drawn, chosen, strict=True)]
    )
    if len(labels) == 0:
        return sum((parameter.sum() * 0.0 for parameter in head.mask_head.parameters()), start=levels[0].sum() * 0.0)
    logits = head.mask_head.of_class(head.pool(levels, boxes, head.config.mask_size), labels).float()
    wanted = [
        crop_masks(target.truth.masks, regions.objects[rows], box)
        for target, regions, rows, box in zip(targets, drawn, chosen, boxes, strict=True)
    ]
    return F.binary_cross_entropy_with_logits(logits, torch.cat(wanted))


def _with_mask(regions: Regions, target: Targets, most: int | None) -> Tensor:
    """At most `most` random positives whose object has a known outline: index vector."""
    objects, outlined = regions.objects, target.truth.has_mask
    order = torch.randperm(len(objects), device=objects.device)
    if outlined is not None:
        order = order[outlined[objects[order]]]
    return order[:most]


def crop_masks(masks: Tensor, objects: Tensor, boxes: Tensor) -> Tensor:
    """What masks (M, H, W) bool show inside boxes (K, 4) of `objects` (K,): (K, 28, 28) float32, 0 or 1."""
    rows = torch.cat((torch.arange(len(objects), device=boxes.device, dtype=boxes.dtype)[:, None], boxes), dim=1)
    crops = roi_align(masks[objects, None].float(), rows, MASK_SIDE, 1.0, sampling_ratio=0, aligned=True)
    return (crops[:, 0] >= 0.5).float()
