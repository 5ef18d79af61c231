# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Fine-tuning forgets nothing: the model it began with runs beside and says of every image what should stay as it was."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_iou

from tasktp_ros.reduction.tasktp import KEEP
from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.detection_losses import SampleCounts
from tasktp_ros.training.gate_losses import GateRecipe
from tasktp_ros.training.objectives import DetectionObjective, Losses, Outputs, outputs_of, proposals_of
from tasktp_ros.vision.boxes import STRIDES
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import PATCH

LABELLED_IOU = 0.4
"""What overlaps a labelled object more than this is the labels' business alone."""


@dataclass(frozen=True)
class Teacher:
    """The model that a fine-tuning begins with.

    Attributes:
        detector: never changes. Its categories are the first ones of the network that is trained, in the same order.
        kept: (C_old,) bool, the categories that shall stay as they are: those that the training has no labels for.
        weight: of all losses that keep things as they were.
    """

    detector: Detector
    kept: Tensor
    weight: float = 1.0


class TuningObjective(DetectionObjective):
    """Detection and gates as usual, and closeness to a teacher in everything that is not about the labelled categories.

    Batch norms keep their running statistics: a few hundred images of one place should not decide them.

    Args:
        teacher: with the same size and method.
    """

    def __init__(
        self, detector: Detector, num_classes: int, counts: SampleCounts, gates: GateRecipe, teacher: Teacher
    ) -> None:
        super().__init__(detector, num_classes, counts, gates)
        self._teacher = (teacher,)  # not a module of this one: it has no gradients and belongs into no checkpoint
        teacher.detector.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "TuningObjective":
        """As a module's, but for the batch norms."""
        super().train(mode)
        for module in self.detector.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def further_losses(self, batch: Batch, outputs: Outputs) -> Losses:
        """The losses that keep proposals, classes, boxes, and what gates say, as the teacher has them."""
        (teacher,) = self._teacher
        device = batch.images.device
        network, kept = teacher.detector.to(device), teacher.kept.to(device)
        with torch.no_grad():
            before = outputs_of(network, batch, *self._teachers_task(network, outputs.task, len(kept)))
            proposals = proposals_of(network, before, self.shapes(batch))
        losses = self._proposals_kept(batch, outputs, before)
        losses |= self._regions_kept(network, outputs, before, proposals, kept)
        if outputs.state.class_logits:
            losses |= gates_kept(outputs, before, kept)
        return {name: teacher.weight * value for name, value in losses.items()}

    def _teachers_task(self, network: Detector, task: Tensor | None, known: int) -> tuple:
        """The task as the teacher can follow it, and its state; where it knows nothing of it, it looks for everything."""
        reducer = network.backbone.reducer
        if reducer.task_aware and task is not None:
            task = task[:, :known]
            task = task | ~task.any(1, keepdim=True)
        state = reducer.begin(task)
        state.mask_only = bool(reducer.gated_blocks())
        state.reach = self.gates.reach if reducer.task_aware else "blocks"
        return task, state

    def _proposals_kept(self, batch: Batch, after: Outputs, before: Outputs) -> Losses:
        head = self.detector.rpn_head
        anchors = torch.cat(head.anchors(after.scores))
        counted = torch.stack([~_on_labelled(anchors, truth) for truth in batch.truths])
        for each in (after, before):
            if each.active is not None:
                counted &= head.anchors_of(each.active)
        new, old = _anchor_rows(after.scores, 1), _anchor_rows(before.scores, 1)
        likely = old[..., 0].sigmoid() * counted
        surprise = _binary_divergence(new[..., 0], old[..., 0]) * counted
        shift = (_anchor_rows(after.deltas, 4) - _anchor_rows(before.deltas, 4)).abs().sum(-1)
        objects = likely.sum().clamp(min=1.0)
        return {
            "loss_keep_objectness": surprise.sum() / objects,
            "loss_keep_proposals": (shift * likely).sum() / objects,
        }

    def _regions_kept(
        self, network: Detector, after: Outputs, before: Outputs, proposals: Sequence[Tensor], kept: Tensor
    ) -> Losses:
        if after.active is not None:
            tokens = after.active[STRIDES.index(PATCH)]
            proposals = [boxes[_centred_on(boxes, each)] for boxes, each in zip(proposals, tokens, strict=True)]
        head, size = self.detector.roi_head, self.detector.roi_head.config.box_size
        logits, boxes = head.bbox_head(head.pool(after.levels, proposals, size))
        with torch.no_grad():
            old_logits, old_boxes = network.roi_head.bbox_head(network.roi_head.pool(before.levels, proposals, size))
        likely = old_logits.float().softmax(-1)[:, :-1] * kept
        rows = len(kept)
        shift = (boxes.unflatten(1, (-1, 4))[:, :rows] - old_boxes.unflatten(1, (-1, 4))).float().abs().sum(-1)
        return {
            "loss_keep_class": divergence(_of_kept(logits, kept), _of_kept(old_logits, kept)).sum() / max(1, len(logits)),
            "loss_keep_bbox": (shift * likely).sum() / max(1, len(logits)),
        }  # fmt: skip


