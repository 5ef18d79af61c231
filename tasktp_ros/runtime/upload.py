# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Camera pixels to the device: no copy on a CPU, one reusable pinned buffer on a GPU."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Message buffers are read-only; nothing here writes to them.
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")


class Uploader:
    """Moves (H, W, 3) uint8 images to a device.

    On CUDA the image is copied into pinned memory that is kept between frames and sent without waiting; the next
    frame waits until it was read.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned: Tensor | None = None
        self._sent: torch.cuda.Event | None = None

    def upload(self, image: NDArray[np.uint8]) -> tuple[Tensor, bool]:
        """Put an image on the device.

        Args:
            image: (H, W, 3) uint8, any strides.

        Returns:
            (H, W, 3) uint8 tensor (on a CPU a view of `image`), and whether its channels are in reverse order:
            a BGR camera's view with negative stride is passed on as it lies in memory.
        """
        reversed_channels = image.strides[2] < 0
        if reversed_channels:
            image = image[..., ::-1]
        if min(image.strides) < 0:
            image = np.ascontiguousarray(image)
        pixels = torch.from_numpy(image)
        if self._device.type != "cuda":
            return pixels, reversed_channels
        return self._send(pixels), reversed_channels

    def release(self) -> None:
        """Give the pinned memory back."""
        self._pinned, self._sent = None, None

    def _send(self, pixels: Tensor) -> Tensor:
        if self._sent is not None:
            self._sent.synchronize()
        if self._pinned is None or self._pinned.numel() < pixels.numel():
            self._pinned = torch.empty(pixels.numel(), dtype=torch.uint8, pin_memory=True)
        staged = self._pinned[: pixels.numel()].view(pixels.shape)
        staged.copy_(pixels)
        sent = staged.to(self._device, non_blocking=True)
        self._sent = torch.cuda.Event()
        self._sent.record()
        return sent
