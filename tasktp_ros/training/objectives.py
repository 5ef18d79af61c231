# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a stage of training asks of the network: three modules that turn a batch into named losses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.detection_losses import SampleCounts, proposal_losses, region_losses, split_targets
from tasktp_ros.training.gate_losses import (
    ClassBalance,
    GateRecipe,
    even_cross_entropy,
    gate_losses,
    presence_loss,
)
from tasktp_ros.training.labels import (
    centre_token_labels,
    corner_relevance,
    covered_by_relevant,
    front_token_labels,
    pixel_labels,
    token_labels,
)
from tasktp_ros.training.partly_labelled import fold_unlabelled, labelled_of
from tasktp_ros.training.task_sampling import draw_tasks
from tasktp_ros.training.vltp_losses import goal_masks, prune_map_loss
from tasktp_ros.vision.boxes import STRIDES
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import PATCH
from tasktp_ros.vision.reducer import ReductionState

Losses = dict[str, Tensor]


class Objective(nn.Module):
    """Base: holds the detector and what the losses need; `forward(batch)` gives the losses to be added up.

    Attributes:
        trained_parts: names of the detector's parts that a stage with this objective trains.
    """

    trained_parts: tuple[str, ...] = ("backbone", "neck", "rpn_head", "roi_head")

    def __init__(self, detector: Detector, num_classes: int, counts: SampleCounts) -> None:
        super().__init__()
        self.detector = detector
        self.num_classes = num_classes
        self.counts = counts

    def shapes(self, batch: Batch) -> list[tuple[int, int]]:
        """Content sizes for the heads: the whole image, since training images have no padding of their own."""
        height, width = batch.images.shape[1:3]
        return [(height, width)] * len(batch.images)


class LabelObjective(Objective):
    """Cheap start from scratch: the category of every pyramid cell and token, and proposals; no regions.

    The heads on the pyramid and the tokens belong to this stage only.
    """

    trained_parts = ("backbone", "neck", "rpn_head")

    def __init__(self, detector: Detector, num_classes: int, counts: SampleCounts) -> None:
        super().__init__(detector, num_classes, counts)
        self.cell_classes = nn.Conv2d(detector.neck.channels, num_classes + 1, 1)

    def forward(self, batch: Batch) -> Losses:
        """Losses of one batch."""
        maps = self.detector.backbone.run(batch.normalised(), self.detector.backbone.reducer.begin())
        levels = self.detector.neck.on_maps(cast(Sequence[Tensor], maps))
        targets = [split_targets(truth, None) for truth in batch.truths]
        scores, deltas = self.detector.rpn_head(levels)
        anchors = torch.cat(self.detector.rpn_head.anchors(scores))
        losses = proposal_losses(anchors, scores, deltas, targets, self.counts.anchors)
        labelled = labelled_of(batch.truths, self.num_classes)
        for level, stride in list(zip(levels, STRIDES, strict=True))[:4]:
            labels = pixel_labels(batch.truths, self.num_classes, stride)
            logits = self.cell_classes(level).float()
            if labelled is not None:
                labels = labels.flatten(1)
                logits = fold_unlabelled(logits.flatten(2).mT, labels, labelled).mT
            losses[f"loss_cells_{stride}"] = 0.25 * even_cross_entropy(logits, labels)
        return losses


@dataclass
class Outputs:
    """What a detector said of a batch on its way to the losses.

    Attributes:
        task: (B, C) bool; None for methods that know no task.
        state: what gates left.
        active: see `Detector.worked_on`.
        levels: five maps (B, channels, h, w).
        scores, deltas: of `ProposalHead`.
    """

    task: Tensor | None
    state: ReductionState
    active: Sequence[Tensor] | None
    levels: Sequence[Tensor]
    scores: Sequence[Tensor]
    deltas: Sequence[Tensor]


class DetectionObjective(Objective):
    """The whole detector (L_task), and the losses of its gates where it has any: the total of equation 11."""

    def __init__(self, detector: Detector, num_classes: int, counts: SampleCounts, gates: GateRecipe) -> None:
        super().__init__(detector, num_classes, counts)
        self.gates = gates
        self.balance = ClassBalance(num_classes)

    def forward(self, batch: Batch) -> Losses:
        """Losses of one batch."""
        reducer = self.detector.backbone.reducer
        task = self._draw_tasks(batch)
        state = reducer.training_state(task, self.gates)
        outputs = outputs_of(self.detector, batch, task, state)
        folds = task if task is not None and self.gates.ignore_irrelevant else None
        losses = self._task_losses(batch, outputs, folds)
        losses |= reducer.losses(state, BatchLesson(batch.truths, task, self.num_classes, self.balance, self.gates))
        if state.masks:
            losses["kept"] = torch.stack([mask.detach().float().mean() for mask in state.masks]).mean()
        return losses | self.further_losses(batch, outputs)

    def further_losses(self, batch: Batch, outputs: Outputs) -> Losses:
        """What another objective adds to these losses."""
        return {}

    def _draw_tasks(self, batch: Batch) -> Tensor | None:
        if not self.detector.backbone.reducer.task_aware:
            return None
        labels = [truth.labels for truth in batch.truths]
        return draw_tasks(labels, self.num_classes, self.gates.set_sizes)

    def _task_losses(self, batch: Batch, outputs: Outputs, folds: Tensor | None) -> Losses:
        active, scores, deltas = outputs.active, outputs.scores, outputs.deltas
        rows = [None] * len(batch.truths) if folds is None else list(folds)
        targets = [split_targets(truth, row) for truth, row in zip(batch.truths, rows, strict=True)]
        anchors = torch.cat(self.detector.rpn_head.anchors(scores))
        computed = None if active is None else self.detector.rpn_head.anchors_of(active)
        losses = proposal_losses(anchors, scores, deltas, targets, self.counts.anchors, computed)
        proposals = proposals_of(self.detector, outputs, self.shapes(batch))
        tokens = None if active is None else active[STRIDES.index(PATCH)]
        return losses | region_losses(self.detector.roi_head, outputs.levels, proposals, targets, self.counts, tokens)


