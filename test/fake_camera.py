# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A webcam as V4L2 shows it: four buffers, of which the oldest comes first, and which stay as they are while nobody takes them.

The file that stands for its device says how it behaves: "busy", "silent", "damaged" (every second picture) or nothing of this. Removed
it is unplugged. A program that is started with `environment()` has such cameras instead of its own.
"""

import os
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from tasktp_ros.datasets import camera_frames

PERIOD = 0.02
BUFFERS = 4
DARK = 10  # pictures until the exposure is right


class FakeCamera:
    """Stands in for cv2.VideoCapture. Picture k has k in its blue channel, 10 in green and, once exposed, 200 in red."""

    opened: ClassVar[set[str]] = set()

    def __init__(self, path: str, backend: int) -> None:
        assert backend == cv2.CAP_V4L2
        self.path, self.asked, self.started, self.taken = Path(path), dict[int, float](), time.monotonic(), 0
        self.free = [0.0] * BUFFERS  # since when each buffer may be filled, the next one first
        self.mine = self.behaviour() != "busy" and path not in self.opened
        if self.mine:
            self.opened.add(path)

    def behaviour(self) -> str:
        return self.path.read_text() if self.path.exists() else "unplugged"

    def isOpened(self) -> bool:
        return self.mine

    def set(self, what: int, value: float) -> bool:
        self.asked[what] = value
        return True

    def grab(self) -> bool:
        """Wait for the oldest buffer, which was filled by the first picture after it was free and after the buffer before it."""
        if self.behaviour() in ("silent", "unplugged"):
            return False
        free = self.free.pop(0)
        self.taken = max(self.taken + 1, int(free / PERIOD) + 1)
        time.sleep(max(0.0, self.started + self.taken * PERIOD - time.monotonic()))
        self.free.append(time.monotonic() - self.started)
        return True

    def retrieve(self) -> tuple[bool, Any]:
        if self.behaviour() == "damaged" and self.taken % 2:
            return False, None
        size = int(self.asked[cv2.CAP_PROP_FRAME_HEIGHT]), int(self.asked[cv2.CAP_PROP_FRAME_WIDTH])
        picture = np.empty((*size, 3), np.uint8)
        picture[:] = (self.taken % 256, 10, 200 if self.taken > DARK else 0)
        return True, picture

    def now(self) -> int:
        """Number of the picture that is due now."""
        return int((time.monotonic() - self.started) / PERIOD)

    def release(self) -> None:
        assert threading.current_thread().name == "camera", "a camera is let go of by the thread that reads it"
        self.opened.discard(str(self.path))


def install(devices: Path, patch: Any = setattr) -> None:
    """Make the files of a folder this process's video devices."""
    patch(cv2, "VideoCapture", FakeCamera)
    patch(camera_frames, "DEVICES", devices)
    patch(camera_frames, "_is_video_device", lambda place: place.resolve().parent == devices)


def environment(folder: Path, devices: Path) -> dict[str, str]:
    """What a program's environment needs to have these cameras; `folder` gets a file that Python runs when it starts."""
    (folder / "sitecustomize.py").write_text(
        f"import pathlib, fake_camera\nfake_camera.install(pathlib.Path({str(devices)!r}))\n"
    )
    return {
        "PYTHONPATH": os.pathsep.join(
            [str(folder), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    }
