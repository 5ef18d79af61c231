# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Furniture that no detector is asked for but that fills rooms and carries small things."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import DARK, between, bright, chance, cloth, hue, metal, pick, shade, wood
from tasktp_ros.datasets.rooms.shapes import Builder, Colour, Part, Surface, Thing
from tasktp_ros.datasets.rooms.solids import bar, block, box, four_legs, rod, thing


def _handles(random: np.random.Generator, places: list[tuple[float, float]], front: float, upright: bool) -> list[Part]:
    colour = metal(random)
    if chance(random, 0.4):
        return [rod((x, front - 0.012, z), 0.014, 0.012, colour, angles=(math.pi / 2, 0, 0)) for x, z in places]
    half = between(random, 0.04, 0.08)
    size = (0.007, 0.01, half) if upright else (half, 0.01, 0.007)
    return [box((x, front - 0.015, z), size, colour, gloss=0.7) for x, z in places]


def wardrobe(random: np.random.Generator) -> Thing:
    """A tall cupboard with two to four doors."""
    doors = int(random.integers(2, 5))
    wide, deep, tall = doors * between(random, 0.2, 0.28), between(random, 0.26, 0.32), between(random, 1.75, 2.15)
    colour = wood(random)
    parts = [box((0, 0, tall / 2), (wide, deep, tall / 2), shade(colour, 0.85), "wood")]
    each = 2 * wide / doors
    places = []
    for number in range(doors):
        left = -wide + number * each
        texture = pick(random, ("wood", "wood", "planks", ""))
        parts.append(
            block((left + 0.004, -deep - 0.02, 0.06), (left + each - 0.004, -deep, tall - 0.02), colour, texture)
        )
        places.append((left + (each - 0.05 if number % 2 == 0 else 0.05), tall * 0.48))
    return thing(None, "wardrobe", [*parts, *_handles(random, places, -deep - 0.02, True)])


def cabinet(random: np.random.Generator) -> Thing:
    """A waist-high cupboard with doors, drawers above them."""
    wide, deep, tall = between(random, 0.35, 0.55), between(random, 0.19, 0.24), between(random, 0.8, 1.25)
    colour = wood(random)
    parts = [box((0, 0, tall / 2), (wide, deep, tall / 2), colour, "wood")]
    places = []
    for sx in (-1, 1):
        low, high = sorted((sx * 0.006, sx * (wide - 0.02)))
        parts.append(block((low, -deep - 0.015, 0.06), (high, -deep, tall - 0.2), shade(colour, 1.07)))
        parts.append(block((low, -deep - 0.015, tall - 0.19), (high, -deep, tall - 0.02), shade(colour, 1.07)))
        places += [(sx * 0.05, tall * 0.45), (sx * wide / 2, tall - 0.1)]
    parts += _handles(random, places, -deep - 0.015, False)
    return thing(None, "cabinet", parts, [Surface((0, 0, tall), (wide * 0.9, deep * 0.85))])


def bookshelf(random: np.random.Generator) -> Thing:
    """Open boards between two sides; things stand on every board."""
    wide, deep, tall = between(random, 0.3, 0.55), between(random, 0.13, 0.17), between(random, 0.9, 2.0)
    boards = max(3, round(tall / between(random, 0.32, 0.42)))
    colour = wood(random)
    parts = [box((sx * (wide + 0.01), 0, tall / 2), (0.01, deep, tall / 2), colour, "wood") for sx in (-1, 1)]
    if chance(random, 0.7):
        parts.append(box((0, deep - 0.004, tall / 2), (wide, 0.004, tall / 2), shade(colour, 0.8)))
    surfaces = []
    gap = (tall - 0.08) / (boards - 1)
    for number in range(boards):
        height = 0.07 + number * gap
        parts.append(box((0, 0, height - 0.01), (wide, deep, 0.01), colour, "wood"))
        room = gap - 0.03 if number < boards - 1 else 2.0
        surfaces.append(Surface((0, -0.01, height), (wide * 0.93, deep * 0.8), room))
    return thing(None, "bookshelf", parts, surfaces)


def dresser(random: np.random.Generator) -> Thing:
    """A chest of drawers."""
    return _drawers(
        random, "dresser", between(random, 0.35, 0.6), between(random, 0.7, 1.1), int(random.integers(3, 6))
    )


