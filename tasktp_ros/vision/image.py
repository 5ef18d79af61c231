# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Source image to network input and back: with its own inverse, so that everything public is in source pixels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.vision.constants import constant

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
MULTIPLE = 32
PATCH = 16
"""Pixels of a token's side."""


@dataclass(frozen=True)
class InputSize:
    """Images are scaled to fit, keeping their aspect: shorter side at most `short`, longer side at most `long` px."""

    short: int
    long: int

    def fit(self, height: int, width: int) -> tuple[int, int]:
        """Height and width px after scaling a source image; at least one pixel each."""
        scale = min(self.short / min(height, width), self.long / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))


@dataclass(frozen=True)
class ImageFrame:
    """Geometry of one image's way into the network.

    Attributes:
        source: (height, width) px of the source image.
        content: (height, width) px it was resized to.
        padded: (height, width) px of the network's input, multiples of 32; padding is at the right and bottom.
    """

    source: tuple[int, int]
    content: tuple[int, int]
    padded: tuple[int, int]

    def boxes_to_source(self, boxes: Tensor) -> Tensor:
        """(K, 4) xyxy px of the input to source px, clipped to the source image.

        Resizing maps pixel edges onto pixel edges, so the inverse is one exact factor per axis.
        """
        (source_height, source_width), (height, width) = self.source, self.content
        factor = constant((source_width / width, source_height / height) * 2, boxes.dtype, boxes.device)
        limit = constant((source_width, source_height) * 2, boxes.dtype, boxes.device)
        return (boxes * factor).clamp(min=0).minimum(limit)

    def boxes_to_input(self, boxes: Tensor) -> Tensor:
        """(K, 4) xyxy source px to px of the input; inverse of :meth:`boxes_to_source`."""
        (source_height, source_width), (height, width) = self.source, self.content
        return boxes * constant((width / source_width, height / source_height) * 2, boxes.dtype, boxes.device)


def frame_for(height: int, width: int, size: InputSize) -> ImageFrame:
    """Geometry of a source image of `height` x `width` px under an input size."""
    content = size.fit(height, width)
    padded = (-(-content[0] // MULTIPLE) * MULTIPLE, -(-content[1] // MULTIPLE) * MULTIPLE)
    return ImageFrame((height, width), content, padded)


def to_input(image: Tensor, frame: ImageFrame, dtype: torch.dtype, reversed_channels: bool = False) -> Tensor:
    """Resize, normalise and pad on the image's device.

    Args:
        image: (H, W, 3) uint8 RGB on any device.
        reversed_channels: the channels of `image` are BGR.
        frame: from :func:`frame_for`.
        dtype: float type of the network.

    Returns:
        (1, 3, padded height, padded width) `dtype`, channels last; padding is zero, the mean colour.
    """
    planes = image.permute(2, 0, 1)[None]
    if frame.content != frame.source:
        # uint8 resizing is several times faster than float on a CPU and not implemented on CUDA.
        planes = planes if image.device.type == "cpu" else planes.float()
        planes = F.interpolate(planes, frame.content, mode="bilinear", align_corners=False, antialias=True)
    if reversed_channels:
        planes = planes.flip(1)
    mean = constant(PIXEL_MEAN, torch.float32, image.device).view(1, 3, 1, 1)
    std = constant(PIXEL_STD, torch.float32, image.device).view(1, 3, 1, 1)
    normalised = ((planes.float() - mean) / std).to(dtype)
    bottom, right = frame.padded[0] - frame.content[0], frame.padded[1] - frame.content[1]
    padded = F.pad(normalised, (0, right, 0, bottom)) if bottom or right else normalised
    return padded.contiguous(memory_format=torch.channels_last)


def token_shape(image: Tensor) -> tuple[int, int]:
    """(height, width) of the token map of a network's input (B, 3, H, W).

    Raises:
        ValueError: H or W is not a multiple of 32.
    """
    height, width = image.shape[-2:]
    if height % MULTIPLE or width % MULTIPLE:
        raise ValueError(f"the backbone needs height and width in multiples of {MULTIPLE}, got {height} x {width}")
    return height // PATCH, width // PATCH
