# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a camera's known motion says about its next image: where tokens went, and which tokens show something new.

Sixteen points of each token are projected from one view into the other; with depth to where they are, without it as if
they were far away, which is right for a camera that turns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import InputError
from tasktp_ros.vision.image import PATCH, ImageFrame

SAMPLES = 4
"""Points per token and axis."""
SAME_SURFACE = 0.1
"""Depths that differ by less than this share belong to one surface."""


@dataclass(frozen=True)
class View:
    """Where a camera is and how it sees while it takes an image.

    Attributes:
        pose: (4, 4) float camera to world, metres; camera axes x right, y down, z forward.
        intrinsics: (3, 3) float matrix, px of the source image; the middle of its first pixel is (0, 0).
        depth: (h, w) float metres on the image's rays, of any size; 0 or not finite = unknown. None = unknown everywhere.

    Raises:
        InputError: other shapes, or a pose or matrix that is not finite.
    """

    pose: NDArray[np.floating]
    intrinsics: NDArray[np.floating]
    depth: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        for name, matrix, shape in (("pose", self.pose, (4, 4)), ("intrinsics", self.intrinsics, (3, 3))):
            if matrix.shape != shape or not np.isfinite(matrix).all():
                raise InputError(f"a view's {name} must be a finite matrix {shape}, got shape {matrix.shape}")
        if self.depth is not None and (self.depth.ndim != 2 or self.depth.size == 0):
            raise InputError(f"a view's depth must have shape (height, width), got {self.depth.shape}")


def carried(kept: NDArray[np.bool_], frame: ImageFrame, last: View, now: View) -> NDArray[np.bool_]:
    """Where kept tokens of the last image are on this one.

    Args:
        kept: (h, w) tokens of the last image.
        frame: geometry of both images.

    Returns:
        (h, w) bool tokens of this image.
    """
    there, _ = project(token_points(kept, frame), frame, last, now)
    found = np.zeros_like(kept)
    rows, columns = _tokens_at(there[_inside(there, frame)], frame)
    found[rows, columns] = True
    return found


def uncovered(grid: tuple[int, int], frame: ImageFrame, last: View, now: View) -> NDArray[np.bool_]:
    """Tokens of this image with a point that the last image did not show: outside it, or behind another surface.

    Args:
        grid: tokens (h, w) of an image.
        frame: geometry of both images.

    Returns:
        (h, w) bool; False in the padding.
    """
    points = token_points(np.ones(grid, bool), frame)
    there, distance = project(points, frame, now, last)
    new = ~_inside(there, frame)
    if now.depth is not None and last.depth is not None:
        seen = _depth_at(there, last.depth, frame)
        # A point that is farther away than what the last image showed in its direction was hidden.
        new |= (seen > 0) & (_depth_at(points, now.depth, frame) > 0) & (distance > seen * (1 + SAME_SURFACE))
    found = np.zeros(grid, bool)
    rows, columns = _tokens_at(points[new], frame)
    found[rows, columns] = True
    return found


def project(
    points: NDArray[np.float64], frame: ImageFrame, here: View, there: View
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where points of one view's image are on another's.

    Args:
        points: (P, 2) x, y px of the source image; its left upper corner is (0, 0).
        frame: geometry of both images.

    Returns:
        (P, 2) x, y px, not finite behind the camera; (P,) depth there in metres, infinite where it is unknown here.
    """
    turn = np.linalg.inv(there.pose.astype(np.float64)) @ here.pose.astype(np.float64)
    rays = np.column_stack((points - 0.5, np.ones(len(points)))) @ np.linalg.inv(here.intrinsics).T
    depth = np.zeros(len(points)) if here.depth is None else _depth_at(points, here.depth, frame)
    known = depth > 0
    moved = np.where(known, depth, 1.0)[:, None] * rays @ turn[:3, :3].T + known[:, None] * turn[:3, 3]
    pixels = moved @ there.intrinsics.T
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.where(moved[:, 2:] > 0, pixels[:, :2] / pixels[:, 2:], np.nan) + 0.5
    return places, np.where(known, moved[:, 2], np.inf)


def token_points(tokens: NDArray[np.bool_], frame: ImageFrame) -> NDArray[np.float64]:
    """Evenly spread points (P, 2) x, y px of the source image on tokens (h, w); none in the padding."""
    rows, columns = np.nonzero(tokens)
    offsets = (np.arange(SAMPLES) + 0.5) / SAMPLES
    y = np.repeat((rows[:, None] + offsets) * PATCH, SAMPLES, axis=1).ravel()
    x = np.tile((columns[:, None] + offsets) * PATCH, (1, SAMPLES)).ravel()
    points = np.column_stack((x, y)) * _scale(frame)
    return points[_inside(points, frame)]


def _scale(frame: ImageFrame) -> NDArray[np.float64]:
    """Source px per px of the input, along x and y."""
    return np.array([frame.source[1] / frame.content[1], frame.source[0] / frame.content[0]])


def _inside(points: NDArray[np.float64], frame: ImageFrame) -> NDArray[np.bool_]:
    inside = (points >= 0) & (points < np.array(frame.source[::-1]))  # False for what is not finite
    return inside[:, 0] & inside[:, 1]


def _tokens_at(points: NDArray[np.float64], frame: ImageFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    columns, rows = (points / _scale(frame) / PATCH).astype(np.intp).T
    return rows, columns


def _depth_at(points: NDArray[np.float64], depth: NDArray[np.floating], frame: ImageFrame) -> NDArray[np.float64]:
    """Depth at points (P, 2) px of the source image; 0 where it is unknown or a point lies outside."""
    inside = _inside(points, frame)
    at = np.where(inside[:, None], points, 0.0) / np.array(frame.source[::-1]) * np.array(depth.shape[::-1])
    columns, rows = at.astype(np.intp).T
    found = depth[rows, columns].astype(np.float64)
    return np.where(inside & np.isfinite(found), found, 0.0)
