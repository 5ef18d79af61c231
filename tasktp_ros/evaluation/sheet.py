# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A sheet of frames of a walk with what was found on them, and how often anything was found on the walk."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.runtime.detections import Detections
from tasktp_ros.runtime.drawing import draw_instances
from tasktp_ros.runtime.task_detector import TaskDetector

TILE = 320
"""Width px of a frame on the sheet."""
COLUMNS = 4
LARGER = 1.5
"""Letters are so much larger than on a whole picture."""


@dataclass(frozen=True)
class Small:
    """Detections on a smaller picture; fits `runtime.drawing`. Attributes as `Detections`, in pixels of the smaller one."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    names: list[str]
    instances: NDArray[np.uint16]

    def instance_map(self) -> NDArray[np.uint16]:
        """(H, W) uint16, k = detection k - 1, 0 = none."""
        return self.instances

    def token_mask_image(self) -> NDArray[np.uint8]:
        """(H, W) uint8: all tokens were kept."""
        return np.full(self.instances.shape, 255, np.uint8)


def tile(image: NDArray[np.uint8], found: Detections, width: int = TILE) -> NDArray[np.uint8]:
    """A frame (H, W, 3) uint8 RGB, `width` px wide, with what was found on it."""
    scale = width / image.shape[1]
    size = (width, max(1, round(image.shape[0] * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    instances = np.asarray(cv2.resize(found.instance_map(), size, interpolation=cv2.INTER_NEAREST), np.uint16)
    boxes = np.asarray(found.boxes * scale, np.float32)
    return draw_instances(small, Small(boxes, found.scores, found.names, instances), LARGER)


def sheet(tiles: Sequence[NDArray[np.uint8]], columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Tiles of one width in rows, as (H, W, 3) uint8 RGB; what is left of the last row is white."""
    height = max(picture.shape[0] for picture in tiles)
    width, columns = tiles[0].shape[1], min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    canvas = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, picture in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        canvas[top : top + picture.shape[0], left : left + width] = picture
    return canvas


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` numbers, evenly spread from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))})


def walk(
    detector: TaskDetector, images: Iterable[NDArray[np.uint8]], shown: Sequence[int]
) -> tuple[list[NDArray[np.uint8]], dict[str, Any]]:
    """Detect along a walk, as `detector` is told to look for.

    Args:
        images: (H, W, 3) uint8 RGB each.
        shown: numbers of the images that become tiles.

    Returns:
        The tiles, and counts: images, with_any (images with a detection), detections, of (per category `images` and `detections`),
        milliseconds (median) and kept (mean share of tokens, None without gates).
    """
    tiles, times, kept, wanted = [], [], [], set(shown)
    on: Counter[str] = Counter()
    total: Counter[str] = Counter()
    number = with_any = 0
    for number, image in enumerate(images, 1):
        found = detector.detect(image)
        with_any += bool(len(found))
        on.update(set(found.names))
        total.update(found.names)
        times.append(found.timings["total"])
        kept += [float(np.mean(found.kept))] if found.kept else []
        if number - 1 in wanted:
            tiles.append(tile(image, found))
    of = {name: {"images": on[name], "detections": total[name]} for name in detector.vocabulary if total[name]}
    return tiles, {
        "images": number,
        "with_any": with_any,
        "detections": sum(total.values()),
        "of": of,
        "milliseconds": round(float(np.median(times)), 3) if times else None,
        "kept": round(float(np.mean(kept)), 4) if kept else None,
    }
