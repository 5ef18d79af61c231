# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The way of a robot through a flat: from room to room through the doors, around what stands there, never jumping."""

import heapq
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.rooms.flat import DOOR_WIDTH, WALL, Flat
from tasktp_ros.datasets.rooms.placement import Placed

CELL = 0.1
"""Side of a grid cell, metres."""
RADIUS = 0.2
"""Distance that the robot's middle keeps from furniture and walls, metres."""
TURN = math.radians(60) / 30
"""Fastest turn per frame at 30 frames/s."""
SPEED = 0.5 / 30
"""Fastest move per frame, metres."""


def drive(flat: Flat, placed: list[Placed], frames: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A drive through the rooms.

    Returns:
        (frames, 3): x, y in metres and yaw in radians. Rooms that cannot be reached between the furniture are left out;
        when the time is too short for all rooms, the drive ends on its way.
    """
    grid = _Grid(flat, placed)
    stops = [grid.free_near(*flat.rooms[room].middle) for room in _visiting_order(flat, random)]
    route = [stops[0]]
    for stop in stops[1:]:
        route += grid.way(route[-1], stop)[1:]
    points = _smooth(np.array([grid.metres(cell) for cell in route]))
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    looking = random.uniform(0.35, 0.7)
    phase = random.uniform(0, 2 * np.pi)
    poses = np.zeros((frames, 3))
    at, yaw = 0.0, None
    for frame in range(frames):
        x, y = (float(np.interp(at, travelled, points[:, axis])) for axis in (0, 1))
        ahead = min(travelled[-1], at + 0.4)
        aim_x, aim_y = (float(np.interp(ahead, travelled, points[:, axis])) for axis in (0, 1))
        swing = looking * math.sin(phase + 2 * math.pi * frame / 150)
        if math.hypot(aim_x - x, aim_y - y) > 1e-3:
            heading = math.atan2(aim_y - y, aim_x - x)
        elif yaw is None:
            heading = 0.0
        else:  # arrived: look around
            heading, swing = yaw + TURN / 2, 0.0
        wanted = heading + swing
        turn = 0.0 if yaw is None else (wanted - yaw + math.pi) % (2 * math.pi) - math.pi
        yaw = wanted if yaw is None else yaw + max(-TURN, min(TURN, turn))
        poses[frame] = x, y, yaw
        # It slows down while it turns.
        at = min(travelled[-1], at + SPEED * max(0.1, 1.0 - abs(turn) / 0.6))
    return poses


def _visiting_order(flat: Flat, random: np.random.Generator) -> list[int]:
    """Every room, each beside one that was visited, going back where it must."""
    order: list[int] = []
    seen: set[int] = set()

    def visit(room: int) -> None:
        seen.add(room)
        order.append(room)
        neighbours = flat.rooms[room].neighbours
        for index in random.permutation(len(neighbours)):
            if neighbours[index] not in seen:
                visit(neighbours[index])
                order.append(room)

    visit(int(random.integers(len(flat.rooms))))
    while len(order) > 1 and order[-1] in order[:-1]:
        order.pop()
    return order


class _Grid:
    """Where the robot's middle may be."""

    def __init__(self, flat: Flat, placed: list[Placed]) -> None:
        self.low = np.min([room.low for room in flat.rooms], axis=0)
        high = np.max([room.high for room in flat.rooms], axis=0)
        shape = np.ceil((high - self.low) / CELL).astype(int)
        self.free = np.zeros(shape, dtype=bool)
        for room in flat.rooms:
            edge = WALL + RADIUS
            self._fill((room.low[0] + edge, room.low[1] + edge, room.high[0] - edge, room.high[1] - edge), True)
        for thing in placed:
            if thing.position[2] < 1.5 and thing.thing.kind != "rug":
                low_x, low_y, high_x, high_y = thing.footprint()
                self._fill((low_x - RADIUS, low_y - RADIUS, high_x + RADIUS, high_y + RADIUS), False)
        half = DOOR_WIDTH / 2 - RADIUS
        for a, b, x, y in flat.links:
            beside = abs(flat.rooms[a].high[0] - flat.rooms[b].low[0]) < 1e-6 and x == flat.rooms[a].high[0]
            deep = 0.6
            self._fill(
                (x - deep, y - half, x + deep, y + half) if beside else (x - half, y - deep, x + half, y + deep), True
            )

        # Corners between furniture that nothing leads to are no places to start from.
        count, parts = cv2.connectedComponents(self.free.astype(np.uint8), connectivity=8)
        if count > 2:
            self.free = parts == np.bincount(parts[parts > 0]).argmax()

    def _fill(self, area: tuple[float, float, float, float], value: bool) -> None:
        first = np.maximum(np.round((np.array(area[:2]) - self.low) / CELL).astype(int), 0)
        last = np.maximum(np.round((np.array(area[2:]) - self.low) / CELL).astype(int), 0)
        self.free[first[0] : max(last[0], first[0] + 1), first[1] : max(last[1], first[1] + 1)] = value

    def metres(self, cell: tuple[int, int]) -> tuple[float, float]:
        """Middle of a cell."""
        return float(self.low[0] + (cell[0] + 0.5) * CELL), float(self.low[1] + (cell[1] + 0.5) * CELL)

    def free_near(self, x: float, y: float) -> tuple[int, int]:
        """The free cell nearest to a point."""
        cells = np.argwhere(self.free)
        nearest = ((cells + 0.5) * CELL + self.low - (x, y)) ** 2
        column, line = cells[int(nearest.sum(1).argmin())]
        return int(column), int(line)

    def way(self, start: tuple[int, int], goal: tuple[int, int]) -> list[tuple[int, int]]:
        """Shortest way over free cells (A*); only `start` when there is none."""
        pending = [(0.0, start)]
        cost, before = {start: 0.0}, {start: start}
        while pending:
            _, cell = heapq.heappop(pending)
            if cell == goal:
                way = [cell]
                while before[way[-1]] != way[-1]:
                    way.append(before[way[-1]])
                return way[::-1]
            for step in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
                nearby = (cell[0] + step[0], cell[1] + step[1])
                inside = 0 <= nearby[0] < self.free.shape[0] and 0 <= nearby[1] < self.free.shape[1]
                if not inside or not self.free[nearby]:
                    continue
                price = cost[cell] + math.hypot(*step)
                if price < cost.get(nearby, math.inf):
                    cost[nearby], before[nearby] = price, cell
                    heapq.heappush(pending, (price + math.dist(nearby, goal), nearby))
        return [start]


def _smooth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners rounded by a moving average over 0.7 m; the ends stay."""
    if len(points) < 3:
        return np.concatenate([points, points[-1:] + 1e-6])
    padded = np.concatenate([np.repeat(points[:1], 3, axis=0), points, np.repeat(points[-1:], 3, axis=0)])
    return np.stack([np.convolve(padded[:, axis], np.ones(7) / 7, mode="valid") for axis in (0, 1)], axis=1)
