# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What stands where: each kind of room has its furniture, furniture carries small things, nothing overlaps."""

import math
from dataclasses import dataclass, field

import numpy as np

from tasktp_ros.datasets.rooms.catalogue import WALL_HEIGHTS, build, place_of
from tasktp_ros.datasets.rooms.flat import DOOR_WIDTH, SIDES, WALL, Flat, Room
from tasktp_ros.datasets.rooms.shapes import Surface, Thing

FACING = {"north": 0.0, "west": math.pi / 2, "south": math.pi, "east": -math.pi / 2}
"""Yaw of a thing whose back is at a side."""

Rectangle = tuple[float, float, float, float]
"""x low, y low, x high, y high, metres."""


@dataclass(frozen=True)
class Placed:
    """A thing in the world: its origin (metres), its yaw (radians) and its room."""

    thing: Thing
    position: tuple[float, float, float]
    yaw: float
    room: int

    def footprint(self) -> Rectangle:
        """The floor area it covers."""
        width, depth, _ = self.thing.size
        cos, sin = abs(math.cos(self.yaw)), abs(math.sin(self.yaw))
        half_x, half_y = (width * cos + depth * sin) / 2, (width * sin + depth * cos) / 2
        x, y, _ = self.position
        return x - half_x, y - half_y, x + half_x, y + half_y

    def to_world(self, point: tuple[float, float, float]) -> tuple[float, float, float]:
        """A point of the thing's frame in the world's."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        x, y, z = point
        at = self.position
        return at[0] + cos * x - sin * y, at[1] + sin * x + cos * y, at[2] + z


@dataclass(frozen=True)
class Program:
    """What a kind of room holds: (kind, probability) at walls and free; small things and their weights."""

    walls: tuple[tuple[str, float], ...]
    free: tuple[tuple[str, float], ...]
    hung: tuple[tuple[str, float], ...]
    small: dict[str, float]
    clutter: tuple[float, float] = (0.25, 0.75)


_EATING = {"cup": 4.0, "bowl": 3.5, "bottle": 4.0, "plate": 1.0, "fruit": 1.0, "vase": 1.5, "potted plant": 0.7}
_LIVING = {"book": 6.0, "vase": 2.5, "clock": 2.2, "laptop": 5.0, "cup": 2.0, "potted plant": 1.5, "table lamp": 0.8,
           "candle": 0.6, "remote": 0.7, "phone": 0.5, "bowl": 1.0, "bottle": 1.0, "tissue box": 0.4, "toy blocks": 0.4}  # fmt: skip

PROGRAMS: dict[str, Program] = {
    "kitchen": Program(
        (("kitchen counter", 1.0), ("refrigerator", 0.95), ("oven", 0.95), ("kitchen counter", 0.8), ("cabinet", 0.4),
         ("kitchen counter", 0.4)),
        (("dining table", 0.75), ("potted plant", 0.25), ("bin", 0.3), ("box", 0.15), ("backpack", 0.15)),
        (("clock", 0.5), ("wall shelf", 0.5), ("picture frame", 0.3), ("towel", 0.3)),
        _EATING | {"microwave": 3.5, "kettle": 0.7, "sink": 1.6, "book": 0.5, "candle": 0.2},
    ),
    "living room": Program(
        (("couch", 0.95), ("sideboard", 0.9), ("bookshelf", 0.6), ("cabinet", 0.3), ("couch", 0.3), ("radiator", 0.2)),
        (("rug", 0.5), ("dining table", 0.55), ("chair", 0.6), ("potted plant", 0.6), ("floor lamp", 0.4), ("backpack", 0.35),
         ("ball", 0.15), ("cushion", 0.2), ("suitcase", 0.25), ("basket", 0.2), ("toy blocks", 0.1)),
        (("tv", 0.5), ("picture frame", 0.7), ("clock", 0.5), ("picture frame", 0.4), ("curtain", 0.5), ("wall shelf", 0.3)),
        _LIVING | {"tv": 2.5},
    ),
    "bedroom": Program(
        (("bed", 1.0), ("nightstand", 0.9), ("wardrobe", 0.7), ("dresser", 0.7), ("desk", 0.3), ("bed", 0.15)),
        (("rug", 0.4), ("suitcase", 0.55), ("backpack", 0.5), ("chair", 0.4), ("potted plant", 0.25), ("shoes", 0.4),
         ("cushion", 0.3), ("box", 0.2), ("basket", 0.2)),
        (("picture frame", 0.6), ("mirror", 0.3), ("clock", 0.35), ("curtain", 0.5), ("tv", 0.3)),
        _LIVING | {"tv": 1.0, "clock": 3.0},
    ),
    "bathroom": Program(
        (("toilet", 1.0), ("sink", 0.95), ("bathtub", 0.55), ("cabinet", 0.5), ("radiator", 0.2), ("sink", 0.3)),
        (("basket", 0.4), ("bin", 0.3), ("rug", 0.3), ("potted plant", 0.2)),
        (("mirror", 0.7), ("towel", 0.6), ("clock", 0.1)),
        {"bottle": 4.0, "cup": 2.5, "candle": 0.5, "towel": 0.0, "tissue box": 0.7, "sink": 2.0, "vase": 0.8, "potted plant": 0.5},
    ),
    "study": Program(
        (("desk", 1.0), ("bookshelf", 0.9), ("cabinet", 0.4), ("bookshelf", 0.3), ("couch", 0.2)),
        (("chair", 0.6), ("backpack", 0.55), ("potted plant", 0.4), ("bin", 0.4), ("suitcase", 0.2), ("floor lamp", 0.3),
         ("box", 0.3), ("rug", 0.3)),
        (("clock", 0.7), ("picture frame", 0.6), ("wall shelf", 0.4), ("curtain", 0.3), ("tv", 0.2)),
        _LIVING | {"laptop": 8.0, "book": 7.0, "tv": 0.7},
    ),
    "hall": Program(
        (("dresser", 0.7), ("cabinet", 0.5), ("bookshelf", 0.3), ("radiator", 0.3)),
        (("suitcase", 0.6), ("backpack", 0.6), ("shoes", 0.6), ("chair", 0.4), ("potted plant", 0.5), ("box", 0.4),
         ("ball", 0.2), ("rug", 0.4)),
        (("mirror", 0.5), ("clock", 0.5), ("picture frame", 0.6)),
        _LIVING | {"vase": 4.0},
    ),
}  # fmt: skip


@dataclass
class _Furnishing:
    """One room while it is being furnished."""

    random: np.random.Generator
    room: Room
    index: int
    ceiling: float
    placed: list[Placed] = field(default_factory=list)
    standing: list[Rectangle] = field(default_factory=list)
    hanging: list[Rectangle] = field(default_factory=list)
    lying: list[Rectangle] = field(default_factory=list)

    def at_wall(self, thing: Thing) -> bool:
        """Stand a thing with its back at a wall, or hang it there."""
        hung = place_of(thing) == "wall"
        width, depth, height = thing.size
        for _ in range(12):
            side = str(self.random.choice(SIDES))
            low, high = self.room.span(side)
            if high - low < width + 2 * WALL + 0.02:
                continue
            along = float(self.random.uniform(low + width / 2 + WALL, high - width / 2 - WALL))
            inset = WALL + depth / 2 + (0.002 if hung else float(self.random.uniform(0.0, 0.05)))
            bottom = 0.0
            if hung:
                lowest, highest = WALL_HEIGHTS[thing.kind]
                bottom = min(float(self.random.uniform(lowest, highest)), self.ceiling - height - 0.05)
            x, y = {"south": (along, self.room.low[1] + inset), "north": (along, self.room.high[1] - inset),
                    "west": (self.room.low[0] + inset, along), "east": (self.room.high[0] - inset, along)}[side]  # fmt: skip
            if self.put(
                Placed(thing, (x, y, bottom), FACING[side], self.index), 0.02, self.hanging if hung else self.standing
            ):
                return True
        return False

    def free(self, thing: Thing) -> Placed | None:
        """Stand a thing anywhere on the floor."""
        margin = max(thing.size[0], thing.size[1]) / 2 + WALL + 0.02
        low, high = self.room.low, self.room.high
        if high[0] - low[0] < 2 * margin or high[1] - low[1] < 2 * margin:
            return None
        for _ in range(15):
            x, y = (
                self.random.uniform(low[0] + margin, high[0] - margin),
                self.random.uniform(low[1] + margin, high[1] - margin),
            )
            yaw = float(self.random.uniform(-math.pi, math.pi))
            if thing.category == "dining table" or thing.kind == "rug":
                yaw = float(self.random.integers(2)) * math.pi / 2
            spot = Placed(thing, (float(x), float(y), 0.0), yaw, self.index)
            if self.put(spot, 0.04, self.lying if thing.kind == "rug" else self.standing):
                return spot
        return None

    def chairs_around(self, table: Placed) -> None:
        """One to four chairs whose fronts look at a table."""
        low_x, low_y, high_x, high_y = table.footprint()
        middle = table.position
        first = build("chair", self.random)
        for side in self.random.permutation(SIDES)[: int(self.random.integers(1, 5))]:
            chair = first if self.random.random() < 0.7 else build("chair", self.random)
            out = chair.size[1] / 2 - float(self.random.uniform(-0.15, 0.18))
            slide = float(self.random.uniform(-0.2, 0.2))
            x, y = {"south": (middle[0] + slide, low_y - out), "north": (middle[0] + slide, high_y + out),
                    "west": (low_x - out, middle[1] + slide), "east": (high_x + out, middle[1] + slide)}[side]  # fmt: skip
            yaw = FACING[side] + float(self.random.uniform(-0.35, 0.35))
            self.put(Placed(chair, (x, y, 0.0), yaw, self.index), -0.02, self.standing, beside=table.footprint())

    def put(self, spot: Placed, gap: float, layer: list[Rectangle], beside: Rectangle | None = None) -> bool:
        """Take a spot if it lies in the room and is `gap` metres from all others of its layer but `beside`."""
        low_x, low_y, high_x, high_y = spot.footprint()
        low, high, edge = self.room.low, self.room.high, WALL - 0.01
        if low_x < low[0] + edge or low_y < low[1] + edge or high_x > high[0] - edge or high_y > high[1] - edge:
            return False
        area = (low_x - gap, low_y - gap, high_x + gap, high_y + gap)
        if any(overlap(area, other) for other in layer if other != beside):
            return False
        self.placed.append(spot)
        layer.append(spot.footprint())
        return True


def furnish(flat: Flat, random: np.random.Generator) -> list[Placed]:
    """Fill all rooms of a flat."""
    return [
        placed for index, room in enumerate(flat.rooms) for placed in _furnish_room(random, room, index, flat.height)
    ]


def _furnish_room(random: np.random.Generator, room: Room, index: int, ceiling: float) -> list[Placed]:
    work = _Furnishing(random, room, index, ceiling)
    work.standing += [_doorway(room, side, at) for side in SIDES for at in room.doors[side]]
    program = PROGRAMS[room.kind]
    for kind, chance in program.walls:
        if random.random() < chance:
            _stand(work, kind)
    for kind, chance in (*program.free, *program.free):
        if random.random() < 0.8 * chance:
            thing = _fitting(random, kind, "floor")
            spot = work.free(thing) if thing else None
            if spot and kind == "dining table":
                work.chairs_around(spot)
    for kind, chance in program.hung:
        thing = _fitting(random, kind, "wall") if random.random() < chance else None
        if thing:
            work.at_wall(thing)
    desks = [p for p in work.placed if p.thing.kind == "desk"]
    for desk in desks:
        _chair_before(work, desk)
    carriers = list(work.placed)
    fullness = random.uniform(*program.clutter)
    for carrier in carriers:
        for surface in carrier.thing.surfaces:
            work.placed += _load(random, carrier, surface, program.small, fullness)
    return work.placed


def _stand(work: _Furnishing, kind: str) -> None:
    thing = _fitting(work.random, kind, "floor")
    if thing:
        work.at_wall(thing)


def _chair_before(work: _Furnishing, desk: Placed) -> None:
    if work.random.random() < 0.8:
        chair = build("chair", work.random)
        out = desk.thing.size[1] / 2 + chair.size[1] / 2 - float(work.random.uniform(-0.1, 0.2))
        x, y, _ = desk.to_world((float(work.random.uniform(-0.2, 0.2)), -out, 0.0))
        yaw = desk.yaw + math.pi + float(work.random.uniform(-0.5, 0.5))
        work.put(Placed(chair, (x, y, 0.0), yaw, work.index), -0.02, work.standing, beside=desk.footprint())


def _fitting(random: np.random.Generator, kind: str, place: str) -> Thing | None:
    """A thing of a kind that belongs in such a place; several looks are tried."""
    for _ in range(8):
        thing = build(kind, random)
        if place_of(thing) == place:
            return thing
    return None


def _load(
    random: np.random.Generator, carrier: Placed, surface: Surface, weights: dict[str, float], fullness: float
) -> list[Placed]:
    """Small things on one surface."""
    half_x, half_y = surface.half
    most = 2 + int(min(9, 28 * half_x * half_y * 4 * fullness + 2 * fullness))
    if carrier.thing.category in ("bed", "couch", "chair"):
        most = int(random.random() < 0.3)
        weights = {"book": 2.0, "laptop": 1.5, "backpack": 1.5, "cushion": 1.0, "bowl": 0.2}
    kinds = [kind for kind, weight in weights.items() if weight > 0]
    chances = np.array([weights[kind] for kind in kinds])
    placed: list[Placed] = []
    for _ in range(int(random.integers(0 if most < 2 else 1, most + 1))):
        kind = str(random.choice(kinds, p=chances / chances.sum()))
        floor_thing = kind in ("backpack", "cushion")
        thing = build(kind, random) if floor_thing else _fitting(random, kind, "surface")
        if thing is None or thing.size[2] > surface.headroom:
            continue
        if thing.category == "sink" and carrier.thing.kind not in ("kitchen counter", "cabinet", "dresser"):
            continue
        upright = thing.category in ("sink", "microwave", "tv")
        yaw = (
            0.0
            if upright
            else float(
                random.uniform(-math.pi, math.pi)
                if thing.category in ("cup", "bottle", "bowl", "vase")
                else random.normal(0, 0.4)
            )
        )
        spread = Placed(thing, (0.0, 0.0, 0.0), yaw, 0).footprint()
        room_x, room_y = half_x - spread[2], half_y - spread[3]
        if room_x < 0 or room_y < 0:
            continue
        for _ in range(6):
            local = (surface.centre[0] + random.uniform(-room_x, room_x), surface.centre[1] + random.uniform(-room_y, room_y),
                     surface.centre[2] + 0.001)  # fmt: skip
            spot = Placed(thing, carrier.to_world(local), carrier.yaw + yaw, carrier.room)
            if not any(overlap(spot.footprint(), other.footprint()) for other in placed):
                placed.append(spot)
                break
    return placed


def _doorway(room: Room, side: str, at: float) -> Rectangle:
    half, deep = DOOR_WIDTH / 2 + 0.05, 0.85
    if side in ("south", "north"):
        y = room.low[1] if side == "south" else room.high[1] - deep
        return at - half, y, at + half, y + deep
    x = room.low[0] if side == "west" else room.high[0] - deep
    return x, at - half, x + deep, at + half


def overlap(a: Rectangle, b: Rectangle) -> bool:
    """Whether two rectangles share area."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
