# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Writes ScanNet's `.sens` files, version 4, frame by frame; the file appears under its name when it is whole."""

import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.scannet.layout import (
    COLOUR_FORMATS,
    COUNT,
    DEPTH_SHIFT,
    FRAME,
    HEADER,
    IMU,
    PREFIX,
    VERSION,
    ZLIB,
)
from tasktp_ros.errors import DataError
from tasktp_ros.files import replacing


class SensWriter:
    """Writes one recording; a context manager that leaves nothing behind when it is left by an error.

    Args:
        path: the file.
        colour_size, depth_size: height and width px.
        colour_intrinsic, depth_intrinsic: (4, 4), focal lengths and centre px.
        name: of the sensor.
        colour_format: of the colour bytes: "jpeg", "png" or "raw".
        depth_shift: raw depth per metre.

    Attributes:
        frames: number of frames written so far.
    """

    def __init__(
        self,
        path: Path,
        colour_size: tuple[int, int],
        depth_size: tuple[int, int],
        colour_intrinsic: NDArray,
        depth_intrinsic: NDArray,
        name: str = "StructureSensor",
        colour_format: str = "jpeg",
        depth_shift: float = DEPTH_SHIFT,
    ) -> None:
        self.path = path
        self.frames = 0
        self._depth_size = depth_size
        compressions = {known: number for number, known in COLOUR_FORMATS.items()}
        if colour_format not in compressions:
            raise DataError(f"colour of format {colour_format!r} cannot be stored in {path}; expected jpeg, png or raw")
        header = np.zeros((), HEADER)
        header["colour_intrinsic"], header["depth_intrinsic"] = colour_intrinsic, depth_intrinsic
        header["colour_extrinsic"] = header["depth_extrinsic"] = np.eye(4)
        header["colour_compression"], header["depth_compression"] = compressions[colour_format], ZLIB
        header["colour_height"], header["colour_width"] = colour_size
        header["depth_height"], header["depth_width"] = depth_size
        header["depth_shift"] = depth_shift
        self._header = header
        label = name.encode()
        self._prefix = PREFIX.pack(VERSION, len(label)) + label
        self._imu = b""
        self._stack = ExitStack()

    def write(
        self,
        colour: bytes,
        depth: NDArray[np.uint16] | bytes,
        pose: NDArray | None,
        microseconds: int | tuple[int, int],
    ) -> None:
        """Add a frame.

        Args:
            colour: the picture in the file's colour format.
            depth: (h, w) uint16 raw, 0 = none; or the zlib stream of one, stored as it is.
            pose: (4, 4) camera to world, metres, camera axes x right, y down, z forward; None = tracking lost.
            microseconds: of both pictures, or of colour and depth.
        """
        if not isinstance(depth, bytes):
            if depth.shape != self._depth_size:
                raise DataError(
                    f"depth of frame {self.frames} is {depth.shape} px, not {self._depth_size} as {self.path}"
                )
            depth = zlib.compress(np.ascontiguousarray(depth, "<u2").tobytes(), 6)
        header = np.zeros((), FRAME)
        header["pose"] = -np.inf if pose is None else pose
        stamps = microseconds if isinstance(microseconds, tuple) else (microseconds, microseconds)
        header["colour_stamp"], header["depth_stamp"] = stamps
        header["colour_bytes"], header["depth_bytes"] = len(colour), len(depth)
        self._file.write(header.tobytes() + colour + depth)
        self.frames += 1

    def write_imu(self, samples: NDArray) -> None:
        """Set the inertial samples: (M,) of dtype `layout.IMU`."""
        self._imu = np.ascontiguousarray(samples, IMU).tobytes()

    def __enter__(self) -> "SensWriter":
        with ExitStack() as stack:
            beside = stack.enter_context(replacing(self.path))
            self._file = stack.enter_context(beside.open("wb"))
            self._file.write(self._prefix + self._header.tobytes())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self._file.write(COUNT.pack(len(self._imu) // IMU.itemsize) + self._imu)
            self._header["frames"] = self.frames
            self._file.seek(len(self._prefix))
            self._file.write(self._header.tobytes())
