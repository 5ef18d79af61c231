# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Turns any source of frames into a rosbag2: colour, and depth, camera info and poses where the source has them."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import BagWriter
from tasktp_ros.datasets.frame import Frame, FrameSource
from tasktp_ros.datasets.pictures import encode_picture
from tasktp_ros.datasets.rgbd import RgbdExtras
from tasktp_ros.errors import DataError

COLOR_TOPIC = "/camera/color/image_raw"
DEPTH_TOPIC = "/camera/depth/image_raw"
WORLD_FRAME = "map"


def write_bag(source: FrameSource, writer: BagWriter, *, raw: bool) -> dict[str, Any]:
    """Write all frames of a source.

    Args:
        source: open.
        writer: open; the bag appears when its block ends.
        raw: store decoded rgb8 images instead of JPEG or PNG.

    Returns:
        Counts, the colour topic, the duration in seconds and the problems met on the way.

    Raises:
        DataError: no frame can be read.
    """
    extras = source.extras()
    topic, message_type = (
        (COLOR_TOPIC, records.IMAGE) if raw else (f"{COLOR_TOPIC}/compressed", records.COMPRESSED_IMAGE)
    )
    counts = {"frames": 0, "depth": 0, "poses": 0}
    first_ns = last_ns = 0
    for frame in tqdm(source, total=source.length, unit="frame", file=sys.stderr, disable=None):
        try:
            record = frame.decoded().record if raw else _compressed(frame)
            beside = None if extras is None else _Beside(frame, extras, source.problems)
        except DataError as error:
            source.problems.append(f"frame {frame.index} was skipped: {error}")
            continue
        writer.write(topic, message_type, frame.stamp_ns, record)
        if beside is not None:
            beside.write(writer, counts)
        first_ns = first_ns if counts["frames"] else frame.stamp_ns
        last_ns = frame.stamp_ns
        counts["frames"] += 1
    if not counts["frames"]:
        raise source.nothing_readable()
    duration = (last_ns - first_ns) / records.NANOSECONDS
    return {"source": str(source.path), "topic": topic, **counts, "duration": duration, "problems": source.problems}


def encoded(frame: Frame) -> tuple[bytes, str]:
    """A frame's picture as it is stored, or else as a new JPEG: bytes and "jpeg" or "png".

    Raises:
        DataError: the picture cannot be decoded.
    """
    if frame.load_encoded is not None:
        stored, kind = frame.load_encoded()
        if kind in ("jpeg", "png"):
            return stored, kind
    return encode_picture(frame.image), "jpeg"


def _compressed(frame: Frame) -> bytes:
    stored, kind = encoded(frame)
    if frame.message_type == records.COMPRESSED_IMAGE:
        return frame.record
    return records.compressed_record(stored, frame.stamp_ns, frame.frame_id, kind)


class _Beside:
    """What lies beside one frame, read before anything of the frame is written."""

    def __init__(self, frame: Frame, extras: RgbdExtras, problems: list[str]) -> None:
        self.frame, self.extras = frame, extras
        self.size = extras.colour_size or (frame.image.shape[0], frame.image.shape[1])
        self.depth = extras.readable_depth(frame.index, problems)
        self.pose = extras.pose(frame.index)

    def write(self, writer: BagWriter, counts: dict[str, int]) -> None:
        self._info(writer, COLOR_TOPIC, self.size, self.extras.intrinsics)
        if self.depth is not None:
            frame, size = self.frame, (self.depth.shape[0], self.depth.shape[1])
            record = records.image_record(self.depth, frame.stamp_ns, frame.frame_id, "16UC1")
            writer.write(DEPTH_TOPIC, records.IMAGE, frame.stamp_ns, record)
            self._info(writer, DEPTH_TOPIC, size, self.extras.depth_intrinsics(self.size, size))
            counts["depth"] += 1
        if self.pose is not None:
            writer.write_pose(self.frame.stamp_ns, WORLD_FRAME, self.frame.frame_id, self.pose)
            counts["poses"] += 1

    def _info(
        self, writer: BagWriter, topic: str, size: tuple[int, int], intrinsics: NDArray[np.float64] | None
    ) -> None:
        if intrinsics is not None:
            topic = topic.replace("image_raw", "camera_info")
            writer.write_camera_info(topic, self.frame.stamp_ns, self.frame.frame_id, size, intrinsics)
