# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What one frame gave: boxes, names and masks in source pixels, the kept tokens, and how long each stage took."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.runtime.masks import MaskWindow
from tasktp_ros.tasks.vocabulary import Task
from tasktp_ros.vision.image import PATCH, ImageFrame


@dataclass(frozen=True)
class Detections:
    """Result of `TaskDetector.detect`; D instances, best first, everything in pixels of the source image.

    Attributes:
        boxes: (D, 4) float32 xyxy px.
        scores: (D,) float32, descending.
        labels: (D,) int64, index into the detector's vocabulary.
        names: D category names.
        mask_windows: D masks, each inside its box.
        token_masks: (G, h, w) bool, tokens that each of the G gated blocks ran, on the token grid of the input.
        presence: per gate that was reached how probable it found that anything of the task is on the image, 0..1; empty for
            methods that do not estimate it.
        timings: milliseconds per stage, and their "total" from image to result.
        task: the task these detections were made for.
        reach: how far it was followed, see `TaskDetector.reach`.
        frame: the image's geometry.
        entering: (h, w) bool tokens that entered the first block, where a stream chose them; None = all.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: list[str]
    mask_windows: list[MaskWindow]
    token_masks: NDArray[np.bool_]
    presence: tuple[float, ...]
    timings: dict[str, float]
    task: Task
    reach: str
    frame: ImageFrame
    entering: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) px of the source image."""
        return self.frame.source

    @property
    def total_tokens(self) -> int:
        """Tokens of the whole input, kept or not."""
        return (self.frame.padded[0] // PATCH) * (self.frame.padded[1] // PATCH)

    @cached_property
    def kept_tokens(self) -> tuple[int, ...]:
        """Tokens that each gated block ran; empty for a dense model."""
        return tuple(int(count) for count in self.token_masks.sum(axis=(1, 2)))

    @property
    def kept(self) -> tuple[float, ...]:
        """Share of tokens in 0..1 that each gated block ran; empty for a dense model."""
        return tuple(count / self.total_tokens for count in self.kept_tokens)

    @property
    def entered(self) -> float:
        """Share of tokens in 0..1 that entered the first block."""
        return 1.0 if self.entering is None else float(self.entering.mean())

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """(D, H, W) bool, one full-size mask per detection; made when first asked for."""
        full = np.zeros((len(self), *self.image_size), dtype=bool)
        for canvas, window in zip(full, self.mask_windows, strict=True):
            _inside(canvas, window)[...] = window.mask
        return full

    def instance_map(self) -> NDArray[np.uint16]:
        """(H, W) uint16: pixel k belongs to detection k - 1, 0 to none; where masks overlap the higher score wins."""
        canvas = np.zeros(self.image_size, dtype=np.uint16)
        for number in range(len(self), 0, -1):
            window = self.mask_windows[number - 1]
            _inside(canvas, window)[window.mask] = number
        return canvas

    def token_mask_image(self) -> NDArray[np.uint8]:
        """(H, W) uint8: 255 where every gated block kept the pixel's token, 0 where none did; dense models: 255."""
        height, width = self.image_size
        content_height, content_width = self.frame.content
        if len(self.token_masks) == 0:
            return np.full(self.image_size, 255, dtype=np.uint8)
        grid = np.rint(self.token_masks.mean(axis=0) * 255).astype(np.uint8)
        rows = ((np.arange(height) + 0.5) * (content_height / height) / PATCH).astype(np.intp)
        columns = ((np.arange(width) + 0.5) * (content_width / width) / PATCH).astype(np.intp)
        return np.take(np.take(grid, rows, axis=0), columns, axis=1)


def _inside(canvas: NDArray, window: MaskWindow) -> NDArray:
    height, width = window.mask.shape
    return canvas[window.top : window.top + height, window.left : window.left + width]