def nightstand(random: np.random.Generator) -> Thing:
    """A small chest for the bedside."""
    return _drawers(
        random, "nightstand", between(random, 0.19, 0.26), between(random, 0.42, 0.6), int(random.integers(1, 4))
    )


def _drawers(random: np.random.Generator, kind: str, wide: float, tall: float, rows: int) -> Thing:
    deep, colour = between(random, 0.18, 0.24), wood(random)
    foot = pick(random, (0.0, between(random, 0.06, 0.15)))
    parts = four_legs(wide - 0.03, deep - 0.03, foot, 0.018, shade(colour, 0.8), chance(random, 0.5)) if foot else []
    parts.append(block((-wide, -deep, foot), (wide, deep, tall), colour, "wood"))
    places = []
    each = (tall - foot - 0.04) / rows
    front = shade(colour, 1.08) if chance(random, 0.7) else bright(random)
    for row in range(rows):
        low = foot + 0.02 + row * each
        parts.append(
            block((-wide + 0.015, -deep - 0.014, low + 0.005), (wide - 0.015, -deep, low + each - 0.005), front)
        )
        places += [(sx * wide * 0.5, low + each / 2) for sx in (-1, 1)] if wide > 0.3 else [(0.0, low + each / 2)]
    parts += _handles(random, places, -deep - 0.014, False)
    return thing(None, kind, parts, [Surface((0, 0, tall), (wide * 0.88, deep * 0.8))])


def sideboard(random: np.random.Generator) -> Thing:
    """A long low cupboard, such as carries a television."""
    wide, deep, tall = between(random, 0.6, 0.95), between(random, 0.19, 0.23), between(random, 0.42, 0.62)
    colour, foot = wood(random), between(random, 0.05, 0.15)
    parts = four_legs(wide - 0.08, deep - 0.05, foot, 0.018, metal(random), chance(random, 0.6))
    parts.append(block((-wide, -deep, foot), (wide, deep, tall), colour, "wood"))
    doors = int(random.integers(3, 5))
    each = 2 * wide / doors
    places = []
    for number in range(doors):
        left = -wide + number * each
        front = shade(colour, pick(random, (0.7, 1.1, 1.1)))
        parts.append(
            block((left + 0.006, -deep - 0.014, foot + 0.015), (left + each - 0.006, -deep, tall - 0.025), front)
        )
        places.append((left + each / 2, tall - 0.07))
    parts += _handles(random, places, -deep - 0.014, False)
    return thing(None, "sideboard", parts, [Surface((0, 0, tall), (wide * 0.9, deep * 0.8))])


def desk(random: np.random.Generator) -> Thing:
    """A writing desk: a top on legs with a block of drawers on one side."""
    wide, deep, tall = between(random, 0.5, 0.8), between(random, 0.28, 0.38), between(random, 0.71, 0.76)
    colour, leg = wood(random), metal(random)
    parts = [box((0, 0, tall - 0.015), (wide, deep, 0.015), colour, "wood")]
    parts += four_legs(wide - 0.04, deep - 0.04, tall - 0.03, 0.02, leg, chance(random, 0.5))
    side = pick(random, (-1, 1))
    left, right = sorted((side * (wide - 0.02), side * (wide - 0.4)))
    parts.append(block((left, -deep + 0.04, 0.1), (right, deep - 0.02, tall - 0.03), shade(colour, 0.95), "wood"))
    for row in range(3):
        low = 0.12 + row * 0.185
        parts.append(
            block((left + 0.01, -deep + 0.02, low), (right - 0.01, -deep + 0.04, low + 0.175), shade(colour, 1.08))
        )
        parts.append(box(((left + right) / 2, -deep + 0.01, low + 0.13), (0.05, 0.01, 0.007), leg))
    if chance(random, 0.5):
        parts.append(box((0, deep - 0.02, 0.5), (wide - 0.06, 0.008, 0.18), shade(colour, 0.9)))
    return thing(None, "desk", parts, [Surface((0, 0, tall), (wide * 0.9, deep * 0.85))])


