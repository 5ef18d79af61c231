# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Cuts the walk that comes with the package out of the recording it is from: `python -m tasktp_ros.datasets.cut_walk SOURCE [FOLDER]`.

SOURCE is the office walk of the public repository ardaduz/deep-video-mvs (MIT licence) as a folder with `color/`, `poses.txt`,
`K.txt` and `LICENSE`. Pictures keep their size and are compressed anew, poses and camera come along, depth does not.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import BagWriter
from tasktp_ros.datasets.folder_frames import FolderSource
from tasktp_ros.datasets.frame import DEFAULT_FRAME_ID, period_stamp
from tasktp_ros.datasets.pictures import encode_picture, read_bytes
from tasktp_ros.datasets.sample import OFFICE_WALK
from tasktp_ros.datasets.to_bag import COLOR_TOPIC, WORLD_FRAME
from tasktp_ros.errors import DataError

FIRST, FRAMES = 252, 121
"""Chairs come into view in the first third, plants in the second, and a couch with a backpack, plants and chairs in the last."""
JPEG_QUALITY = 80
NOTICE = "LICENSE"


def cut_walk(source: Path, path: Path = OFFICE_WALK, first: int = FIRST, frames: int = FRAMES) -> Path:
    """Write a stretch of an RGB-D folder as a rosbag2 with the notice beside it; only the package's own walk is replaced.

    Args:
        source: the folder.
        path: of the bag.
        first: number of the first frame in name order, counted from 0.
        frames: how many.

    Raises:
        DataError: a folder without that stretch, its poses, intrinsics or licence, a picture that cannot be read, or a bag of that name.
    """
    walk = FolderSource(source)
    extras = walk.extras()
    notice = read_bytes(source / NOTICE)
    if extras is None or extras.intrinsics is None or extras.pose(0) is None:
        raise DataError(f"{source} lacks poses.txt or K.txt")
    if first + frames > len(walk.files):
        raise DataError(f"{source} has {len(walk.files)} pictures, so none from {first} to {first + frames - 1}")
    if path == OFFICE_WALK:
        shutil.rmtree(path, ignore_errors=True)
    with BagWriter(path) as bag:
        for frame in walk:
            place = frame.index - first
            if not 0 <= place < frames:
                continue
            stamp_ns, size = period_stamp(place, walk.rate), frame.image.shape[:2]
            encoded = encode_picture(frame.image, quality=JPEG_QUALITY)
            record = records.compressed_record(encoded, stamp_ns, DEFAULT_FRAME_ID)
            bag.write(f"{COLOR_TOPIC}/compressed", records.COMPRESSED_IMAGE, stamp_ns, record)
            info_topic = COLOR_TOPIC.replace("image_raw", "camera_info")
            bag.write_camera_info(info_topic, stamp_ns, DEFAULT_FRAME_ID, (size[0], size[1]), extras.intrinsics)
            bag.write_pose(stamp_ns, WORLD_FRAME, DEFAULT_FRAME_ID, np.asarray(extras.pose(frame.index)))
        if walk.problems:
            raise DataError(walk.problems[0])
    (path / NOTICE).write_bytes(notice)
    return path


if __name__ == "__main__":
    print(cut_walk(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else OFFICE_WALK))
