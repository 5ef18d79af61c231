# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Books and clocks: small flat things that are known by their pages and by their hands."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import DARK, between, bright, chance, cloth, hue, metal, pick, shade, wood
from tasktp_ros.datasets.rooms.shapes import Colour, Part, Thing
from tasktp_ros.datasets.rooms.solids import ball, bar, block, box, rod, thing

_PAPER: Colour = (0.95, 0.92, 0.84)


def _sleeve(random: np.random.Generator) -> tuple[Colour, str]:
    colour = bright(random) if chance(random, 0.6) else cloth(random)
    return colour, pick(random, ("cover", "cover", "picture", "", "fabric"))


def lying_book(random: np.random.Generator) -> Thing:
    """A closed book lying on its back: two covers, a spine and the pages between."""
    half_x, half_y, thick = between(random, 0.055, 0.11), between(random, 0.08, 0.15), between(random, 0.008, 0.025)
    colour, texture = _sleeve(random)
    board = 0.002
    parts = [
        box((0.003, 0, thick), (half_x - 0.005, half_y - 0.004, thick - board), _PAPER),
        box((0, 0, board), (half_x, half_y, board), colour),
        box((0, 0, 2 * thick - board), (half_x, half_y, board), colour, texture),
        box((-half_x + 0.002, 0, thick), (0.002, half_y, thick), shade(colour, 0.85)),
    ]
    return thing("book", "lying book", parts)


def standing_book(random: np.random.Generator) -> Thing:
    """A closed book standing on its lower edge, the spine to the front."""
    thick, half_y, half_z = between(random, 0.008, 0.026), between(random, 0.06, 0.1), between(random, 0.09, 0.15)
    colour, texture = _sleeve(random)
    label = hue(random, (0.0, 0.7), (0.6, 1.0))
    parts = [
        box((0, 0.003, half_z - 0.001), (thick - 0.002, half_y - 0.005, half_z - 0.004), _PAPER),
        box((-thick + 0.002, 0, half_z), (0.002, half_y, half_z), colour, texture),
        box((thick - 0.002, 0, half_z), (0.002, half_y, half_z), colour, texture),
        box((0, -half_y + 0.002, half_z), (thick, 0.003, half_z), colour),
        box((0, -half_y - 0.0015, half_z * between(random, 1.1, 1.5)), (thick * 0.8, 0.001, half_z * 0.25), label),
    ]
    return thing("book", "standing book", parts)


def open_book(random: np.random.Generator) -> Thing:
    """A book lying open with two white pages of print."""
    half_x, half_y, thick = between(random, 0.07, 0.11), between(random, 0.09, 0.14), between(random, 0.006, 0.012)
    colour, _ = _sleeve(random)
    parts = [box((0, 0, 0.002), (2 * half_x + 0.004, half_y + 0.004, 0.002), colour)]
    for sx in (-1, 1):
        tilt = (0.0, sx * 0.07, 0.0)
        parts.append(box((sx * half_x, 0, 0.008 + thick), (half_x, half_y, thick), _PAPER, angles=tilt))
        place = (sx * half_x, 0.0, 0.0085 + 2 * thick)
        texture = "picture" if chance(random, 0.25) else "stripes"
        parts.append(box(place, (half_x * 0.78, half_y * 0.82, 0.0008), (0.93, 0.92, 0.9), texture, angles=tilt))
    return thing("book", "open book", parts)


def _hands(random: np.random.Generator, radius: float, front: float, height: float, colour: Colour) -> list[Part]:
    """Two hands and a hub on a dial at y = `front`, pointing at any time."""
    parts = [ball((0, front - 0.004, height), (radius * 0.07, 0.004, radius * 0.07), colour)]
    for reach, wide in ((0.5, 0.06), (0.78, 0.04)):
        angle = between(random, 0, 2 * math.pi)
        long = radius * reach / 2
        place = (long * math.sin(angle), front - 0.003, height + long * math.cos(angle))
        parts.append(box(place, (radius * wide, 0.0015, long), colour, angles=(0, angle, 0)))
    return parts


def wall_clock(random: np.random.Generator) -> Thing:
    """A round or square dial in a frame for the wall; its back is the wall."""
    radius = between(random, 0.11, 0.2)
    frame = pick(random, (DARK, wood(random), metal(random), bright(random)))
    face: Colour = (0.97, 0.96, 0.93) if chance(random, 0.8) else bright(random)
    hand = DARK if face[0] + face[1] > 1.0 else (0.95, 0.95, 0.95)
    lying = (math.pi / 2, 0.0, 0.0)
    parts = [rod((0, 0, radius), radius, 0.018, frame, angles=lying, gloss=0.5)]
    if chance(random, 0.2):
        parts = [box((0, 0, radius), (radius, 0.018, radius), frame, "wood")]
    parts.append(rod((0, -0.018, radius), radius * between(random, 0.84, 0.93), 0.003, face, "dial", angles=lying))
    parts += _hands(random, radius * 0.88, -0.022, radius, hand)
    return thing("clock", "wall clock", parts)


def alarm_clock(random: np.random.Generator) -> Thing:
    """A round table clock on two feet, mostly with two bells and a grip."""
    radius = between(random, 0.042, 0.065)
    colour, brass = bright(random), metal(random)
    middle = radius + 0.018
    lying = (math.pi / 2, 0.0, 0.0)
    parts = [
        rod((0, 0, middle), radius, 0.025, colour, angles=lying, gloss=0.5),
        rod((0, -0.025, middle), radius * 0.87, 0.002, (0.97, 0.96, 0.93), "dial", angles=lying),
        *_hands(random, radius * 0.85, -0.028, middle, DARK),
    ]
    parts += [bar((sx * radius * 0.5, 0, radius * 0.4), (sx * radius * 0.75, 0, 0.006), 0.006, brass) for sx in (-1, 1)]
    if chance(random, 0.75):
        top = middle + radius
        for sx in (-1, 1):
            place = (sx * radius * 0.5, 0, top + radius * 0.02)
            parts.append(
                ball(place, (radius * 0.4, radius * 0.4, radius * 0.28), brass, angles=(0, sx * 0.5, 0), gloss=0.8)
            )
        parts.append(bar((-radius * 0.2, 0, top + radius * 0.45), (radius * 0.2, 0, top + radius * 0.45), 0.004, brass))
    return thing("clock", "alarm clock", parts)


def mantel_clock(random: np.random.Generator) -> Thing:
    """A wooden table clock with a round dial on a block or under a small roof."""
    half, tall, colour = between(random, 0.07, 0.11), between(random, 0.09, 0.14), wood(random)
    radius = half * 0.78
    middle = tall * 1.15
    parts = [
        block((-half * 1.15, -0.05, 0), (half * 1.15, 0.05, 0.022), shade(colour, 0.8), "wood"),
        block((-half, -0.04, 0.02), (half, 0.04, 2 * tall), colour, "wood"),
        rod((0, 0, 2 * tall), half, 0.04, colour, angles=(math.pi / 2, 0.0, 0.0)),
        rod(
            (0, -0.041, middle + 0.02),
            radius * 1.1,
            0.003,
            (0.8, 0.68, 0.35),
            angles=(math.pi / 2, 0.0, 0.0),
            gloss=0.7,
        ),
        rod((0, -0.043, middle + 0.02), radius, 0.003, (0.97, 0.95, 0.88), "dial", angles=(math.pi / 2, 0.0, 0.0)),
        *_hands(random, radius, -0.047, middle + 0.02, DARK),
    ]
    return thing("clock", "mantel clock", parts)
