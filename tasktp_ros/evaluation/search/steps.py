# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The images a searching robot looks at, one every three seconds, and what can be seen on each of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.scannet.labels import LabelMap, category_masks
from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.errors import DataError

FRAMES_PER_STEP = 90
"""3 s at ScanNet's 30 frames per second."""
LEAST_AREA = 0.0025
"""Share of the image that an instance must cover to be visible."""
LEAST_FRAMES = 270
LEAST_POSES = 0.9
BROKEN = ("scene0217_00",)
"""Scans whose annotation holds objects twice."""


def step_frames(frames: int) -> range:
    """Frames of the steps of a recording of `frames` frames: 0, 90, 180, ..."""
    return range(0, frames, FRAMES_PER_STEP)


def unfit(scan: Scan) -> str:
    """Why a scan is not searched in; empty when it is fit.

    Only the first scan of a space counts, with label and instance pictures, 270 frames and 90 % known poses.
    """
    if not scan.name.endswith("_00"):
        return "it is a further scan of a space"
    if scan.name in BROKEN:
        return "its annotation holds objects twice"
    if scan.missing:
        return f"it lacks {', '.join(scan.missing)}"
    try:
        with scan.open() as recording:
            frames, known = len(recording), recording.finite_poses
    except DataError as error:
        return str(error)
    if frames < LEAST_FRAMES:
        return f"it has {frames} frames, fewer than {LEAST_FRAMES}"
    if known.mean() < LEAST_POSES:
        return f"tracking was lost in {1 - known.mean():.0%} of its frames"
    return ""


@dataclass(frozen=True)
class Sight:
    """What can be seen on one image.

    Attributes:
        masks: category -> masks (H, W) bool of its visible instances.
    """

    masks: dict[str, list[NDArray[np.bool_]]]

    def of(self, category: str) -> list[NDArray[np.bool_]]:
        """Masks of a category's visible instances."""
        return self.masks.get(category, [])


def look(scan: Scan, frame: int, labels: LabelMap) -> Sight:
    """Visible instances on a frame: those that cover at least 0.25 % of it.

    Raises:
        DataError: its label or instance picture is missing or unreadable, or they differ in size.
    """
    label_picture, instance_picture = scan.labels(frame), scan.instances(frame)
    if label_picture.shape != instance_picture.shape:
        raise DataError(f"label and instance picture of frame {frame} of {scan.folder} differ in size: "
                        f"{label_picture.shape} and {instance_picture.shape}")  # fmt: skip
    masks: dict[str, list[NDArray[np.bool_]]] = {}
    for category, mask in category_masks(label_picture, instance_picture, labels):
        if mask.mean() >= LEAST_AREA:
            masks.setdefault(category, []).append(mask)
    return Sight(masks)


def seen_in(scan: Scan, labels: LabelMap) -> tuple[int, dict[str, list[int]]]:
    """Number of steps of a scan, and category -> steps at which it is visible.

    Raises:
        DataError: as :func:`look`.
    """
    with scan.open() as recording:
        frames = step_frames(len(recording))
    found: dict[str, list[int]] = {}
    for step, frame in enumerate(frames):
        for category in sorted(look(scan, frame, labels).masks):
            found.setdefault(category, []).append(step)
    return len(frames), found