class GateObjective(Objective):
    """Gates for a finished detector: only the gates learn, from token labels, and decide as they will when they are used.

    Nothing outside the gates needs a gradient, so a step costs one forward pass of the backbone.
    """

    def __init__(self, detector: Detector, num_classes: int, counts: SampleCounts, gates: GateRecipe) -> None:
        super().__init__(detector, num_classes, counts)
        self.gates = gates
        self.balance = ClassBalance(num_classes)
        self.trained_parts = gate_parts(detector)

    def train(self, mode: bool = True) -> "GateObjective":
        """Statistics of the frozen detector's norms stay as they are."""
        super().train(mode)
        self.detector.eval()
        return self

    def forward(self, batch: Batch) -> Losses:
        """Losses of one batch."""
        labels = [truth.labels for truth in batch.truths]
        task = draw_tasks(labels, self.num_classes, self.gates.set_sizes)
        reducer = self.detector.backbone.reducer
        state = reducer.begin(task)
        self.detector.backbone.run(batch.normalised(), state)
        losses = reducer.losses(state, BatchLesson(batch.truths, task, self.num_classes, self.balance, self.gates))
        losses["kept"] = torch.stack([keep.float().mean() for keep in state.keep]).mean()
        return losses


@dataclass
class BatchLesson:
    """What a method may learn from of a batch (`vision.lesson.Lesson`).

    Attributes:
        task: (B, C) bool; None for methods that know no task.
    """

    truths: Sequence[Truth]
    task: Tensor | None
    num_classes: int
    balance: ClassBalance
    gates: GateRecipe

    def token_labels(self) -> Tensor:
        return torch.stack([token_labels(truth, self.num_classes) for truth in self.truths])

    def gate_losses(self, state: ReductionState, early_rule: bool | None = None) -> Losses:
        gates = self.gates if early_rule is None else replace(self.gates, early_rule=early_rule)
        return token_losses(self.truths, state, cast(Tensor, self.task), self.balance, gates)

    def presence_losses(self, state: ReductionState) -> Losses:
        return {"loss_presence": presence_loss(state.presence, self.truths)} if state.presence else {}

    def prune_map_losses(self, state: ReductionState) -> Losses:
        wanted = goal_masks(self.truths, cast(Tensor, self.task))
        return {"loss_prune": prune_map_loss(state.scores, wanted)}


def gate_parts(detector: Detector) -> tuple[str, ...]:
    """Names of the detector's parts that only its method of token reduction has."""
    return tuple(f"backbone.{name}" for name in detector.backbone.reducer.learned_names())


def outputs_of(detector: Detector, batch: Batch, task: Tensor | None, state: ReductionState) -> Outputs:
    """Run a detector as far as its proposals' logits, on whole maps; `state` from its reducer's `begin(task)`."""
    maps = cast(Sequence[Tensor], detector.backbone.run(batch.normalised(), state))
    active = detector.worked_on((batch.images.shape[1], batch.images.shape[2]), state)
    levels = detector.neck.on_maps(maps, active)
    return Outputs(task, state, active, levels, *detector.rpn_head(levels))


@torch.no_grad()
def proposals_of(detector: Detector, outputs: Outputs, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Proposals (P, 4) float32 xyxy px of each image, where the network works; `shapes` as for `ProposalHead.select`."""
    scores = outputs.scores
    if outputs.active is not None:
        scores = detector.rpn_head.only(scores, outputs.active)
    return detector.rpn_head.select(scores, outputs.deltas, shapes)


def token_losses(
    truths: Sequence[Truth], state: ReductionState, task: Tensor, balance: ClassBalance, gates: GateRecipe
) -> Losses:
    """Category and pruning losses of the gates from what they left in `state`."""
    num_classes = task.shape[1]
    if gates.published_labels:
        labels = torch.stack([centre_token_labels(truth, num_classes) for truth in truths])
        on_relevant = torch.stack([corner_relevance(truth, row) for truth, row in zip(truths, task, strict=True)])
    elif gates.least_cover is not None:
        cover = gates.least_cover
        labels = torch.stack([front_token_labels(truth, num_classes, cover) for truth in truths])
        on_relevant = torch.stack(
            [covered_by_relevant(truth, row, cover) for truth, row in zip(truths, task, strict=True)]
        )
    else:
        labels = torch.stack([token_labels(truth, num_classes) for truth in truths])
        on_relevant = F.pad(task, (0, 1)).gather(1, labels.clamp(min=0))
    labelled = labelled_of(truths, num_classes)
    return gate_losses(
        state.class_logits, state.keep_logits, labels, on_relevant, task, balance(labels), gates, labelled
    )
