# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Toilets and sinks: white ceramic with the openings, tanks and taps that tell them apart."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import METALS, between, ceramic, chance, cloth, metal, pick, shade, wood
from tasktp_ros.datasets.rooms.shapes import Colour, Part, Thing, Vector
from tasktp_ros.datasets.rooms.solids import ball, bar, block, box, rod, thing


def toilet(random: np.random.Generator) -> Thing:
    """A bowl on a foot or on the wall, a seat ring, mostly a tank, the lid up or down."""
    white = ceramic(random) if chance(random, 0.93) else cloth(random)
    seat_colour = white if chance(random, 0.7) else pick(random, (wood(random), (0.08, 0.08, 0.09), cloth(random)))
    half, deep = between(random, 0.17, 0.2), between(random, 0.2, 0.24)
    rim = between(random, 0.37, 0.43)
    parts: list[Part] = []
    if chance(random, 0.75):
        parts.append(rod((0, 0.1, rim * 0.35), half * 0.62, rim * 0.35, white, gloss=0.6))
        parts.append(box((0, 0.17, rim * 0.4), (half * 0.6, 0.12, rim * 0.4), white, gloss=0.6))
        parts.append(ball((0, 0.05, 0.02), (half * 0.75, deep * 0.9, 0.03), white, gloss=0.6))
    parts.append(ball((0, 0, rim - 0.05), (half, deep + 0.02, 0.13), white, gloss=0.6))
    parts.append(box((0, 0.2, rim - 0.06), (half * 0.9, 0.1, 0.06), white, gloss=0.6))
    parts.append(ball((0, -0.02, rim + 0.075), (half * 1.04, deep * 1.08, 0.02), seat_colour, gloss=0.5))
    lid_up = chance(random, 0.55)
    back = 0.24
    if lid_up:
        parts.append(ball((0, -0.03, rim + 0.088), (half * 0.68, deep * 0.74, 0.012), (0.33, 0.36, 0.38), gloss=0.7))
        parts.append(ball((0, -0.035, rim + 0.093), (half * 0.5, deep * 0.52, 0.01), (0.16, 0.19, 0.21), gloss=0.9))
        lean = between(random, -0.25, -0.08)
        parts.append(
            ball((0, back - 0.06, rim + 0.3), (half * 0.98, 0.018, deep), seat_colour, angles=(lean, 0, 0), gloss=0.5)
        )
    else:
        parts.append(
            ball((0, -0.02, rim + 0.09), (half * 1.02, deep * 1.06, 0.022), shade(seat_colour, 0.96), gloss=0.6)
        )
    parts.append(box((0, back - 0.02, rim + 0.07), (half * 0.5, 0.025, 0.018), seat_colour))
    if chance(random, 0.9):
        tank = between(random, 0.17, 0.21)
        top = rim + between(random, 0.34, 0.42)
        parts.append(block((-tank, back + 0.01, rim - 0.02), (tank, back + 0.18, top), white, gloss=0.6))
        parts.append(
            block((-tank - 0.012, back, top), (tank + 0.012, back + 0.19, top + 0.03), shade(white, 0.97), gloss=0.6)
        )
        if chance(random, 0.5):
            parts.append(rod((0, back + 0.09, top + 0.033), 0.025, 0.006, pick(random, METALS)))
        else:
            parts.append(box((-tank * 0.65, back - 0.005, top - 0.06), (0.035, 0.012, 0.008), pick(random, METALS)))
    else:
        parts.append(block((-0.15, back, 0), (0.15, back + 0.04, rim + 0.5), shade(white, 0.95)))
        parts.append(box((0, back - 0.003, rim + 0.4), (0.1, 0.006, 0.07), pick(random, METALS)))
    return thing("toilet", "toilet", parts)


def _basin(centre: Vector, half: Vector, wall: float, colour: Colour) -> list[Part]:
    """A rectangular trough, open at the top: four walls, a bottom and a drain; `centre` is the middle of the top."""
    x, y, z = centre
    half_x, half_y, deep = half
    inside = shade(colour, 0.9)
    return [
        block((x - half_x, y - half_y, z - deep), (x + half_x, y + half_y, z - deep + 0.02), inside),
        block((x - half_x, y - half_y, z - deep), (x - half_x + wall, y + half_y, z), colour, gloss=0.6),
        block((x + half_x - wall, y - half_y, z - deep), (x + half_x, y + half_y, z), colour, gloss=0.6),
        block((x - half_x + wall, y - half_y, z - deep), (x + half_x - wall, y - half_y + wall, z), colour, gloss=0.6),
        block(
            (x - half_x + wall, y + half_y - wall * 2.5, z - deep),
            (x + half_x - wall, y + half_y, z),
            colour,
            gloss=0.6,
        ),
        rod((x, y, z - deep + 0.022), 0.022, 0.003, (0.2, 0.2, 0.2)),
    ]


