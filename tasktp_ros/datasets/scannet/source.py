# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A ScanNet recording as a source of frames, to be replayed, converted or shown like any other."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.frame import DEFAULT_FRAME_ID, Frame, FrameSource, period_stamp
from tasktp_ros.datasets.rgbd import RgbdExtras
from tasktp_ros.datasets.scannet.layout import RATE
from tasktp_ros.datasets.scannet.sens import SensFile, SensFrame


class SensSource(FrameSource):
    """Frames of a `.sens` file, stamped by their index: (index + 1) / rate seconds, since recorded stamps are often garbage.

    Args:
        path: the file, or the scan's folder.
        rate: frames per second; None = 30.
    """

    def __init__(self, path: Path, rate: float | None = None) -> None:
        super().__init__(path)
        self.file = SensFile(path / f"{path.name}.sens" if path.is_dir() else path)
        self.rate = rate or RATE
        self.problems += self.file.problems

    @property
    def length(self) -> int:
        """Number of whole frames."""
        return len(self.file)

    def extras(self) -> RgbdExtras:
        """Depth, poses and intrinsics."""
        return SensExtras(self.file)

    def __iter__(self) -> Iterator[Frame]:
        known = self.file.colour_format in ("jpeg", "png")
        for index in range(len(self.file)):
            frame = self.file[index]
            if not self.file.bytes_of(index)[0]:
                self.problems.append(f"frame {index} was skipped: it has no colour")
                continue
            stored = partial(_stored, frame, self.file.colour_format) if known else None
            yield Frame(
                index,
                period_stamp(index, self.rate),
                DEFAULT_FRAME_ID,
                partial(_colour, frame),
                load_encoded=stored,
                encoding=self.file.colour_format,
            )

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class SensExtras(RgbdExtras):
    """What a recording holds beside colour; depth is brought to millimetres."""

    def __init__(self, file: SensFile) -> None:
        self._file = file
        self.colour_size = file.colour_size
        self.intrinsics = file.colour_intrinsic[:3, :3].astype(np.float64)

    def depth(self, index: int) -> NDArray[np.uint16] | None:
        """Depth of a frame."""
        if not self._file.bytes_of(index)[1]:
            return None
        raw = self._file[index].depth
        if self._file.depth_shift == 1000.0:
            return raw
        return np.clip(np.round(raw * (1000.0 / self._file.depth_shift)), 0, 65535).astype(np.uint16)

    def pose(self, index: int) -> NDArray[np.float64] | None:
        """Pose of a frame; None where tracking was lost."""
        pose = self._file[index].pose
        return None if pose is None else pose.astype(np.float64)

    def depth_intrinsics(self, colour_size: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
        """The depth camera's own."""
        return self._file.depth_intrinsic[:3, :3].astype(np.float64)


def _colour(frame: SensFrame) -> NDArray[np.uint8]:
    return frame.color


def _stored(frame: SensFrame, kind: str) -> tuple[bytes, str]:
    return frame.colour_bytes, kind
