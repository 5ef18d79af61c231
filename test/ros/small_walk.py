# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A labelled walk of four images, made from the sample drive and what the shipped model finds on it."""

import zipfile
from pathlib import Path

import cv2
import numpy as np

from tasktp_ros.datasets.frames import open_source
from tasktp_ros.datasets.pictures import decode_picture
from tasktp_ros.datasets.sample import SAMPLE
from tasktp_ros.datasets.scannet import SensWriter
from tasktp_ros.datasets.scannet.labels import TABLE, graded_categories
from tasktp_ros.evaluation.search.steps import LEAST_AREA

MODEL, FRAMES, STEPS = "rooms-nano", 271, 4


def make_walk(root: Path) -> str:
    """Write the walk; label pictures agree with what the model finds on the third image alone. Returns the category."""
    from tasktp_ros import TaskDetector

    folder = root / "scans" / "scene0001_00"
    folder.mkdir(parents=True)
    with open_source(SAMPLE) as source:
        stored = [cv2.imencode(".jpg", frame.image[..., ::-1])[1].tobytes() for frame in source][::4]
    number, raw, target, area = something_to_find(TaskDetector.load(MODEL), stored)
    height, width = area.shape
    with SensWriter(folder / "scene0001_00.sens", (height, width), (2, 2), np.eye(4), np.eye(4)) as writer:
        for frame in range(FRAMES):
            picture = stored[(number + frame // 90 - 2) % len(stored)]
            writer.write(picture, np.zeros((2, 2), np.uint16), np.eye(4), frame * 33333)
    for kind, dtype, value in (("label", np.uint16, 99), ("instance", np.uint8, 1)):
        with zipfile.ZipFile(folder / f"scene0001_00_2d-{kind}-filt.zip", "w") as archive:
            for frame in range(0, FRAMES, 90):
                there = area if frame == 180 else area & False
                encoded = cv2.imencode(".png", np.where(there, value, 0).astype(dtype))[1].tobytes()
                archive.writestr(f"{kind}-filt/{frame}.png", encoded)
    (root / TABLE).write_text(f"id\traw_category\n99\t{raw}\n")
    return target


def something_to_find(detector, stored: list[bytes]) -> tuple[int, str, str, np.ndarray]:
    """Number of a picture, a category that is found on it when it alone is asked for, and the pixels it is found on."""
    for number, picture in enumerate(stored):
        image = decode_picture(picture, "picture")
        for raw, (target, grade) in graded_categories("rooms").items():
            detector.set_task([target])
            found = detector.detect(image)
            area = found.instance_map() == 1
            if grade == "A" and area.mean() >= LEAST_AREA and found.scores[0] > 0.6:
                return number, raw, target, area
    raise AssertionError("the model finds nothing on the sample drive")