def _tap(random: np.random.Generator, base: Vector, tall: float, reach: float) -> list[Part]:
    """A pipe up, a spout forward and a lever, standing at `base`."""
    colour = pick(random, ((0.78, 0.79, 0.81), (0.78, 0.79, 0.81), (0.15, 0.15, 0.16), (0.72, 0.58, 0.3)))
    x, y, z = base
    parts = [
        rod((x, y, z + tall / 2), 0.016, tall / 2, colour, gloss=0.9),
        bar((x, y, z + tall), (x, y - reach, z + tall * 0.95), 0.013, colour, gloss=0.9),
        bar((x, y - reach, z + tall * 0.95), (x, y - reach, z + tall * 0.78), 0.012, colour, gloss=0.9),
    ]
    if chance(random, 0.5):
        parts.append(bar((x, y, z + tall + 0.015), (x, y + 0.03, z + tall + 0.05), 0.008, colour, gloss=0.9))
    else:
        parts += [rod((x + sx * 0.09, y, z + 0.025), 0.018, 0.025, colour, gloss=0.9) for sx in (-1, 1)]
    return parts


def wall_basin(random: np.random.Generator) -> Thing:
    """A bathroom basin at 0.85 m on the wall, or over a narrow pedestal or siphon."""
    white, half_x, half_y = ceramic(random), between(random, 0.22, 0.32), between(random, 0.18, 0.24)
    top, deep = between(random, 0.8, 0.9), between(random, 0.12, 0.18)
    parts = _basin((0, 0, top), (half_x, half_y, deep), between(random, 0.025, 0.04), white)
    parts.append(ball((0, 0.02, top - deep), (half_x * 0.8, half_y * 0.8, 0.07), white, gloss=0.6))
    kind = pick(random, ("pedestal basin", "wall basin"))
    if kind == "pedestal basin":
        parts.append(rod((0, half_y * 0.4, (top - deep) / 2), 0.085, (top - deep) / 2, white, gloss=0.6))
        parts.append(rod((0, half_y * 0.4, 0.02), 0.115, 0.02, white, gloss=0.6))
    else:
        steel = metal(random)
        parts.append(rod((0, half_y * 0.3, top - deep - 0.13), 0.02, 0.1, steel, gloss=0.8))
        parts.append(rod((0, half_y * 0.3, top - deep - 0.2), 0.035, 0.05, steel, gloss=0.8))
        parts.append(bar((0, half_y * 0.3, top - deep - 0.15), (0, half_y - 0.02, top - deep - 0.15), 0.016, steel))
    parts += _tap(random, (0, half_y - 0.045, top), between(random, 0.1, 0.18), between(random, 0.1, 0.14))
    return thing("sink", kind, parts, hanging=True)


def kitchen_sink(random: np.random.Generator) -> Thing:
    """A steel or ceramic basin with a drainer and a high tap; stands on a worktop."""
    colour = pick(random, ((0.72, 0.73, 0.75), (0.62, 0.63, 0.65), ceramic(random), (0.2, 0.2, 0.21)))
    half_x, half_y, deep = between(random, 0.19, 0.24), between(random, 0.18, 0.21), between(random, 0.05, 0.09)
    parts = _basin((0, 0, deep), (half_x, half_y, deep), 0.02, colour)
    parts[0] = block((-half_x, -half_y, 0), (half_x, half_y, 0.006), shade(colour, 0.5), gloss=0.8)
    if chance(random, 0.5):
        side = pick(random, (-1, 1))
        low, high = sorted((side * half_x, side * (half_x + 0.3)))
        parts.append(
            block((low, -half_y, deep - 0.03), (high, half_y, deep - 0.005), shade(colour, 0.95), "stripes", gloss=0.7)
        )
    parts += _tap(random, (0, half_y - 0.025, deep), between(random, 0.2, 0.34), between(random, 0.14, 0.19))
    return thing("sink", "kitchen sink", parts)


def vessel_basin(random: np.random.Generator) -> Thing:
    """A bowl of a basin that stands on a worktop, its tap behind it."""
    white = ceramic(random) if chance(random, 0.8) else cloth(random)
    radius, deep = between(random, 0.18, 0.23), between(random, 0.1, 0.14)
    parts = [rod((0, 0, 0.006), radius * 0.8, 0.006, shade(white, 0.75))]
    count = 12
    for number in range(count):
        angle = 2 * math.pi * number / count
        place = (radius * math.cos(angle) * 0.9, radius * math.sin(angle) * 0.9, deep / 2 + 0.004)
        side = (radius * math.tan(math.pi / count) * 1.05, 0.012, deep / 2)
        parts.append(box(place, side, white, angles=(0.3, 0, angle - math.pi / 2 + math.pi), gloss=0.5))
    parts += _tap(random, (0, radius + 0.06, 0), deep + between(random, 0.1, 0.18), between(random, 0.12, 0.16))
    return thing("sink", "vessel basin", parts)
