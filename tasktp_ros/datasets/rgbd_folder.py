# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""An RGB-D recording kept as plain files: color/, and where they exist depth/, poses.txt and K.txt.

color: images in name order.  depth: 16 bit PNG of the same stems, millimetres, 0 = unknown, may be smaller.
poses.txt: one camera-to-world 4x4 per line, row-major, metres, x right, y down, z forward.
K.txt: 3x3 intrinsics of the colour image, px.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.pictures import decode_numbers, read_bytes
from tasktp_ros.datasets.rgbd import RgbdExtras
from tasktp_ros.errors import DataError


class FolderExtras(RgbdExtras):
    """What lies beside the colour images of a folder."""

    def __init__(
        self, depth: list[Path], poses: NDArray[np.float64] | None, intrinsics: NDArray[np.float64] | None
    ) -> None:
        self._depth, self._poses, self.intrinsics = depth, poses, intrinsics

    def depth(self, index: int) -> NDArray[np.uint16] | None:
        """The depth image of the same stem."""
        return read_depth(self._depth[index]) if self._depth[index].exists() else None

    def pose(self, index: int) -> NDArray[np.float64] | None:
        """The line of the same number."""
        return None if self._poses is None else self._poses[index]


def read_extras(folder: Path, color_files: list[Path]) -> FolderExtras:
    """Read what `folder` holds beside its colour images; files that do not fit them raise DataError."""
    poses = _matrix(folder / "poses.txt", 16)
    if poses is not None and len(poses) != len(color_files):
        raise DataError(f"{folder / 'poses.txt'} has {len(poses)} poses for {len(color_files)} colour images")
    intrinsics = _matrix(folder / "K.txt", 3)
    if intrinsics is not None and intrinsics.shape != (3, 3):
        raise DataError(f"{folder / 'K.txt'} has {len(intrinsics)} lines: expected a 3x3 matrix")
    depth = [folder / "depth" / f"{file.stem}.png" for file in color_files]
    return FolderExtras(depth, None if poses is None else poses.reshape(-1, 4, 4), intrinsics)


def read_depth(file: Path) -> NDArray[np.uint16]:
    """(h, w) uint16, millimetres, 0 = unknown."""
    image = decode_numbers(read_bytes(file), str(file))
    if image.dtype != np.uint16:
        raise DataError(f"{file} is not a 16 bit depth image")
    return np.asarray(image, np.uint16)


def _matrix(file: Path, columns: int) -> NDArray[np.float64] | None:
    if not file.exists():
        return None
    try:
        matrix = np.loadtxt(file, dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise DataError(f"{file} is not a table of numbers: {error}") from error
    if matrix.shape[1] != columns or not np.isfinite(matrix).all():
        raise DataError(f"{file} has {matrix.shape[1]} columns: expected {columns} finite numbers per line")
    return matrix
