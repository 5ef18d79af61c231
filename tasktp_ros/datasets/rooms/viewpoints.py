# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Where pictures are taken from: anywhere in a room, or aimed at an object so that rare categories are seen too."""

import math
from collections import Counter

import numpy as np

from tasktp_ros.datasets.rooms.flat import WALL, Room
from tasktp_ros.datasets.rooms.placement import Placed
from tasktp_ros.datasets.rooms.render import View
from tasktp_ros.datasets.rooms.scene import Scene

AIMED_SHARE = 0.6
CLEARANCE = 0.15


def draw_view(scene: Scene, random: np.random.Generator) -> View:
    """A viewpoint 0.5 to 1.7 m above the floor, vertical angle of view 43 to 60 degrees (55 to 75 across at 4:3)."""
    field = math.radians(random.uniform(43, 60))
    targets = [p for p in scene.placed if p.thing.category]
    if targets and random.random() < AIMED_SHARE:
        view = _aimed(scene, _rare(targets, random), field, random)
        if view is not None:
            return view
    room_index = int(random.integers(len(scene.flat.rooms)))
    room = scene.flat.rooms[room_index]
    x, y = _standing_place(scene, room, room_index, random)
    middle_x, middle_y = room.middle
    towards = math.atan2(middle_y - y, middle_x - x) + random.normal(0, 0.7)
    height = float(random.uniform(0.5, 1.7))
    pitch = math.radians(random.uniform(-30, 2)) * (0.3 + 0.4 * height)
    return View((x, y, height), towards, pitch, field, room_index)


def _rare(targets: list[Placed], random: np.random.Generator) -> Placed:
    """One of the things, a category with few of them as often as one with many."""
    counts = Counter(placed.thing.category for placed in targets)
    weights = np.array([1.0 / counts[placed.thing.category] for placed in targets])
    return targets[int(random.choice(len(targets), p=weights / weights.sum()))]


def _aimed(scene: Scene, target: Placed, field: float, random: np.random.Generator) -> View | None:
    room = scene.flat.rooms[target.room]
    size = float(np.linalg.norm(target.thing.size))
    centre = (*np.array(target.position), 0.0, 0.0, target.thing.size[2] / 2)
    for _ in range(12):
        distance = float(np.exp(random.uniform(np.log(max(0.5, 1.1 * size)), np.log(max(3.5, 2.0 * size)))))
        height = float(random.uniform(0.5, 1.7))
        rise = height - centre[2]
        if abs(rise) > 0.85 * distance:
            continue
        # Things are made to be seen from the front, and half of them stand at a wall.
        angle = target.yaw - math.pi / 2 + float(random.normal(0, 0.8))
        flat = math.sqrt(distance**2 - rise**2)
        x, y = centre[0] + flat * math.cos(angle), centre[1] + flat * math.sin(angle)
        if _free(scene, room, target.room, x, y, height):
            yaw = math.atan2(centre[1] - y, centre[0] - x) + float(random.uniform(-0.4, 0.4)) * field
            pitch = math.atan2(-rise, flat) + float(random.uniform(-0.35, 0.35)) * field
            return View((float(x), float(y), height), yaw, max(-0.95, min(0.35, pitch)), field, target.room)
    return None


def _standing_place(scene: Scene, room: Room, index: int, random: np.random.Generator) -> tuple[float, float]:
    for _ in range(30):
        x, y = (float(random.uniform(low + 0.25, high - 0.25)) for low, high in zip(room.low, room.high, strict=True))
        if _free(scene, room, index, x, y, 1.0):
            return x, y
    return room.middle


def _free(scene: Scene, room: Room, index: int, x: float, y: float, height: float) -> bool:
    """Whether a camera fits there: inside the room, and in nothing that is as high as the camera."""
    edge = WALL + 0.1
    if not (room.low[0] + edge < x < room.high[0] - edge and room.low[1] + edge < y < room.high[1] - edge):
        return False
    for placed in scene.placed:
        bottom, top = placed.position[2], placed.position[2] + placed.thing.size[2]
        if placed.room == index and bottom - CLEARANCE < height < top + CLEARANCE:
            low_x, low_y, high_x, high_y = placed.footprint()
            if low_x - CLEARANCE < x < high_x + CLEARANCE and low_y - CLEARANCE < y < high_y + CLEARANCE:
                return False
    return True
