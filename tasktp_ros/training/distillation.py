# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Detection as usual, and features and categories as a finished detector of another kind has them (`training.nanodet`).

The pyramid's levels are projected to the teacher's features, each channel standardised over the batch (as in PKD, arXiv 2207.02039:
networks of different kinds differ in scale), and to its logits of COCO's categories. Both projections belong to the training only.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.training.batch import Batch
from tasktp_ros.training.detection_losses import SampleCounts
from tasktp_ros.training.gate_losses import GateRecipe
from tasktp_ros.training.nanodet import CATEGORIES, NanoDet
from tasktp_ros.training.nanodet import STRIDES as TAUGHT
from tasktp_ros.training.objectives import DetectionObjective, Losses, Outputs
from tasktp_ros.vision.boxes import STRIDES
from tasktp_ros.vision.detector import Detector

RARE = -4.0
"""Logit of any category in a cell, at first."""
ALONE = 100
"""Steps in which the projections learn alone: what they ask of a network before they know anything undoes what it knows."""
WEIGHT = 1.0
"""Of both losses. Features begin near 1, what a constant gives."""


class DistilledObjective(DetectionObjective):
    """The losses of :class:`DetectionObjective`, and closeness to `teacher` on levels of strides 8, 16 and 32 where the network works."""

    steps: Tensor

    def __init__(
        self, detector: Detector, num_classes: int, counts: SampleCounts, gates: GateRecipe, teacher: NanoDet
    ) -> None:
        super().__init__(detector, num_classes, counts, gates)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._teacher = (teacher,)  # not a module of this one: it has no gradients and belongs into no checkpoint
        channels = detector.neck.channels
        self.to_features = nn.ModuleList(nn.Conv2d(channels, NanoDet.channels, 1) for _ in TAUGHT)
        self.to_categories = nn.ModuleList(nn.Conv2d(channels, CATEGORIES, 1) for _ in TAUGHT)
        for layer in self.to_categories:
            nn.init.constant_(cast(Tensor, layer.bias), RARE)

    def further_losses(self, batch: Batch, outputs: Outputs) -> Losses:
        """Mean squared distance of standardised features, and quality focal loss of the teacher's probabilities."""
        (teacher,) = self._teacher
        with torch.no_grad():
            taught = teacher.to(batch.images.device)(batch.normalised())
        alone = self.steps < ALONE
        self.steps += 1
        features, categories = [], []
        for number, (stride, (known, logits)) in enumerate(zip(TAUGHT, taught, strict=True)):
            place = STRIDES.index(stride)
            level = outputs.levels[place].detach() if alone else outputs.levels[place]
            shown = level.new_ones(len(level), *level.shape[2:]) if outputs.active is None else outputs.active[place]
            shown = shown[:, None].float()
            apart = (self.to_features[number](level).float() - standardised(known.float())).square().mean(1, True)
            features.append((apart * shown).sum() / shown.sum().clamp(min=1.0))
            categories.append(quality_focal(self.to_categories[number](level).float(), logits.float().sigmoid(), shown))
        return {
            "loss_features": WEIGHT * torch.stack(features).mean(),
            "loss_categories": WEIGHT * torch.stack(categories).mean(),
        }


def standardised(maps: Tensor) -> Tensor:
    """Maps (B, C, h, w) whose every channel has mean 0 and variance 1 over the batch."""
    variance, mean = torch.var_mean(maps, dim=(0, 2, 3), keepdim=True, correction=0)
    return (maps - mean) * (variance + 1e-6).rsqrt()


def quality_focal(logits: Tensor, wanted: Tensor, shown: Tensor) -> Tensor:
    """Quality focal loss (arXiv 2006.04388, equation 4, beta = 2) of logits and probabilities (B, C, h, w) where `shown` (B, 1, h, w) is 1,
    over the sum of their squares there: over about the number of cells in which the teacher is sure of something.
    """
    surprise = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    loss = (wanted - logits.sigmoid()).square() * surprise * shown
    return loss.sum() / (wanted.square() * shown).sum().clamp(min=1.0)
