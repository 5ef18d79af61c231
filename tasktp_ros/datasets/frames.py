# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""One way to read frames, whatever they come from: replaying, converting and demonstrating walk through `open_source(path)`."""

from pathlib import Path

from tasktp_ros.datasets.bag_frames import BAG_SUFFIXES, BagSource, is_bag
from tasktp_ros.datasets.camera_frames import CameraSource, camera_device
from tasktp_ros.datasets.folder_frames import IMAGE_SUFFIXES, FolderSource
from tasktp_ros.datasets.frame import DEFAULT_RATE, FrameSource
from tasktp_ros.datasets.scannet.source import SensSource
from tasktp_ros.datasets.video_frames import VIDEO_SUFFIXES, VideoSource
from tasktp_ros.errors import DataError


def open_source(
    path: str | Path, *, topic: str | None = None, rate: float | None = None, live: bool = False
) -> FrameSource:
    """Open a rosbag2 (folder, .mcap or .db3), a ScanNet recording (.sens or its folder), a folder of images, one image, or
    a video; or, where `live`, a webcam by "camera", "camera:1" or its device.

    topic: which image topic of a bag, None = the only colour one.  rate: Hz for stamps of the others, None = 5 Hz for
    folders, 30 Hz for ScanNet's and the video's own.  Raises DataError for paths that are missing, empty, unknown or without images,
    and for a camera that cannot be had or is none where a recording is needed.
    """
    place = Path(path).expanduser()
    if rate is not None and not 0.001 <= rate <= 100_000.0:
        raise DataError(f"a rate of {rate} Hz was asked for: expected 0.001 to 100000")
    device = camera_device(path)
    if device is not None:
        if not live:
            raise DataError(
                f"{path} is a camera, which has no end: expected a ROS 2 bag, a .sens file, a folder of images or a video"
            )
        return CameraSource(device)
    if not place.exists():
        other = ", a video or a camera" if live else " or a video"
        raise DataError(f"{place} does not exist: expected a ROS 2 bag, a .sens file, a folder of images{other}")
    suffix = place.suffix.lower()
    if suffix == ".sens" or (place / f"{place.name}.sens").is_file():
        return SensSource(place, rate)
    if is_bag(place):
        return BagSource(place, topic)
    if place.is_dir() or suffix in IMAGE_SUFFIXES:
        return FolderSource(place, rate or DEFAULT_RATE)
    if suffix in VIDEO_SUFFIXES:
        return VideoSource(place, rate)
    if suffix == ".bag":
        raise DataError(f"{place} is a ROS 1 bag: convert it with `rosbags-convert --src {place.name} --dst new_bag`")
    raise DataError(
        f"{place} is of an unknown kind: expected a rosbag2 folder, {', '.join(sorted(BAG_SUFFIXES | VIDEO_SUFFIXES | {'.sens'}))} "
        "or a folder of images"
    )
