# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Frames of a video file."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from tasktp_ros.datasets.frame import DEFAULT_FRAME_ID, DEFAULT_RATE, Frame, FrameSource, period_stamp
from tasktp_ros.datasets.plain_paths import PlainPath
from tasktp_ros.errors import DataError

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"})


class VideoSource(FrameSource):
    """A video file; stamps follow its frame rate, or `rate` where one is given."""

    def __init__(self, path: Path, rate: float | None = None) -> None:
        super().__init__(path)
        self._link = PlainPath(path)
        self._capture = cv2.VideoCapture(str(self._link.path))
        if not self._capture.isOpened():
            self.close()
            raise DataError(f"{path} cannot be opened as a video: it is truncated, empty or of an unknown codec")
        frames_per_second = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate or (frames_per_second if 0.1 < frames_per_second < 1000.0 else DEFAULT_RATE)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._length = count if 0 < count < 10_000_000 else None

    @property
    def length(self) -> int | None:
        """Number of frames the file announces."""
        return self._length

    def __iter__(self) -> Iterator[Frame]:
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        index = 0
        while True:
            there, bgr = self._capture.read()
            if not there:
                break
            image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, period_stamp(index, self.rate), DEFAULT_FRAME_ID, partial(np.asarray, image))
            index += 1
        if self._length is not None and index < self._length:
            self.problems.append(f"{self.path} ends after {index} of the {self._length} frames it announces")

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
        self._link.close()
