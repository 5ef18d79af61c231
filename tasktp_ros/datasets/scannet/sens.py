# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Reads ScanNet's `.sens` recordings: an index of a few bytes per frame, everything else from the file when it is asked for.

Reads go by position (`pread`) and not through a memory map: a file that is cut while it is open then gives one sentence
instead of a bus error, and gigabytes leave no trace in this process's memory.
"""

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.pictures import decode_picture
from tasktp_ros.datasets.scannet.layout import (
    COLOUR_FORMATS,
    COUNT,
    FRAME,
    HEADER,
    IMU,
    OCCI,
    PREFIX,
    RATE,
    RAW,
    RAW_DEPTH,
    VERSIONS,
    ZLIB,
)
from tasktp_ros.errors import DataError

LONGEST_NAME = 4096
LONGEST_SIDE = 1 << 15
PLAUSIBLE_STEP = (20_000, 100_000)
LONGEST_STEP = 10_000_000
"""Microseconds between frames that recorded timestamps must have in the middle, and at most, to be believed."""


@dataclass(frozen=True)
class SensFrame:
    """One frame; bytes are read, and pictures decoded, when they are asked for.

    Attributes:
        index: from 0.
        timestamps: of colour and depth, microseconds, as recorded: often zero or garbage, see `SensFile.stamps`.
        pose: (4, 4) float32 camera to world, metres, camera axes x right, y down, z forward; None = tracking was lost.
    """

    file: "SensFile"
    index: int
    timestamps: tuple[int, int]
    pose: NDArray[np.float32] | None

    @property
    def colour_bytes(self) -> bytes:
        """The colour picture as it is stored."""
        return self.file.stored(self.index, depth=False)

    @property
    def depth_bytes(self) -> bytes:
        """The depth picture as it is stored."""
        return self.file.stored(self.index, depth=True)

    @property
    def color(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB.

        Raises:
            DataError: it cannot be decoded.
        """
        name, stored = f"colour of frame {self.index} of {self.file.path}", self.colour_bytes
        height, width = self.file.colour_size
        if self.file.colour_compression == RAW:
            if len(stored) != height * width * 3:
                raise DataError(f"{name} has {len(stored)} bytes instead of {height} x {width} x 3")
            return np.frombuffer(stored, np.uint8).reshape(height, width, 3)
        return decode_picture(stored, name)

    @property
    def depth(self) -> NDArray[np.uint16]:
        """(h, w) uint16 raw, `SensFile.depth_shift` per metre, 0 = none.

        Raises:
            DataError: it cannot be decoded, or is compressed in a way that only the maker of the sensor knows.
        """
        name, stored = f"depth of frame {self.index} of {self.file.path}", self.depth_bytes
        height, width = self.file.depth_size
        if self.file.depth_compression == ZLIB:
            unpacker = zlib.decompressobj()
            try:
                stored = unpacker.decompress(stored, height * width * 2)
            except zlib.error as error:
                raise DataError(f"{name} is no zlib stream: {error}") from error
        elif self.file.depth_compression != RAW_DEPTH:
            kind = "the proprietary OCCI" if self.file.depth_compression == OCCI else "an unknown"
            raise DataError(f"{name} has {kind} compression; expected raw or zlib")
        if len(stored) != height * width * 2:
            raise DataError(f"{name} has {len(stored)} bytes instead of {height} x {width} x 2")
        return np.frombuffer(stored, "<u2").reshape(height, width).astype(np.uint16, copy=False)


