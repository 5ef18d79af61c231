# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What one training step sees, and how samples of a data set become it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasktp_ros.datasets.coco import Sample
from tasktp_ros.vision.image import PIXEL_MEAN, PIXEL_STD


@dataclass
class Truth:
    """The objects of one image.

    Attributes:
        boxes: (M, 4) float32 xyxy px of the network's input.
        labels: (M,) int64 index into the vocabulary.
        masks: (M, H, W) bool.
        crowd: (M,) bool: a region that holds many objects of its category; neither object nor background.
        has_mask: (M,) bool: the outline is known; elsewhere the mask is the box. None = all are.
        labelled: (C,) bool: categories whose objects are all listed; what is of another category is neither object nor
            background. None = all are.
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor
    crowd: Tensor
    has_mask: Tensor | None = None
    labelled: Tensor | None = None

    def to(self, device: torch.device) -> "Truth":
        """The same on another device."""
        boxes, labels, masks, crowd = (
            part.to(device, non_blocking=True) for part in (self.boxes, self.labels, self.masks, self.crowd)
        )
        outlined, labelled = (
            None if part is None else part.to(device, non_blocking=True) for part in (self.has_mask, self.labelled)
        )
        return Truth(boxes, labels, masks, crowd, outlined, labelled)

    def select(self, rows: Tensor) -> "Truth":
        """The objects that `rows` (M,) bool names."""
        outlined = None if self.has_mask is None else self.has_mask[rows]
        return Truth(self.boxes[rows], self.labels[rows], self.masks[rows], self.crowd[rows], outlined, self.labelled)


@dataclass
class Batch:
    """Images of one size and what is on them.

    Attributes:
        images: (B, H, W, 3) uint8 RGB.
        truths: the objects of each image.
    """

    images: Tensor
    truths: list[Truth]

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(self.images.to(device, non_blocking=True), [truth.to(device) for truth in self.truths])

    def normalised(self) -> Tensor:
        """(B, 3, H, W) float32, channels last, as `vision.image.to_input` makes them."""
        mean = self.images.new_tensor(PIXEL_MEAN, dtype=torch.float32)
        std = self.images.new_tensor(PIXEL_STD, dtype=torch.float32)
        return ((self.images.float() - mean) / std).permute(0, 3, 1, 2)


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of one size as a batch."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return Batch(images, [_truth(sample) for sample in samples])


def _truth(sample: Sample) -> Truth:
    boxes, labels, masks, crowd = (
        torch.from_numpy(np.ascontiguousarray(array))
        for array in (sample.boxes, sample.labels, sample.masks, sample.crowd)
    )
    return Truth(boxes, labels, masks, crowd, _unless_all(sample.has_mask), _unless_all(sample.labelled))


def _unless_all(flags: NDArray[np.bool_] | None) -> Tensor | None:
    return None if flags is None or flags.all() else torch.from_numpy(flags)
