# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a recording is made of, whatever kind it is: frames, in their order.

What cannot be read is skipped and said in `problems`, because a long recording with one bad frame is still a recording.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets import records
from tasktp_ros.datasets.problems import Problems
from tasktp_ros.datasets.rgbd import RgbdExtras
from tasktp_ros.errors import DataError

DEFAULT_FRAME_ID = "camera_color_optical_frame"
DEFAULT_RATE = 5.0


@dataclass(frozen=True)
class Frame:
    """One image on its way; pixels and message are made only when asked for.

    index: position in its source, gaps where a frame could not be read.  stamp_ns: header stamp in nanoseconds.
    frame_id: the camera's optical frame.  encoding: as it is stored: an Image's encoding, a CompressedImage's format, a file's
    kind; empty = unknown.  load_encoded: the picture's bytes and format ("jpeg" or "png"), where the source
    has it so.
    """

    index: int
    stamp_ns: int
    frame_id: str
    load_image: Callable[[], NDArray[np.uint8]]
    source_record: bytes | None = None
    message_type: str = records.IMAGE
    load_encoded: Callable[[], tuple[bytes, str]] | None = None
    encoding: str = ""

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB; DataError where the pixels cannot be decoded."""
        return self.load_image()

    @property
    def record(self) -> bytes:
        """The serialised message: untouched from a bag, else a new rgb8 sensor_msgs/Image."""
        if self.source_record is not None:
            return self.source_record
        return records.image_record(self.image, self.stamp_ns, self.frame_id)

    def decoded(self) -> "Frame":
        """This frame as a plain sensor_msgs/Image, for readers that want no compressed images."""
        if self.message_type == records.IMAGE:
            return self
        return Frame(self.index, self.stamp_ns, self.frame_id, lambda: self.image)


class FrameSource(ABC):
    """Frames in their order; open while inside `with`. `problems` grows while frames are read.

    live: frames are of the moment they are asked for, without an end; asked for ahead they would be old by the time they are used.
    """

    live = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems = Problems()

    @property
    def length(self) -> int | None:
        """Number of frames the source announces, None where it does not know."""
        return None

    @property
    def description(self) -> str:
        """What is being read, for people."""
        return str(self.path)

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Frames from the first one on."""

    def extras(self) -> RgbdExtras | None:
        """Depth, poses and intrinsics beside the colour pictures, by frame index; None where there are none."""
        return None

    def nothing_readable(self) -> DataError:
        """What to raise where no frame can be read, with the reasons met so far."""
        return DataError(f"{self.description} has no readable frame: {'; '.join(self.problems) or 'it is empty'}")

    def close(self) -> None:  # noqa: B027 (a folder has nothing to let go of)
        """Let go of files; iterating afterwards is an error."""

    def __enter__(self) -> "FrameSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def natural_order(file: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key by name in which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", file.name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def period_stamp(index: int, rate: float) -> int:
    """Stamp of frame `index` at `rate` Hz in nanoseconds, the first one a period after zero."""
    return round((index + 1) / rate * records.NANOSECONDS)