def gates_kept(after: Outputs, before: Outputs, kept: Tensor) -> Losses:
    """Categories of tokens, their pruning, and presence as the teacher's gates have them, averaged over gates.

    Args:
        kept: (C_old,) bool.
    """
    losses: dict[str, list[Tensor]] = {"loss_keep_tokens": [], "loss_keep_pruning": [], "loss_keep_presence": []}
    new, old, rows = after.state, before.state, len(kept)
    assert after.task is not None, "gates have a task"
    # Under a task that asks for something that is labelled, other tokens are to be kept than the teacher keeps.
    same = ~(after.task[:, rows:].any(1) | (after.task[:, :rows] & ~kept).any(1))
    for number, logits in enumerate(new.class_logits):
        losses["loss_keep_tokens"].append(
            divergence(_of_kept(logits, kept), _of_kept(old.class_logits[number], kept)).mean()
        )
        pruned = _binary_divergence(*(_kept_logit(each.keep_logits[number]) for each in (new, old)))
        losses["loss_keep_pruning"].append((pruned.mean(1) * same).sum() / same.sum().clamp(min=1))
    for logits, known in zip(new.presence, old.presence, strict=True):
        losses["loss_keep_presence"].append(_binary_divergence(logits[:, :rows], known)[:, kept].sum(1).mean())
    return {name: torch.stack(parts).mean() for name, parts in losses.items() if parts}


def divergence(logits: Tensor, known: Tensor) -> Tensor:
    """How far the probabilities of `logits` are from those of `known`, both (..., K): Kullback-Leibler, 0 where equal."""
    wanted = known.detach().log_softmax(-1)
    return (wanted.exp() * (wanted - logits.log_softmax(-1))).sum(-1)


def _binary_divergence(logits: Tensor, known: Tensor) -> Tensor:
    """As :func:`divergence`, for a logit of "yes"."""
    logits, known = logits.float(), known.detach().float()
    wanted = known.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(known, wanted, reduction="none")
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") - entropy


def _of_kept(logits: Tensor, kept: Tensor) -> Tensor:
    """The logits (..., K + 1) of the categories that shall stay, and of background, which is last in both vocabularies."""
    return torch.cat((logits[..., : len(kept)][..., kept], logits[..., -1:]), dim=-1).float()


def _kept_logit(logits: Tensor) -> Tensor:
    return logits[..., KEEP] - logits[..., 1 - KEEP]


def _anchor_rows(parts: Sequence[Tensor], width: int) -> Tensor:
    """What the proposal head gave per level (B, 3 width, h, w), as rows (B, A, width) in the order of the anchors."""
    return torch.cat([part.permute(0, 2, 3, 1).reshape(len(part), -1, width) for part in parts], dim=1).float()


def _on_labelled(boxes: Tensor, truth: Truth) -> Tensor:
    """(K,) bool, which boxes lie on a labelled object."""
    if not len(truth.boxes):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    return box_iou(boxes, truth.boxes).amax(1) > LABELLED_IOU


def _centred_on(boxes: Tensor, tokens: Tensor) -> Tensor:
    """(K,) bool, whose centre lies on a token of the map `tokens` (h, w) bool."""
    column, line = ((boxes[:, :2] + boxes[:, 2:]) / (2 * PATCH)).long().unbind(1)
    return tokens[line.clamp(0, tokens.shape[0] - 1), column.clamp(0, tokens.shape[1] - 1)]
