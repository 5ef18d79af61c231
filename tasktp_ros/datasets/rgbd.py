# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a recording holds beside its colour pictures, whatever kind of recording it is."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import DataError


class RgbdExtras(ABC):
    """Depth, poses and intrinsics of a recording's frames.

    Attributes:
        intrinsics: (3, 3) float64 px of the colour pictures; None = unknown.
        colour_size: (H, W) px of the colour pictures; None = as they are found.
    """

    colour_size: tuple[int, int] | None = None
    intrinsics: NDArray[np.float64] | None = None

    @abstractmethod
    def depth(self, index: int) -> NDArray[np.uint16] | None:
        """(h, w) uint16 millimetres, 0 = unknown; None = this frame has none.

        Raises:
            DataError: it is there and cannot be read.
        """

    def readable_depth(self, index: int, problems: list[str]) -> NDArray[np.uint16] | None:
        """As :meth:`depth`, but what cannot be read is None and a sentence in `problems`: the colour is still worth having."""
        try:
            return self.depth(index)
        except DataError as error:
            problems.append(f"frame {index} has no depth: {error}")
            return None

    @abstractmethod
    def pose(self, index: int) -> NDArray[np.float64] | None:
        """(4, 4) camera to world, metres, camera axes x right, y down, z forward; None = unknown."""

    def depth_intrinsics(self, colour_size: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64] | None:
        """(3, 3) px of depth pictures of `size`, by default as if they were the colour pictures scaled; (H, W) px each."""
        return None if self.intrinsics is None else scaled_intrinsics(self.intrinsics, colour_size, size)


def scaled_intrinsics(
    intrinsics: NDArray[np.float64], from_size: tuple[int, int], to_size: tuple[int, int]
) -> NDArray[np.float64]:
    """Intrinsics of the same view at another (H, W), both in px."""
    scale = np.diag([to_size[1] / from_size[1], to_size[0] / from_size[0], 1.0])
    return np.asarray(scale @ intrinsics, np.float64)
