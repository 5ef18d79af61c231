# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Draws the sample that comes with the package: `python -m tasktp_ros.datasets.rooms.sample_walk [FOLDER]`."""

import shutil
import sys
from pathlib import Path

import numpy as np

from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import BagWriter
from tasktp_ros.datasets.frame import DEFAULT_FRAME_ID, DEFAULT_RATE, period_stamp
from tasktp_ros.datasets.pictures import encode_picture
from tasktp_ros.datasets.rooms.render import Painter, View, load_mujoco
from tasktp_ros.datasets.rooms.sensor import expose
from tasktp_ros.datasets.rooms.walks import FIELD, intrinsic_of, room_at
from tasktp_ros.datasets.sample import SAMPLE

SEED = (9, 54)
"""A flat of four rooms that no training set holds; its drive passes things for all three tasks of the demonstration."""
ROOMS, FRAMES, EVERY = 4, 64, 6
SIZE = (480, 640)
HEIGHT, PITCH = 1.2, -0.3
JPEG_QUALITY = 85


def draw_sample(path: Path = SAMPLE) -> Path:
    """Render the walk and write it as a rosbag2; only the sample that comes with the package is replaced."""
    load_mujoco()
    from tasktp_ros.datasets.rooms.paths import drive
    from tasktp_ros.datasets.rooms.scene import build_scene

    random = np.random.default_rng(SEED)
    scene = build_scene(SEED, ROOMS)
    poses = drive(scene.flat, scene.placed, FRAMES * EVERY, random)[::EVERY]
    if path == SAMPLE:
        shutil.rmtree(path, ignore_errors=True)
    intrinsics = intrinsic_of(SIZE)[:3, :3]
    with Painter(scene, *SIZE, finer=1.5) as painter, BagWriter(path) as bag:
        for index, (x, y, yaw) in enumerate(poses):
            view = View((float(x), float(y), HEIGHT), float(yaw), PITCH, FIELD, room_at(scene.flat, float(x), float(y)))
            colour = expose(painter.colour(view), np.random.default_rng((*SEED, 2)))
            encoded = encode_picture(colour, quality=JPEG_QUALITY)
            stamp_ns = period_stamp(index, DEFAULT_RATE)
            record = records.compressed_record(encoded, stamp_ns, DEFAULT_FRAME_ID)
            bag.write("/camera/color/image_raw/compressed", records.COMPRESSED_IMAGE, stamp_ns, record)
            bag.write_camera_info("/camera/color/camera_info", stamp_ns, DEFAULT_FRAME_ID, SIZE, intrinsics)
            bag.write_pose(stamp_ns, "map", DEFAULT_FRAME_ID, view.camera_to_world())
    return path


if __name__ == "__main__":
    print(draw_sample(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE))
