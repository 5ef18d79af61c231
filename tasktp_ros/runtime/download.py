# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Results from the device: one copy into memory that the device can write to by itself, and one wait for it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Downloader:
    """Reads (bytes,) uint8 tensors of one device; on CUDA through a pinned buffer that is kept between frames."""

    def __init__(self) -> None:
        self._pinned: Tensor | None = None

    def fetch(self, packed: Tensor) -> NDArray[np.uint8]:
        """The bytes on the host, valid until the next call."""
        if packed.device.type != "cuda":
            return packed.numpy()
        if self._pinned is None or self._pinned.numel() < packed.numel():
            self._pinned = torch.empty(packed.numel(), dtype=torch.uint8, pin_memory=True)
        arrived = self._pinned[: packed.numel()]
        arrived.copy_(packed, non_blocking=True)
        done = torch.cuda.Event()
        done.record()
        done.synchronize()
        return arrived.numpy()

    def release(self) -> None:
        """Give the pinned memory back."""
        self._pinned = None
