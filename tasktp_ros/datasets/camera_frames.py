# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Frames of a webcam, the newest whenever one is asked for."""

import contextlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.frame import DEFAULT_FRAME_ID, Frame, FrameSource, natural_order
from tasktp_ros.datasets.pictures import silent_opencv
from tasktp_ros.errors import DataError

DEVICES = Path("/dev")
V4L_MAJOR = 81  # of every video device, Linux's admin-guide/devices.txt
WIDTH, HEIGHT = 640, 480
PATIENCE_SECONDS = 5.0  # a webcam needs up to two until its first picture
CLOSE_SECONDS = 1.0  # a driver that does not answer may hold its reader for ten
RETRY_SECONDS = 0.05
FORMS = "expected camera, camera:1 or a device such as /dev/video2"


def camera_device(source: str | Path) -> Path | None:
    """The video device that a source names: `camera` is /dev/video0, `camera:1` is /dev/video1; None where it names no camera.

    A file or folder called `camera` is that file or folder, and no camera.

    Raises:
        DataError: it names a camera that is not there, no video device, or one without the right to read it.
    """
    place = Path(os.path.expanduser(source))
    word = re.fullmatch(r"camera(?::(.*))?", str(source), re.DOTALL)
    if word and not os.path.lexists(place):
        number = word[1] if word[1] is not None else "0"
        if not re.fullmatch(r"[0-9]{1,6}", number):
            raise DataError(f"{source} is no camera: {FORMS}")
        place = DEVICES / f"video{int(number)}"
    elif not (re.fullmatch(r"video[0-9]+", place.name) and place.parent == DEVICES) and not _is_character_device(place):
        return None
    if not place.exists():
        raise DataError(f"there is no camera {place}: {_present()}")
    if not _is_video_device(place):
        raise DataError(f"{place} is no video device: {FORMS}")
    if not os.access(place, os.R_OK | os.W_OK):
        raise DataError(f"there is no right to read and write {place}: expected a user of the group video")
    return place


class CameraSource(FrameSource):
    """A webcam, through V4L2, asked for 640x480; each frame is as new as the wish for it, and stamped when it arrived.

    A thread takes what the camera sends and decodes only what is asked for. The frames end when the camera delivers nothing any more;
    `problems` says so.

    Args:
        device: from :func:`camera_device`.

    Raises:
        DataError: it cannot be opened.
    """

    live = True

    def __init__(self, device: Path) -> None:
        super().__init__(device)
        self._silence = contextlib.ExitStack()
        self._silence.enter_context(silent_opencv())
        try:
            self._capture = _open(device)
        except DataError:
            self._silence.close()
            raise
        self._change = threading.Condition()
        self._wanted = self._closed = self._ended = False
        self._newest: tuple[int, NDArray[np.uint8]] | None = None
        self._reader = threading.Thread(target=self._read, name="camera", daemon=True)
        self._reader.start()

    @property
    def description(self) -> str:
        """What is being read, for people."""
        return f"camera {self.path}"

    def __iter__(self) -> Iterator[Frame]:
        """Frames as (H, W, 3) uint8 RGB from now on, counted from 0."""
        index = 0
        while (newest := self._next()) is not None:
            stamp_ns, bgr = newest
            image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, stamp_ns, DEFAULT_FRAME_ID, partial(np.asarray, image))
            index += 1
        self.problems.append(self._end(index))

    def close(self) -> None:
        """Let go of the camera, at once or, where its driver does not answer, when it does."""
        self._closed = True
        self._reader.join(CLOSE_SECONDS)
        self._silence.close()

    def _end(self, frames: int) -> str:
        """Why no frame follows these."""
        if not self.path.exists():
            return f"{self.path} was unplugged after {frames} frames"
        if frames:
            return f"{self.path} delivered {frames} frames and then nothing for {PATIENCE_SECONDS:g} s"
        return (f"it is open, but delivers nothing: expected a picture within {PATIENCE_SECONDS:g} s, which another program, a switch "
                "on the camera or a weak USB port may keep back")  # fmt: skip

    def _next(self) -> tuple[int, NDArray[np.uint8]] | None:
        """Stamp in nanoseconds and (H, W, 3) uint8 BGR of the next picture to arrive; None where none does."""
        with self._change:
            self._newest, self._wanted = None, True
            self._change.wait_for(lambda: self._newest is not None or self._ended, PATIENCE_SECONDS)
            return self._newest

    def _read(self) -> None:
        """Take every picture out of the driver's queue, so that none in it is old; runs in a thread, which owns the capture."""
        try:
            while not self._closed:
                stamp_ns, bgr = self._take()
                if bgr is not None:
                    with self._change:
                        self._newest, self._wanted = (stamp_ns, bgr), False
                        self._change.notify_all()
                elif not stamp_ns:
                    if not self.path.exists():
                        break
                    time.sleep(RETRY_SECONDS)
        finally:
            self._capture.release()
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _take(self) -> tuple[int, NDArray[np.uint8] | None]:
        """The next picture's stamp, 0 for none; and its pixels where they are wanted and were not damaged on their way."""
        stamp_ns = 0
        with contextlib.suppress(cv2.error):
            stamp_ns = time.time_ns() if self._capture.grab() else 0
            if stamp_ns and self._wanted:
                there, bgr = self._capture.retrieve()
                if there and bgr.ndim == 3 and bgr.shape[2] == 3:
                    return stamp_ns, bgr
        return stamp_ns, None


def _open(device: Path) -> Any:
    """A cv2.VideoCapture of the device."""
    capture = cv2.VideoCapture(str(device.resolve()), cv2.CAP_V4L2)
    if not capture.isOpened():
        raise DataError(f"{device} cannot be opened as a camera: expected one that no other program uses and that has pictures, which "
                        "the second device of a webcam has not")  # fmt: skip
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT)
    return capture


def _is_character_device(place: Path) -> bool:
    try:
        return stat.S_ISCHR(place.stat().st_mode)
    except (OSError, ValueError):  # whoever opens it says why it cannot be
        return False


def _is_video_device(place: Path) -> bool:
    return _is_character_device(place) and os.major(place.stat().st_rdev) == V4L_MAJOR


def _present() -> str:
    """What could have been named instead."""
    found = sorted((place for place in DEVICES.glob("video[0-9]*") if _is_video_device(place)), key=natural_order)
    if not found:
        return "expected a webcam, and none is connected (a container or virtual machine has to be given it)"
    return f"expected one of {', '.join(map(str, found))}"
