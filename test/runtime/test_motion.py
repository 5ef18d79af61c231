# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Known motion: tokens go where a slow twin, which projects pixel by pixel, sees them go."""

import cv2
import numpy as np
import pytest

from tasktp_ros.errors import InputError
from tasktp_ros.runtime.motion import View, carried, uncovered
from tasktp_ros.vision.image import PATCH, ImageFrame, InputSize, frame_for

HEIGHT, WIDTH = 120, 200
FRAME = frame_for(HEIGHT, WIDTH, InputSize(240, 400))
GRID = (FRAME.padded[0] // PATCH, FRAME.padded[1] // PATCH)
INTRINSICS = np.array([[150.0, 0, WIDTH / 2 - 0.5], [0, 150.0, HEIGHT / 2 - 0.5], [0, 0, 1]])


def pose(turn: tuple[float, float, float] = (0, 0, 0), move: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.array(turn, float))[0]
    matrix[:3, 3] = move
    return matrix


def wall(camera: np.ndarray, normal: np.ndarray, distance: float) -> np.ndarray:
    """Depth image (H, W) of the plane normal . x = distance, in world coordinates, as a camera sees it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack((x, y, np.ones_like(x)), -1) @ np.linalg.inv(INTRINSICS).T
    depth = (distance - normal @ camera[:3, 3]) / (rays @ camera[:3, :3].T @ normal)
    return np.where(depth > 0, depth, 0).astype(np.float32)


def pixel_by_pixel(here: View, there: View) -> np.ndarray:
    """(H, W, 2) for each pixel of one view x and y px on the other's image, one after the other; nan behind the camera."""
    turn = np.linalg.inv(there.pose) @ here.pose
    places = np.full((HEIGHT, WIDTH, 2), np.nan)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            ray = np.linalg.inv(here.intrinsics) @ (x, y, 1.0)
            depth = 0.0 if here.depth is None else here.depth[y, x]
            point = turn[:3, :3] @ ray if depth == 0 else turn[:3, :3] @ (depth * ray) + turn[:3, 3]
            if point[2] > 0:
                places[y, x] = (there.intrinsics @ point)[:2] / point[2] + 0.5
    return places


def token_of(x: float, y: float, frame: ImageFrame = FRAME) -> tuple[int, int]:
    down, along = frame.content[0] / frame.source[0], frame.content[1] / frame.source[1]
    return int(y * down // PATCH), int(x * along // PATCH)


def slowly_carried(kept: np.ndarray, last: View, now: View) -> np.ndarray:
    found = np.zeros_like(kept)
    places = pixel_by_pixel(last, now)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            there = places[y, x]
            if kept[token_of(x + 0.5, y + 0.5)] and 0 <= there[0] < WIDTH and 0 <= there[1] < HEIGHT:
                found[token_of(*there)] = True
    return found


def grown(mask: np.ndarray) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


MOTIONS = {
    "still": pose(),
    "turn": pose(turn=(0, 0.1, 0)),
    "turn and nod": pose(turn=(0.05, -0.2, 0.02)),
    "ahead": pose(move=(0, 0, 0.4)),
    "aside": pose(move=(0.3, 0, 0)),
    "back and turn": pose(turn=(0, 0.1, 0), move=(-0.1, 0.05, -0.3)),
}


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS.keys())
@pytest.mark.parametrize("known_depth", [True, False])
def test_tokens_go_where_their_pixels_go(motion, known_depth):
    normal = np.array([0.3, 0.2, 1.0])
    last = View(pose(), INTRINSICS, wall(pose(), normal, 2.5) if known_depth else None)
    now = View(motion, INTRINSICS)
    kept = np.zeros(GRID, bool)
    kept[3:7, 4:9] = kept[10, 20] = True
    found, slow = carried(kept, FRAME, last, now), slowly_carried(kept, last, now)
    assert found.any()
    assert (found <= grown(slow)).all() and (slow <= grown(found)).all(), "a margin of one token holds the difference"
    assert (found != slow).sum() <= 0.2 * slow.sum()


def test_a_camera_that_stands_still_moves_nothing():
    kept = np.random.default_rng(0).random(GRID) < 0.3
    inside = np.zeros(GRID, bool)
    inside[: -(-FRAME.content[0] // PATCH), : -(-FRAME.content[1] // PATCH)] = True
    view = View(pose(), INTRINSICS, wall(pose(), np.array([0.0, 0, 1]), 2.0))
    assert np.array_equal(carried(kept, FRAME, view, view), kept & inside)
    assert not uncovered(GRID, FRAME, view, view).any()


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS.keys())
def test_what_the_last_image_did_not_show_is_uncovered(motion):
    normal = np.array([0.3, 0.2, 1.0])
    last = View(pose(), INTRINSICS, wall(pose(), normal, 2.5))
    now = View(motion, INTRINSICS, wall(motion, normal, 2.5))
    found = uncovered(GRID, FRAME, last, now)
    places = pixel_by_pixel(now, last)
    outside = ~((places >= 0) & (places < (WIDTH, HEIGHT))).all(-1)
    slow = np.zeros(GRID, bool)
    for y, x in np.argwhere(outside):
        slow[token_of(x + 0.5, y + 0.5)] = True
    # A pixel at a token's edge may be uncovered while none of the token's sixteen points is, and the other way round.
    assert (found <= grown(slow)).all() and (slow <= grown(found)).all()
    assert (found != slow).sum() <= max(2, 0.2 * slow.sum())


def test_what_was_hidden_behind_something_near_is_uncovered():
    near = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    near[:, 80:120] = 1.0
    aside = pose(move=(0.4, 0, 0))  # what is near moves by 60 px, what is far by 15
    after = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    after[:, 20:60] = 1.0
    found = uncovered(GRID, FRAME, View(pose(), INTRINSICS, near), View(aside, INTRINSICS, after))
    middle = found[GRID[0] // 2]
    hidden = np.zeros(GRID[1], bool)
    hidden[[token_of(x, 0)[1] for x in range(67, 103)]] = True  # far, and on the last image behind x = 80 to 120
    hidden[[token_of(x, 0)[1] for x in range(187, 200)]] = True  # outside the last image
    assert np.count_nonzero(middle != hidden) <= 2, (middle, hidden)


@pytest.mark.parametrize("bad", [np.eye(3), np.full((4, 4), np.nan)])
def test_a_pose_must_be_a_finite_matrix(bad):
    with pytest.raises(InputError, match="pose must be a finite matrix"):
        View(bad, INTRINSICS)
    with pytest.raises(InputError, match="intrinsics"):
        View(pose(), np.eye(4))
    with pytest.raises(InputError, match="depth"):
        View(pose(), INTRINSICS, np.zeros(3))
