# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Training augmentation of an image with its boxes and masks: flip, scale, crop, colour; ends at exactly one size."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.coco import Sample

PADDING = (124, 116, 104)
"""The mean colour, RGB."""


@dataclass(frozen=True)
class AugmentConfig:
    """What is changed, and how much.

    Attributes:
        flip: probability of mirroring left and right.
        scale: from where to where the image is scaled, relative to fitting it into the size.
        brightness, contrast, saturation: largest relative change.
        hue: largest turn of the colour circle, degrees.
        aspect: from where to where (log-uniform) width over height of a squashed image is changed; others keep theirs.
        paste: probability that objects of another image are pasted onto an image (see `compose`).
        mosaic: probability that four images are put beside each other.
        smallest: shorter box side px under which an object is dropped.
        fewest_pixels: mask pixels under which an object is dropped.
    """

    flip: float = 0.5
    scale: tuple[float, float] = (0.7, 1.5)
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.3
    hue: float = 12.0
    aspect: tuple[float, float] = (0.75, 1.33)
    paste: float = 0.0
    mosaic: float = 0.0
    smallest: float = 2.0
    fewest_pixels: int = 6


NO_AUGMENT = AugmentConfig(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, (1.0, 1.0))
COCO_RECIPE = AugmentConfig(0.5, (0.8, 1.6), 0.0, 0.0, 0.0, 0.0)
"""Flip and crop; the many input sizes are the stage's."""


def augment(sample: Sample, size: tuple[int, int], random: np.random.Generator, config: AugmentConfig) -> Sample:
    """A changed copy of exactly `size` (height, width) px.

    The image is scaled, cut to a random window where it is larger than the size, and padded at the right and bottom
    where it is smaller. Boxes are drawn anew around the masks; objects of which too little is left are dropped.
    """
    height, width = size
    source_height, source_width = sample.image.shape[:2]
    aspect = float(np.exp(random.uniform(*np.log(config.aspect)))) if sample.squashed else 1.0
    scale = min(height / source_height, width / (source_width * aspect)) * float(random.uniform(*config.scale))
    across = scale * aspect
    # The window of the source that will be seen, in whole source pixels.
    window_height = min(source_height, max(1, round(height / scale)))
    window_width = min(source_width, max(1, round(width / across)))
    top = int(random.integers(source_height - window_height + 1))
    left = int(random.integers(source_width - window_width + 1))
    seen = (slice(top, top + window_height), slice(left, left + window_width))
    content = (min(height, max(1, round(window_height * scale))), min(width, max(1, round(window_width * across))))
    mirrored = bool(random.random() < config.flip)

    picture = _resized(sample.image[seen], content, cv2.INTER_AREA if max(scale, across) < 1 else cv2.INTER_LINEAR)
    image = _placed(recolour(picture, random, config), size, mirrored)
    masks = _masks(sample.masks, seen, content, size, mirrored)
    boxes = boxes_around(masks)
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = (
        (sides.min(1) >= config.smallest) & (masks.sum((1, 2)) >= config.fewest_pixels)
        if len(masks)
        else sides[:, 0] > 0
    )
    return replace(
        sample,
        image=image,
        boxes=boxes[kept],
        labels=sample.labels[kept],
        masks=masks[kept],
        crowd=sample.crowd[kept],
        has_mask=None if sample.has_mask is None else sample.has_mask[kept],
        squashed=False,
    )


def recolour(picture: NDArray[np.uint8], random: np.random.Generator, config: AugmentConfig) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB with drawn brightness, contrast, saturation and hue."""
    brightness, contrast, saturation = (
        1.0 + float(random.uniform(-most, most)) for most in (config.brightness, config.contrast, config.saturation)
    )
    turn = float(random.uniform(-config.hue, config.hue))
    if config.saturation or config.hue:
        colours = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        colours[..., 0] = (colours[..., 0].astype(np.int16) + round(turn / 2)) % 180
        colours[..., 1] = cv2.convertScaleAbs(colours[..., 1], alpha=saturation)
        picture = cv2.cvtColor(colours, cv2.COLOR_HSV2RGB)
    if config.brightness or config.contrast:
        middle = float(picture.mean())
        table = (np.arange(256) * brightness - middle) * contrast + middle
        picture = cv2.LUT(picture, np.clip(table, 0, 255).astype(np.uint8))
    return picture


def boxes_around(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Tight boxes (M, 4) xyxy px around masks (M, H, W); zeros for an empty mask."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        if len(rows):
            box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _resized(array: NDArray[np.uint8], size: tuple[int, int], how: int) -> NDArray[np.uint8]:
    return array if array.shape[:2] == size else cv2.resize(array, size[::-1], interpolation=how)


def _placed(picture: NDArray[np.uint8], size: tuple[int, int], mirrored: bool) -> NDArray[np.uint8]:
    """A picture at the top left of a canvas of the mean colour."""
    image = np.empty((*size, 3), np.uint8)
    image[:] = PADDING
    image[: picture.shape[0], : picture.shape[1]] = picture[:, ::-1] if mirrored else picture
    return image


def _masks(
    masks: NDArray[np.bool_], seen: tuple[slice, slice], content: tuple[int, int], size: tuple[int, int], mirrored: bool
) -> NDArray[np.bool_]:
    """The seen part of masks (M, H, W), resized to `content`, at the top left of canvases of `size`."""
    placed = np.zeros((len(masks), *size), np.bool_)
    for target, mask in zip(placed, masks, strict=True):
        # Exact: OpenCV's older nearest neighbour takes the top left one, which moves objects when they shrink.
        part = _resized(mask[seen].astype(np.uint8), content, cv2.INTER_NEAREST_EXACT)
        target[: content[0], : content[1]] = part[:, ::-1] if mirrored else part
    return placed
