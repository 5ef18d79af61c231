# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Writes rosbag2 recordings (MCAP or SQLite) without ROS, so that any folder or video can be replayed like a camera.

A bag appears under its name only when it is whole: it is written in a folder beside and moved there at the end.
"""

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from tasktp_ros.datasets import records
from tasktp_ros.datasets.plain_paths import PlainPath
from tasktp_ros.errors import DataError

StorageFormat = Literal["mcap", "sqlite3"]
METADATA_VERSION: Literal[8] = 8  # what ROS 2 Jazzy writes; Humble's player reads it as well
LATEST = (1 << 63) - 1

_TF = "tf2_msgs/msg/TFMessage"
_CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


class BagWriter:
    """Adds messages to a new bag inside `with`; leaves nothing behind when the block ends in an error."""

    def __init__(self, path: str | Path, storage: StorageFormat = "mcap") -> None:
        self.path = Path(path).expanduser()
        if self.path.exists():
            raise DataError(f"{self.path} exists already: remove it or choose another name for the bag")
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._workshop = Path(tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=self.path.parent))
            self._link = PlainPath(self._workshop)
        except OSError as error:
            raise DataError(f"no bag can be written at {self.path}: {error.strerror}") from error
        # Files inside a bag are named after it, in metadata and SQLite's addresses, which do not hold every name.
        self._name = re.sub(r"[^A-Za-z0-9._-]", "_", self.path.name)
        self._writer = Writer(self._link.path / self._name, version=METADATA_VERSION, storage_plugin=plugin)
        if storage == "mcap":
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> "BagWriter":
        with self._one_sentence():
            self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self._one_sentence():
                    self._writer.close()
                    os.replace(self._workshop / self._name, self.path)
        finally:
            shutil.rmtree(self._workshop, ignore_errors=True)
            self._link.close()

    def write(self, topic: str, message_type: str, stamp_ns: int, record: bytes) -> None:
        """Add one serialised message, recorded at `stamp_ns` nanoseconds; a bag's time begins with 1970.

        Raises:
            DataError: there is no room.
        """
        with self._one_sentence():
            connection = self._connections.get(topic)
            if connection is None:
                connection = self._writer.add_connection(topic, message_type, typestore=records.message_types())
                self._connections[topic] = connection
            self._writer.write(connection, min(max(stamp_ns, 0), LATEST), record)

    @contextlib.contextmanager
    def _one_sentence(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise DataError(f"the bag {self.path} cannot be written: {reason}") from error

    def write_camera_info(
        self, topic: str, stamp_ns: int, frame_id: str, size: tuple[int, int], intrinsics: NDArray[np.float64]
    ) -> None:
        """Add a sensor_msgs/CameraInfo without distortion; size (H, W) px, intrinsics (3, 3) px."""
        types = records.message_types().types
        region = types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        message = types[_CAMERA_INFO](
            header=records.header(stamp_ns, frame_id),
            height=size[0],
            width=size[1],
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=np.asarray(intrinsics, np.float64).reshape(9),
            r=np.eye(3).reshape(9),
            p=np.hstack([intrinsics, np.zeros((3, 1))]).reshape(12),
            binning_x=0,
            binning_y=0,
            roi=region,
        )
        self.write(topic, _CAMERA_INFO, stamp_ns, records.serialise(message))

    def write_pose(self, stamp_ns: int, parent: str, child: str, pose: NDArray[np.float64]) -> None:
        """Add the (4, 4) pose of frame `child` in frame `parent`, metres, to /tf."""
        types = records.message_types().types
        x, y, z, w = quaternion(pose[:3, :3])
        transform = types["geometry_msgs/msg/Transform"](
            translation=types["geometry_msgs/msg/Vector3"](*(float(value) for value in pose[:3, 3])),
            rotation=types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w),
        )
        stamped: Any = types["geometry_msgs/msg/TransformStamped"](
            header=records.header(stamp_ns, parent), child_frame_id=child, transform=transform
        )
        self.write("/tf", _TF, stamp_ns, records.serialise(types[_TF](transforms=[stamped])))


def quaternion(rotation: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w), w >= 0, of a (3, 3) rotation matrix."""
    m = np.asarray(rotation, np.float64)
    # The symmetric matrix whose largest eigenvector is the quaternion: stable for every angle.
    table = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    vector = np.linalg.eigh(table)[1][:, -1]
    x, y, z, w = (float(value) for value in (vector if vector[3] >= 0 else -vector))
    return x, y, z, w
