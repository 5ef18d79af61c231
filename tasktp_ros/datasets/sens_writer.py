"""Writes ScanNet's `.sens` files, version 4, frame by frame; the file appears under its name when it is whole."""

import os
import struct
import zlib
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

VERSION, JPEG, ZLIB = 4, 2, 1
DEPTH_SHIFT = 1000.0
"""Raw depth per metre."""


class SensWriter:
    """Writes one scan; a context manager that leaves nothing behind when it is left by an error.

    Args:
        path: the file.
        colour_size, depth_size: height and width px.
        colour_intrinsic, depth_intrinsic: (4, 4), focal lengths and centre in px.
        name: of the sensor.
    """

    def __init__(
        self,
        path: Path,
        colour_size: tuple[int, int],
        depth_size: tuple[int, int],
        colour_intrinsic: NDArray[np.float64],
        depth_intrinsic: NDArray[np.float64],
        name: str = "StructureSensor",
    ) -> None:
        self.path = path
        self.frames = 0
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._file = self._beside.open("wb")
        label = name.encode()
        identity = np.eye(4)
        self._file.write(struct.pack("<IQ", VERSION, len(label)) + label)
        for matrix in (colour_intrinsic, identity, depth_intrinsic, identity):
            self._file.write(np.asarray(matrix, "<f4").tobytes())
        sizes = (colour_size[1], colour_size[0], depth_size[1], depth_size[0])
        self._file.write(struct.pack("<ii4If", JPEG, ZLIB, *sizes, DEPTH_SHIFT))
        self._count_at = self._file.tell()
        self._file.write(struct.pack("<Q", 0))

    def write(
        self, colour: bytes, depth: NDArray[np.uint16], pose: NDArray[np.float64] | None, microseconds: int
    ) -> None:
        """Add a frame.

        Args:
            colour: a JPEG.
            depth: (h, w) uint16 millimetres, 0 = none.
            pose: (4, 4) camera to world, camera axes x right, y down, z forward; None = tracking lost.
            microseconds: of both pictures.
        """
        packed = zlib.compress(np.ascontiguousarray(depth, "<u2").tobytes(), 6)
        matrix = np.full((4, 4), -np.inf) if pose is None else pose
        self._file.write(np.asarray(matrix, "<f4").tobytes())
        self._file.write(struct.pack("<4Q", microseconds, microseconds, len(colour), len(packed)) + colour + packed)
        self.frames += 1

    def __enter__(self) -> "SensWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._file.write(struct.pack("<Q", 0))
                self._file.seek(self._count_at)
                self._file.write(struct.pack("<Q", self.frames))
            self._file.close()
            if error is None:
                os.replace(self._beside, self.path)
        finally:
            self._file.close()
            self._beside.unlink(missing_ok=True)
