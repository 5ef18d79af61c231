# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a stage of a segmenter's training asks of it: three modules that turn a batch into named losses."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.segmenters import GoalSegmenter, stages_of
from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.gate_losses import even_cross_entropy
from tasktp_ros.training.labels import pixel_labels
from tasktp_ros.training.pruner_lessons import lesson_of
from tasktp_ros.training.recipes import Stage
from tasktp_ros.training.task_sampling import draw_tasks
from tasktp_ros.training.vltp_losses import goal_masks, overlap_loss, patch_target, prune_map_loss
from tasktp_ros.vision.image import PATCH
from tasktp_ros.vision.sam_encoder import CHANNELS

GOAL_SIZES = (1, 2, 4)
"""Numbers of categories that goals are drawn with."""
GOALS = 4
"""Goals per image where the encoder runs without pruning, so that its features serve them all."""
Losses = dict[str, Tensor]


class SegmentObjective(nn.Module):
    """Base: holds the segmenter; `forward(batch)` gives the losses to be added up.

    Attributes:
        trained_parts: names of the segmenter's parts that a stage with this objective trains.
    """

    trained_parts: tuple[str, ...] = (
        "network.image_encoder",
        "network.mask_decoder",
        "network.prompt_encoder",
        "guidance",
    )

    def __init__(self, segmenter: GoalSegmenter, num_classes: int, stage: Stage) -> None:
        super().__init__()
        self.segmenter, self.num_classes, self.stage = segmenter, num_classes, stage

    def draw(self, truths: Sequence[Truth]) -> tuple[Tensor, Tensor]:
        """A goal for each image: task sets (B, C) bool, and the masks (B, H, W) bool of all objects that serve them.

        What is not labelled on an image is not asked for there.
        """
        tasks = draw_tasks([truth.labels for truth in truths], self.num_classes, GOAL_SIZES)
        for row, truth in zip(tasks, truths, strict=True):
            if truth.labelled is not None and truth.labelled.any():
                row &= truth.labelled
                if not row.any():
                    row[truth.labelled.nonzero()[0]] = True
        return tasks, goal_masks(truths, tasks)


class TokenLabelObjective(SegmentObjective):
    """Cheap start from scratch: the category of every cell of the features. Its head belongs to this stage only."""

    trained_parts = ("network.image_encoder",)

    def __init__(self, segmenter: GoalSegmenter, num_classes: int, stage: Stage) -> None:
        super().__init__(segmenter, num_classes, stage)
        self.cell_classes = nn.Conv2d(CHANNELS, num_classes + 1, 1)

    def forward(self, batch: Batch) -> Losses:
        """Losses of one batch."""
        features = self.segmenter.network.image_encoder(batch.normalised())
        labels = pixel_labels(batch.truths, self.num_classes, PATCH)
        return {"loss_cells": even_cross_entropy(self.cell_classes(features).float(), labels)}


class MaskObjective(SegmentObjective):
    """Encoder, mask decoder and table without pruning: L_X of equation (12), for several goals per image."""

    def forward(self, batch: Batch) -> Losses:
        """Losses of one batch."""
        network = self.segmenter.network
        features = network.image_encoder(batch.normalised())
        losses = []
        for _ in range(GOALS):
            tasks, masks = self.draw(batch.truths)
            logits, _ = network.decode(features, self.segmenter.guidance(tasks))
            losses.append(overlap_loss(enlarged(logits, masks), masks))
        return {"loss_mask": torch.stack(losses).mean()}


class PruneObjective(SegmentObjective):
    """Equation (12) with the encoder frozen: masks and prune maps, pruned while training as it will be when used.

    The masks' loss reaches the mask decoder alone, and the prune maps' loss the prune decoder alone: which tokens are kept
    is decided by their order, which has no gradient.
    """

    trained_parts = ("network.prune_head", "network.mask_decoder")

    def forward(self, batch: Batch) -> Losses:
        """Losses of one batch."""
        tasks, masks = self.draw(batch.truths)
        found = self.segmenter(batch.normalised(), tasks, stages_of(self.stage.prune))
        wanted = patch_target(masks) > 0
        right = [((scores > 0) == wanted).float().mean() for scores in found.encoding.scores]
        return {
            "loss_mask": overlap_loss(enlarged(found.logits, masks), masks),
            "loss_prune": prune_map_loss(found.encoding.scores, masks),
            "patches_right": torch.stack(right).mean().detach(),
        }


class PeerObjective(SegmentObjective):
    """Another way to prune around a frozen encoder: masks as it will leave them, and what its own head learns.

    The masks' loss reaches the head where the method has it so (SViT's gates).
    """

    trained_parts = ("pruner", "network.mask_decoder")

    def forward(self, batch: Batch) -> Losses:
        """Losses of one batch."""
        network, pruner = self.segmenter.network, self.segmenter.pruner
        assert pruner is not None, "trained without a pruner to train"
        tasks, masks = self.draw(batch.truths)
        stages = stages_of(self.stage.prune)
        features, losses = lesson_of(pruner, network.image_encoder, batch, stages, self.num_classes)
        logits, _ = network.decode(features, self.segmenter.guidance(tasks))
        return {"loss_mask": overlap_loss(enlarged(logits, masks), masks)} | losses


def enlarged(logits: Tensor, masks: Tensor) -> Tensor:
    """Mask logits (B, h, w) at the size of masks (B, H, W), as they will be used."""
    size = (masks.shape[1], masks.shape[2])
    return F.interpolate(logits[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0]


OBJECTIVES: dict[str, type[SegmentObjective]] = {
    "cells": TokenLabelObjective,
    "masks": MaskObjective,
    "prune": PruneObjective,
    "peer": PeerObjective,
}
