# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Pictures of what the detector found and of the tokens it spent, for people.

Pruned tokens turn dark and grey, so that what is left in light and colour is what the network looked at. A category has
the same colour in every picture, derived from its name.
"""

import colorsys
import zlib
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

FONT = cv2.FONT_HERSHEY_SIMPLEX
MASK_OPACITY = 0.42
PRUNED_LIGHT = 0.30  # what is left of the brightness of a token that no block kept
GOLDEN_SHARE = 0.618033988749895  # steps of this size around the colour circle stay far apart


class Drawable(Protocol):
    """What is drawn: `tasktp_ros.runtime.detections.Detections`, or its like rebuilt from messages."""

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(D, 4) float32 xyxy px."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """(D,) float32."""

    @property
    def names(self) -> list[str]:
        """D category names."""

    def instance_map(self) -> NDArray[np.uint16]:
        """(H, W) uint16, k = detection k - 1, 0 = none."""

    def token_mask_image(self) -> NDArray[np.uint8]:
        """(H, W) uint8, share of the gated blocks that kept the pixel's token times 255."""


def draw_overlay(image: NDArray[np.uint8], detections: Drawable) -> NDArray[np.uint8]:
    """Boxes, names with scores and tinted masks over the image with its pruned tokens darkened.

    image: (H, W, 3) uint8 RGB, not changed.  Returns a new picture of the same shape.
    """
    return draw_instances(draw_tokens(image, detections), detections)


def draw_tokens(image: NDArray[np.uint8], detections: Drawable) -> NDArray[np.uint8]:
    """The image with pruned tokens dark and grey; (H, W, 3) uint8 RGB in and out."""
    return shade_pruned(image, detections.token_mask_image())


def shade_pruned(image: NDArray[np.uint8], token_mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Darken and grey an image by how many blocks dropped each pixel's token.

    image: (H, W, 3) uint8 RGB.  token_mask: (H, W) uint8, 255 = kept by all gated blocks, 0 = by none.
    """
    if not np.any(token_mask != 255):
        return np.array(image, copy=True, order="C")
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    dark = cv2.cvtColor(cv2.convertScaleAbs(grey, alpha=PRUNED_LIGHT), cv2.COLOR_GRAY2RGB)
    kept = cv2.merge([token_mask] * 3)
    bright = cv2.multiply(np.ascontiguousarray(image), kept, scale=1 / 255)
    return np.asarray(cv2.add(bright, cv2.multiply(dark, cv2.bitwise_not(kept), scale=1 / 255)), np.uint8)


def draw_instances(image: NDArray[np.uint8], detections: Drawable, larger: float = 1.0) -> NDArray[np.uint8]:
    """Tint masks, outline boxes, write names and scores; (H, W, 3) uint8 RGB, returns a new picture.

    larger: lines and letters are so many times as large as usual, for pictures that are shown small.
    """
    canvas = _tint(np.ascontiguousarray(image), detections.instance_map(), detections.names)
    height, width = canvas.shape[:2]
    unit = larger * max(0.5, min(height, width) / 480.0)
    thickness = max(1, round(1.6 * unit))
    taken: list[tuple[int, int, int, int]] = []
    found = list(zip(detections.boxes, detections.scores, detections.names, strict=True))
    for box, _, name in reversed(found):  # the best lies on top
        left, top, right, bottom = (round(float(value)) for value in box)
        cv2.rectangle(canvas, (left, top), (right, bottom), colour(name), thickness, cv2.LINE_AA)
    for box, score, name in found:
        _write_label(canvas, f"{name} {float(score):.2f}", colour(name), box, unit, taken)
    return canvas


def colour(name: str) -> tuple[int, int, int]:
    """The RGB colour of a category: the same everywhere, spread over the colour circle by a checksum of the name."""
    place = zlib.crc32(name.encode())
    hue = place * GOLDEN_SHARE % 1.0
    lightness = (0.52, 0.61, 0.70)[(place >> 8) % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)


def _tint(image: NDArray[np.uint8], instances: NDArray[np.uint16], names: Sequence[str]) -> NDArray[np.uint8]:
    if not names or not instances.any():
        return image.copy()
    table = np.zeros((max(len(names), int(instances.max())) + 1, 3), np.uint8)
    table[1 : len(names) + 1] = [colour(name) for name in names]
    flat = np.take(table, instances, axis=0)
    blended = cv2.addWeighted(image, 1.0 - MASK_OPACITY, flat, MASK_OPACITY, 0.0)
    tinted = np.where(instances[..., None] > 0, blended, image)
    edges = cv2.morphologyEx(instances, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    rim = edges & (instances > 0)
    tinted[rim] = flat[rim]
    return np.asarray(tinted, np.uint8)


def _write_label(
    canvas: NDArray[np.uint8],
    text: str,
    background: tuple[int, int, int],
    box: NDArray[np.float32],
    unit: float,
    taken: list[tuple[int, int, int, int]],
) -> None:
    """Write above the box, else inside its top or below it; leave it out where all places are taken."""
    height, width = canvas.shape[:2]
    size, pad = 0.42 * unit, max(2, round(3 * unit))
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, size, 1)
    label_width, label_height = text_width + 2 * pad, text_height + baseline + pad
    left = int(np.clip(round(float(box[0])), 0, max(0, width - label_width)))
    for top in (round(float(box[1])) - label_height, round(float(box[1])), round(float(box[3]))):
        place = (left, top, left + label_width, top + label_height)
        if top >= 0 and place[3] <= height and not any(_overlap(place, other) for other in taken):
            break
    else:
        return
    taken.append(place)
    cv2.rectangle(canvas, place[:2], (place[2] - 1, place[3] - 1), background, cv2.FILLED)
    luminance = 0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]
    ink = (20, 20, 20) if luminance > 130 else (250, 250, 250)
    origin = (left + pad, place[3] - baseline)
    cv2.putText(canvas, text, origin, FONT, size, ink, 1, cv2.LINE_AA)


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