def counter(random: np.random.Generator) -> Thing:
    """A run of kitchen cupboards under a worktop."""
    doors = int(random.integers(2, 5))
    wide, deep, tall = doors * between(random, 0.24, 0.3), 0.3, between(random, 0.85, 0.92)
    colour: Colour = pick(random, ((0.94, 0.94, 0.92), wood(random), hue(random, (0.1, 0.4), (0.3, 0.8))))
    top: Colour = pick(random, ((0.3, 0.3, 0.31), (0.75, 0.72, 0.68), wood(random)))
    parts = [
        block((-wide, -deep + 0.05, 0), (wide, deep, 0.1), DARK),
        block((-wide, -deep, 0.1), (wide, deep, tall - 0.04), shade(colour, 0.85)),
        block(
            (-wide, -deep - 0.03, tall - 0.04),
            (wide, deep, tall),
            top,
            pick(random, ("speckles", "marble", "wood")),
            gloss=0.4,
        ),
    ]
    each = 2 * wide / doors
    places = []
    for number in range(doors):
        left = -wide + number * each
        cut = tall - 0.22 if chance(random, 0.6) else tall - 0.05
        parts.append(block((left + 0.005, -deep - 0.018, 0.11), (left + each - 0.005, -deep, cut), colour))
        places.append((left + each / 2, cut - 0.05))
        if cut < tall - 0.1:
            parts.append(
                block((left + 0.005, -deep - 0.018, cut + 0.006), (left + each - 0.005, -deep, tall - 0.05), colour)
            )
            places.append((left + each / 2, tall - 0.12))
    parts += _handles(random, places, -deep - 0.018, False)
    return thing(None, "kitchen counter", parts, [Surface((0, 0, tall), (wide * 0.93, deep * 0.85), 0.6)])


def wall_shelf(random: np.random.Generator) -> Thing:
    """One board on two brackets for the wall."""
    wide, deep, colour = between(random, 0.3, 0.6), between(random, 0.09, 0.13), wood(random)
    steel = metal(random)
    parts = [box((0, 0, 0.14), (wide, deep, 0.012), colour, "wood")]
    for sx in (-1, 1):
        parts.append(bar((sx * wide * 0.7, deep - 0.012, 0.012), (sx * wide * 0.7, -deep * 0.6, 0.125), 0.009, steel))
    return thing(None, "wall shelf", parts, [Surface((0, 0, 0.152), (wide * 0.92, deep * 0.8), 0.5)])


def bathtub(random: np.random.Generator) -> Thing:
    """A long white trough with a tap, with or without an apron to the floor."""
    half_x, half_y, tall = between(random, 0.75, 0.88), between(random, 0.34, 0.4), between(random, 0.5, 0.6)
    white: Colour = (0.96, 0.96, 0.95)
    wall = 0.06
    parts = [
        block((-half_x + wall, -half_y + wall, 0), (half_x - wall, half_y - wall, 0.12), shade(white, 0.92)),
        block((-half_x, -half_y, 0), (half_x, -half_y + wall, tall), white, pick(random, ("", "tiles")), gloss=0.5),
        block((-half_x, half_y - wall, 0), (half_x, half_y, tall), white, gloss=0.5),
        block((-half_x, -half_y + wall, 0), (-half_x + wall * 1.8, half_y - wall, tall), white, gloss=0.5),
        block((half_x - wall * 1.8, -half_y + wall, 0), (half_x, half_y - wall, tall), white, gloss=0.5),
    ]
    steel = metal(random)
    parts.append(rod((half_x - 0.06, 0, tall + 0.06), 0.018, 0.06, steel))
    parts.append(bar((half_x - 0.06, 0, tall + 0.12), (half_x - 0.2, 0, tall + 0.1), 0.014, steel))
    if chance(random, 0.4):
        parts.append(
            block(
                (-half_x + 0.1, -half_y + 0.05, 0.12),
                (half_x - 0.1, half_y - 0.05, tall - 0.15),
                (0.6, 0.8, 0.85),
                gloss=0.9,
            )
        )
    if chance(random, 0.4):
        parts.append(
            box((between(random, -0.3, 0.3), -half_y - 0.008, tall - 0.15), (0.2, 0.014, 0.17), cloth(random), "fabric")
        )
    return thing(None, "bathtub", parts)


BUILDERS: dict[str, Builder] = {
    "wardrobe": wardrobe,
    "cabinet": cabinet,
    "bookshelf": bookshelf,
    "dresser": dresser,
    "nightstand": nightstand,
    "sideboard": sideboard,
    "desk": desk,
    "kitchen counter": counter,
    "wall shelf": wall_shelf,
    "bathtub": bathtub,
}
