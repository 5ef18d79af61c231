"""An RGB-D recording kept as plain files: color/, and where they exist depth/, poses.txt and K.txt.

color: images in name order.  depth: 16 bit PNG of the same stems, millimetres, 0 = unknown, may be smaller.
poses.txt: one camera-to-world 4x4 per line, row-major, metres, x right, y down, z forward.
K.txt: 3x3 intrinsics of the colour image, px.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import DataError


@dataclass(frozen=True)
class RgbdExtras:
    """What lies beside the colour images; each part None (or empty) where it is missing.

    depth: path per colour image.  poses: (N, 4, 4) float64.  intrinsics: (3, 3) float64, px of the colour image.
    """

    depth: list[Path | None]
    poses: NDArray[np.float64] | None
    intrinsics: NDArray[np.float64] | None


def read_extras(folder: Path, color_files: list[Path]) -> RgbdExtras:
    """Read what `folder` holds beside its colour images; files that do not fit them raise DataError."""
    depth = [folder / "depth" / f"{file.stem}.png" for file in color_files]
    poses = _matrix(folder / "poses.txt", 16)
    if poses is not None and len(poses) != len(color_files):
        raise DataError(f"{folder / 'poses.txt'} has {len(poses)} poses for {len(color_files)} colour images")
    intrinsics = _matrix(folder / "K.txt", 3)
    if intrinsics is not None and intrinsics.shape != (3, 3):
        raise DataError(f"{folder / 'K.txt'} has {len(intrinsics)} lines: expected a 3x3 matrix")
    return RgbdExtras(
        depth=[file if file.exists() else None for file in depth],
        poses=None if poses is None else poses.reshape(-1, 4, 4),
        intrinsics=intrinsics,
    )


def read_depth(file: Path) -> NDArray[np.uint16]:
    """(h, w) uint16, millimetres, 0 = unknown."""
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2 or image.dtype != np.uint16:
        raise DataError(f"{file} is not a 16 bit depth image")
    return np.asarray(image, np.uint16)


def scaled_intrinsics(
    intrinsics: NDArray[np.float64], from_size: tuple[int, int], to_size: tuple[int, int]
) -> NDArray[np.float64]:
    """Intrinsics of the same view at another (H, W), both in px."""
    scale = np.diag([to_size[1] / from_size[1], to_size[0] / from_size[0], 1.0])
    return np.asarray(scale @ intrinsics, np.float64)


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
