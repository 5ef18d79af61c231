# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Instance masks from 28x28 probabilities to source pixels, exactly and only where each box is.

Bilinear interpolation is separable, so a pasted mask is `rows @ probabilities @ columns`: two small products per
instance on its own window, instead of a full-size float image each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MASK_THRESHOLD = 0.5


@dataclass(frozen=True)
class MaskWindow:
    """One instance's mask inside a window of the image: `mask` (h, w) bool, its first pixel at (`top`, `left`)."""

    top: int
    left: int
    mask: NDArray[np.bool_]


def paste(probabilities: NDArray[np.float32], box: NDArray[np.float32], height: int, width: int) -> MaskWindow:
    """Place one mask into the image.

    Args:
        probabilities: (S, S) float32 inside the box, cell centres at (i + 0.5) / S of its extent.
        box: (4,) float32 xyxy px of the image, inside it.
        height, width: image size in px.

    Returns:
        The pixels whose centre has an interpolated probability above 0.5 (zero outside the box's cells).
    """
    left, right = max(0, int(np.floor(box[0]))), min(width, int(np.ceil(box[2])))
    top, bottom = max(0, int(np.floor(box[1]))), min(height, int(np.ceil(box[3])))
    rows = _interpolation(top, bottom, float(box[1]), float(box[3]), probabilities.shape[0])
    columns = _interpolation(left, right, float(box[0]), float(box[2]), probabilities.shape[1])
    return MaskWindow(top, left, (rows @ probabilities) @ columns.T > MASK_THRESHOLD)


def _interpolation(first: int, last: int, low: float, high: float, cells: int) -> NDArray[np.float32]:
    """Linear interpolation weights (last - first, cells) of pixel centres first + 0.5 ... in a span low..high."""
    centres = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    position = (centres - np.float32(low)) * np.float32(cells / max(high - low, 1e-6)) - np.float32(0.5)
    distance = np.abs(position[:, None] - np.arange(cells, dtype=np.float32))
    return np.maximum(np.float32(0.0), np.float32(1.0) - distance)