class SensFile:
    """A recording; a sequence of :class:`SensFrame`. Any number of threads may read it.

    Attributes:
        path: the file.
        sensor: its name.
        colour_size, depth_size: height and width px.
        colour_intrinsic, depth_intrinsic, colour_extrinsic, depth_extrinsic: (4, 4) float32.
        colour_compression, depth_compression: see `layout`.
        depth_shift: raw depth per metre.
        problems: one sentence each for what the file announces and does not hold.

    Args:
        path: the file; a file that is cut is read up to its last whole frame.

    Raises:
        DataError: missing, not a `.sens` file of version 3 or 4, or cut within its header.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.problems: list[str] = []
        try:
            self._file = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"{self.path} cannot be opened: {error.strerror}") from error
        try:
            self._size = os.fstat(self._file).st_size
            start = self._read_header()
            self._headers, self._offsets, end = self._index(start)
            self._imu_at, self._imu_count = self._find_imu(end)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        """Number of whole frames."""
        return len(self._offsets)

    def __getitem__(self, index: int) -> SensFrame:
        """A frame; negative indices count from the end.

        Raises:
            IndexError: there is no such frame.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {self.path}, which has {len(self)}")
        index %= len(self)
        header = self._headers[index]
        pose = header["pose"].copy() if np.isfinite(header["pose"]).all() else None
        return SensFrame(self, index, (int(header["colour_stamp"]), int(header["depth_stamp"])), pose)

    def __enter__(self) -> "SensFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; frames cannot be read afterwards."""
        file, self._file = getattr(self, "_file", -1), -1
        if file >= 0:
            os.close(file)

    @property
    def colour_format(self) -> str:
        """ "jpeg", "png" or "raw"."""
        return COLOUR_FORMATS.get(self.colour_compression, "unknown")

    @property
    def finite_poses(self) -> NDArray[np.bool_]:
        """(N,) bool: frames whose pose is known."""
        return np.isfinite(self._headers["pose"]).all(axis=(1, 2))

    @property
    def imu(self) -> NDArray:
        """(M,) inertial samples of dtype `layout.IMU`."""
        return np.frombuffer(self._read(self._imu_at, self._imu_count * IMU.itemsize), IMU)

    def stamps(self) -> tuple[NDArray[np.int64], bool]:
        """Seconds after the first frame in nanoseconds (N,), and whether they were recorded.

        Recorded timestamps count only if they rise strictly, by 20 to 100 ms in the middle and 10 s at most; else frames are
        1/30 s apart.
        """
        recorded = self._headers["colour_stamp"]
        steps = np.diff(recorded.astype(np.float64))
        rising = len(steps) > 0 and steps.min() > 0 and steps.max() <= LONGEST_STEP
        if rising and PLAUSIBLE_STEP[0] <= np.median(steps) <= PLAUSIBLE_STEP[1]:
            return ((recorded - recorded[0]) * 1000).astype(np.int64), True
        return np.round(np.arange(len(self)) * (1e9 / RATE)).astype(np.int64), False

    def bytes_of(self, index: int) -> tuple[int, int]:
        """How many bytes a frame's colour and depth take."""
        header = self._headers[index]
        return int(header["colour_bytes"]), int(header["depth_bytes"])

    def stored(self, index: int, *, depth: bool) -> bytes:
        """A picture as it is stored.

        Raises:
            DataError: the file became shorter since it was opened.
        """
        at, (colour, packed) = int(self._offsets[index]) + FRAME.itemsize, self.bytes_of(index)
        return self._read(at + colour, packed) if depth else self._read(at, colour)

    def _read_header(self) -> int:
        """Take the header in; where the first frame starts."""
        version, length = PREFIX.unpack(self._read(0, PREFIX.size))
        if version not in VERSIONS:
            raise DataError(f"{self.path} is not a .sens file of version 3 or 4: its first number is {version}")
        if length > LONGEST_NAME:
            raise DataError(f"{self.path} is damaged: its sensor's name has {length} characters")
        self.version = int(version)
        self.sensor = self._read(PREFIX.size, length).decode(errors="replace")
        header = np.frombuffer(self._read(PREFIX.size + length, HEADER.itemsize), HEADER)[0]
        self.colour_intrinsic, self.colour_extrinsic = header["colour_intrinsic"], header["colour_extrinsic"]
        self.depth_intrinsic, self.depth_extrinsic = header["depth_intrinsic"], header["depth_extrinsic"]
        self.colour_compression = int(header["colour_compression"])
        self.depth_compression = int(header["depth_compression"])
        self.colour_size = (int(header["colour_height"]), int(header["colour_width"]))
        self.depth_size = (int(header["depth_height"]), int(header["depth_width"]))
        self.depth_shift = float(header["depth_shift"])
        if max(*self.colour_size, *self.depth_size) > LONGEST_SIDE:
            raise DataError(f"{self.path} is damaged: its pictures are {self.colour_size} and {self.depth_size} px")
        if not 0.0 < self.depth_shift < float("inf"):
            raise DataError(f"{self.path} is damaged: its depth has {self.depth_shift} units per metre")
        self._announced = int(header["frames"])
        return PREFIX.size + length + HEADER.itemsize

    def _index(self, start: int) -> tuple[NDArray, NDArray[np.int64], int]:
        """Headers and offsets of all whole frames, and where they end."""
        headers: list[bytes] = []
        offsets: list[int] = []
        at = start
        sizes = struct.Struct("<2Q")
        while len(offsets) < self._announced and at + FRAME.itemsize <= self._size:
            header = self._read(at, FRAME.itemsize)
            following = at + FRAME.itemsize + sum(sizes.unpack_from(header, FRAME.itemsize - sizes.size))
            if following > self._size:
                break
            headers.append(header)
            offsets.append(at)
            at = following
        if len(offsets) < self._announced:
            self.problems.append(f"{self.path} announces {self._announced} frames and holds {len(offsets)} whole ones")
        return np.frombuffer(b"".join(headers), FRAME), np.array(offsets, np.int64), at

    def _find_imu(self, at: int) -> tuple[int, int]:
        """Where the inertial samples start, and how many whole ones there are."""
        if self.version < 4 or self.problems:
            return at, 0
        if at + COUNT.size > self._size:
            self.problems.append(f"{self.path} is cut before its inertial samples")
            return at, 0
        (announced,) = COUNT.unpack(self._read(at, COUNT.size))
        whole = min(announced, (self._size - at - COUNT.size) // IMU.itemsize)
        if whole < announced:
            self.problems.append(f"{self.path} announces {announced} inertial samples and holds {whole} whole ones")
        return at + COUNT.size, whole

    def _read(self, at: int, count: int) -> bytes:
        if self._file < 0:
            raise DataError(f"{self.path} was closed")
        parts, missing = [], count
        while missing:
            part = os.pread(self._file, missing, at + count - missing)
            if not part:
                raise DataError(f"{self.path} ends after {self._size} bytes, within what was to be read at byte {at}")
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
