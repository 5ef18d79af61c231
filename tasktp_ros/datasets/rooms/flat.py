# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The shell of a flat: rooms on a grid, walls with doors and windows, floors and ceilings. Metres, z up."""

import math
from dataclasses import dataclass, field

import numpy as np

from tasktp_ros.datasets.rooms.shapes import Colour, Part

WALL, DOOR_WIDTH, DOOR_HEIGHT = 0.06, 0.95, 2.1
ROOM_KINDS = ("living room", "kitchen", "bedroom", "bathroom", "study", "hall")
SIDES = ("south", "east", "north", "west")
FLOORS = ("planks", "wood", "tiles", "carpet", "")
WALLS = ("", "", "wallpaper", "stripes", "brick", "tiles")


@dataclass
class Room:
    """A rectangular room.

    Attributes:
        kind: one of `ROOM_KINDS`.
        low, high: corners (x, y) of its floor, metres.
        doors: per side the middles of its doors along that side, metres.
        neighbours: indices of the rooms behind its doors.
        lamp: colour of its light.
    """

    kind: str
    low: tuple[float, float]
    high: tuple[float, float]
    doors: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    windows: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    neighbours: list[int] = field(default_factory=list)
    lamp: Colour = (1.0, 1.0, 1.0)

    @property
    def middle(self) -> tuple[float, float]:
        """Centre of the floor, metres."""
        return (self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2

    def span(self, side: str) -> tuple[float, float]:
        """From where to where a side runs, along x for south and north, along y for the others."""
        axis = 0 if side in ("south", "north") else 1
        return self.low[axis], self.high[axis]


@dataclass(frozen=True)
class Slab:
    """A part of the shell in world coordinates, with the room it belongs to; `repeat` is metres per texture."""

    part: Part
    room: int
    repeat: float = 1.0


@dataclass
class Flat:
    """Rooms and their shell.

    Attributes:
        height: of the ceiling, metres.
        links: (room, room, x, y) of every door.
    """

    rooms: list[Room]
    slabs: list[Slab]
    height: float
    links: list[tuple[int, int, float, float]]


def build_flat(random: np.random.Generator, rooms: int | None = None) -> Flat:
    """Draw a flat of `rooms` rooms (1 to 6; None = drawn)."""
    count = int(random.choice([1, 2, 3, 4, 5, 6], p=[0.15, 0.2, 0.2, 0.2, 0.1, 0.15])) if rooms is None else rooms
    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3}[count]
    lines = -(-count // columns)
    xs = np.concatenate([[0.0], np.cumsum(random.uniform(2.5, 4.6, columns))])
    ys = np.concatenate([[0.0], np.cumsum(random.uniform(2.5, 4.4, lines))])
    kinds = _room_kinds(random, count)
    cells = [(i % columns, i // columns) for i in range(count)]
    made = [Room(kind, (xs[c], ys[r]), (xs[c + 1], ys[r + 1])) for kind, (c, r) in zip(kinds, cells, strict=True)]
    for room in made:
        warmth = random.uniform(-0.12, 0.16)
        room.lamp = (min(1.0, 0.95 + warmth), 0.95, min(1.0, 0.95 - warmth))
    links = _open_doors(random, made, cells)
    _open_windows(random, made, cells)
    height = float(random.uniform(2.4, 2.9))
    slabs = [slab for index, room in enumerate(made) for slab in _shell(random, room, index, height)]
    return Flat(made, slabs, height, links)


def _room_kinds(random: np.random.Generator, count: int) -> list[str]:
    weights = np.array([0.24, 0.24, 0.2, 0.14, 0.12, 0.06])
    if count >= 4:
        kinds = list(ROOM_KINDS[:4]) + [str(kind) for kind in random.choice(ROOM_KINDS, count - 4, p=weights)]
    else:
        kinds = [str(kind) for kind in random.choice(ROOM_KINDS, count, replace=False, p=weights)]
    return [kinds[i] for i in random.permutation(count)]


def _open_doors(
    random: np.random.Generator, rooms: list[Room], cells: list[tuple[int, int]]
) -> list[tuple[int, int, float, float]]:
    """Doors so that every room can be reached, and some more."""
    links = []
    reached = {0}
    pairs = [(a, b) for a in range(len(rooms)) for b in range(a + 1, len(rooms))
             if abs(cells[a][0] - cells[b][0]) + abs(cells[a][1] - cells[b][1]) == 1]  # fmt: skip
    pending = [pairs[i] for i in random.permutation(len(pairs))]
    while pending:
        crossing = [pair for pair in pending if (pair[0] in reached) != (pair[1] in reached)]
        a, b = crossing[0] if crossing else pending[0]
        pending.remove((a, b))
        if not crossing and random.random() > 0.35:
            continue
        reached |= {a, b}
        beside = cells[a][1] == cells[b][1]
        low, high = rooms[a].span("east" if beside else "north")
        at = float(random.uniform(low + 0.9, high - 0.9))
        rooms[a].doors["east" if beside else "north"].append(at)
        rooms[b].doors["west" if beside else "south"].append(at)
        rooms[a].neighbours.append(b)
        rooms[b].neighbours.append(a)
        x, y = (rooms[a].high[0], at) if beside else (at, rooms[a].high[1])
        links.append((a, b, float(x), float(y)))
    return links


def _open_windows(random: np.random.Generator, rooms: list[Room], cells: list[tuple[int, int]]) -> None:
    taken = set(cells)
    steps = {"south": (0, -1), "east": (1, 0), "north": (0, 1), "west": (-1, 0)}
    for room, cell in zip(rooms, cells, strict=True):
        for side, (dx, dy) in steps.items():
            low, high = room.span(side)
            if (cell[0] + dx, cell[1] + dy) not in taken and random.random() < 0.55 and not room.doors[side]:
                room.windows[side].append(float(random.uniform(low + 1.0, high - 1.0)))


def _shell(random: np.random.Generator, room: Room, index: int, height: float) -> list[Slab]:
    bath = room.kind in ("bathroom", "kitchen")
    floor = "tiles" if bath and random.random() < 0.7 else str(random.choice(FLOORS))
    wall = str(random.choice(WALLS))
    floor_colour = _muted(random, 0.25, 0.85, 0.35)
    wall_colour = _muted(random, 0.45, 0.97, 0.25)
    middle, half = room.middle, ((room.high[0] - room.low[0]) / 2, (room.high[1] - room.low[1]) / 2)
    flat = (half[0], half[1], 0.05)
    slabs = [
        Slab(Part("box", (*middle, -0.05), flat, floor_colour, floor, gloss=float(random.uniform(0, 0.4))), index, 1.5),
        Slab(Part("box", (*middle, height + 0.05), flat, _muted(random, 0.8, 1.0, 0.05)), index),
    ]
    frame = _muted(random, 0.3, 0.95, 0.3)
    sky = (float(random.uniform(0.7, 1.0)), float(random.uniform(0.8, 1.0)), 1.0)
    for side in SIDES:
        slabs += _wall(random, room, index, side, height, wall, wall_colour, frame, sky)
    return slabs


def _wall(
    random: np.random.Generator, room: Room, index: int, side: str, height: float, texture: str, colour: Colour,
    frame: Colour, sky: Colour,
) -> list[Slab]:  # fmt: skip
    """One side of a room: wall pieces around its doors, door frames, skirting, windows."""
    low, high = room.span(side)
    slabs = []
    at = low
    for door in sorted(room.doors[side]):
        slabs.append((at, door - DOOR_WIDTH / 2, 0.0, height, texture, colour, WALL, 0.0))
        slabs.append((door - DOOR_WIDTH / 2, door + DOOR_WIDTH / 2, DOOR_HEIGHT, height, texture, colour, WALL, 0.0))
        for edge in (door - DOOR_WIDTH / 2 - 0.03, door + DOOR_WIDTH / 2 + 0.03):
            slabs.append((edge - 0.04, edge + 0.04, 0.0, DOOR_HEIGHT, "", frame, WALL + 0.015, 0.0))
        at = door + DOOR_WIDTH / 2
    slabs.append((at, high, 0.0, height, texture, colour, WALL, 0.0))
    if random.random() < 0.6 and not room.doors[side]:
        slabs.append((low, high, 0.0, 0.08, "", frame, WALL + 0.01, 0.0))
    for window in room.windows[side]:
        half, sill, top = (
            float(random.uniform(0.4, 0.8)),
            float(random.uniform(0.75, 1.0)),
            float(random.uniform(1.7, 2.2)),
        )
        slabs.append((window - half - 0.06, window + half + 0.06, sill - 0.06, top + 0.06, "", frame, WALL + 0.01, 0.0))
        slabs.append((window - half, window + half, sill, top, "", sky, WALL + 0.02, float(random.uniform(0.4, 0.9))))
        slabs.append((window - 0.02, window + 0.02, sill, top, "", frame, WALL + 0.03, 0.0))
    return [_upright(room, index, side, *slab) for slab in slabs]


def _upright(
    room: Room, index: int, side: str, start: float, end: float, bottom: float, top: float, texture: str,
    colour: Colour, depth: float, glow: float,
) -> Slab:  # fmt: skip
    """A box on a side, from `start` to `end` along it, reaching `depth` into the room."""
    along, up = (start + end) / 2, (bottom + top) / 2
    # The thin axis is the box's own z, since patterns repeat over x and y.
    half = (max((end - start) / 2, 1e-3), (top - bottom) / 2, depth / 2)
    if side in ("south", "north"):
        y = room.low[1] + depth / 2 if side == "south" else room.high[1] - depth / 2
        part = Part("box", (along, y, up), half, colour, texture, (math.pi / 2, 0.0, 0.0), glow=glow)
    else:
        x = room.low[0] + depth / 2 if side == "west" else room.high[0] - depth / 2
        part = Part("box", (x, along, up), half, colour, texture, (math.pi / 2, 0.0, math.pi / 2), glow=glow)
    return Slab(part, index, 1.2)


def _muted(random: np.random.Generator, darkest: float, brightest: float, saturation: float) -> Colour:
    level = random.uniform(darkest, brightest)
    tint = random.uniform(-saturation / 2, saturation / 2, 3)
    red, green, blue = np.clip(level * (1 + tint), 0.03, 1.0)
    return float(red), float(green), float(blue)
