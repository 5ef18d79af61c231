# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Chairs and couches: a seat at sitting height with a back behind it, in the looks that rooms really have."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import between, bright, chance, cloth, metal, pick, shade, wood
from tasktp_ros.datasets.rooms.shapes import Colour, Part, Thing
from tasktp_ros.datasets.rooms.solids import ball, bar, box, four_legs, pill, rod, thing


def kitchen_chair(random: np.random.Generator) -> Thing:
    """Four legs, a flat seat and a back of slats, rungs or one board."""
    half, seat = between(random, 0.19, 0.24), between(random, 0.42, 0.48)
    top, leg = between(random, 0.78, 1.05), between(random, 0.014, 0.024)
    frame = wood(random) if chance(random, 0.75) else metal(random)
    seat_colour = cloth(random) if chance(random, 0.4) else frame
    round_ = chance(random, 0.5)
    parts = four_legs(half - leg, half - leg, seat, leg, frame, round_)
    thick = between(random, 0.015, 0.03)
    parts.append(box((0, 0, seat), (half, half, thick), seat_colour, "" if seat_colour != frame else "wood"))
    lean = between(random, 0.02, 0.09)

    def back(x: float, z: float) -> tuple[float, float, float]:
        return x, half - leg + lean * (z - seat) / (top - seat), z

    posts = [bar(back(sx * (half - leg), seat), back(sx * (half - leg), top), leg, frame) for sx in (-1, 1)]
    parts += posts
    tilt = -math.atan2(lean, top - seat)
    style = pick(random, ("board", "rungs", "slats"))
    if style == "board":
        low = between(random, 0.3, 0.7)
        middle, tall = seat + (top - seat) * (low + 1) / 2, (top - seat) * (1 - low) / 2
        parts.append(box(back(0, middle), (half, 0.014, tall), seat_colour, angles=(tilt, 0, 0)))
    elif style == "rungs":
        for share in np.linspace(0.35, 1.0, int(random.integers(2, 5))):
            z = seat + (top - seat) * float(share) - 0.03
            parts.append(box(back(0, z), (half, 0.011, between(random, 0.02, 0.035)), frame, angles=(tilt, 0, 0)))
    else:
        parts.append(box(back(0, top - 0.03), (half, 0.014, 0.035), frame, "wood", angles=(tilt, 0, 0)))
        for x in np.linspace(-half * 0.6, half * 0.6, int(random.integers(3, 6))):
            parts.append(bar(back(float(x), seat), back(float(x), top - 0.03), 0.009, frame))
    if chance(random, 0.4):
        parts += [
            bar((sx * (half - leg), leg - half, 0.2), (sx * (half - leg), half - leg, 0.2), 0.01, frame)
            for sx in (-1, 1)
        ]
    return thing("chair", "kitchen chair", parts)


def office_chair(random: np.random.Generator) -> Thing:
    """A swivel chair: five feet on castors, a column, a cushion and a high back."""
    colour = cloth(random) if chance(random, 0.5) else (0.10, 0.10, 0.11)
    foot = pick(random, ((0.08, 0.08, 0.09), (0.6, 0.6, 0.62)))
    seat, half = between(random, 0.43, 0.52), between(random, 0.23, 0.27)
    parts = [rod((0, 0, seat / 2 + 0.03), 0.028, seat / 2 - 0.06, foot)]
    turn = between(random, 0, 1.2)
    for number in range(5):
        angle = turn + number * 2 * math.pi / 5
        x, y = 0.3 * math.cos(angle), 0.3 * math.sin(angle)
        parts += [
            bar((0, 0, 0.11), (x, y, 0.075), 0.02, foot),
            ball((x, y, 0.03), (0.03, 0.03, 0.03), (0.05, 0.05, 0.05)),
        ]
    parts.append(box((0, 0, seat), (half, half, 0.04), colour, "fabric"))
    tall, lean = between(random, 0.22, 0.36), between(random, -0.2, -0.05)
    parts.append(
        box((0, half + 0.02, seat + 0.12 + tall), (half * 0.92, 0.03, tall), colour, "fabric", angles=(lean, 0, 0))
    )
    parts.append(box((0, half, seat + 0.08), (0.04, 0.015, 0.14), foot))
    if chance(random, 0.65):
        for sx in (-1, 1):
            x = sx * (half + 0.03)
            parts.append(box((x, 0.05, seat + 0.1), (0.014, 0.03, 0.1), foot))
            parts.append(box((x, 0.0, seat + 0.21), (0.03, 0.14, 0.016), foot))
    if chance(random, 0.3):
        parts.append(box((0, half + 0.1, seat + 0.2 + 2 * tall), (0.13, 0.03, 0.08), colour, "fabric"))
    return thing("chair", "office chair", parts)


def shell_chair(random: np.random.Generator) -> Thing:
    """A moulded seat and back on splayed thin legs."""
    colour, leg = bright(random), wood(random) if chance(random, 0.6) else metal(random)
    seat, half = between(random, 0.42, 0.47), between(random, 0.21, 0.25)
    parts = [
        bar((sx * 0.13, sy * 0.13, seat), (sx * half, sy * half, 0.015), 0.013, leg) for sx in (-1, 1) for sy in (-1, 1)
    ]
    tall = between(random, 0.17, 0.23)
    parts.append(ball((0, 0, seat), (half, half, 0.04), colour, gloss=0.4))
    parts.append(box((0, -0.02, seat + 0.005), (half * 0.8, half * 0.8, 0.022), colour, gloss=0.4))
    parts.append(ball((0, half - 0.02, seat + tall), (half, 0.04, tall), colour, gloss=0.4, angles=(-0.18, 0, 0)))
    return thing("chair", "shell chair", parts)


def bar_chair(random: np.random.Generator) -> Thing:
    """A high stool with a short back and a foot ring."""
    colour, frame = cloth(random), metal(random) if chance(random, 0.5) else wood(random)
    seat, half = between(random, 0.62, 0.76), between(random, 0.17, 0.2)
    parts = [
        bar((sx * half * 0.8, sy * half * 0.8, seat), (sx * half * 1.1, sy * half * 1.1, 0.014), 0.014, frame)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    for sx in (-1, 1):
        parts.append(bar((sx * half, -half, 0.25), (sx * half, half, 0.25), 0.009, frame))
        parts.append(bar((-half, sx * half, 0.25), (half, sx * half, 0.25), 0.009, frame))
        parts.append(
            bar((sx * half * 0.8, half * 0.9, seat), (sx * half * 0.8, half + 0.03, seat + 0.25), 0.011, frame)
        )
    parts.append(
        rod((0, 0, seat), half, 0.025, colour)
        if chance(random, 0.5)
        else box((0, 0, seat), (half, half, 0.025), colour)
    )
    parts.append(box((0, half + 0.03, seat + 0.24), (half, 0.018, between(random, 0.05, 0.11)), colour))
    return thing("chair", "bar chair", parts)


def armchair(random: np.random.Generator) -> Thing:
    """A padded chair for one with arms."""
    return _padded(random, seats=1, category="chair", kind="armchair")


def couch(random: np.random.Generator) -> Thing:
    """A padded seat for two to four, some with a chaise longue."""
    return _padded(random, seats=int(random.integers(2, 5)), category="couch", kind="couch")


def _padded(random: np.random.Generator, seats: int, category: str, kind: str) -> Thing:
    colour = cloth(random)
    cushion = colour if chance(random, 0.6) else cloth(random)
    texture = pick(random, ("fabric", "fabric", "", "stripes", "checks"))
    seat, deep = between(random, 0.38, 0.46), between(random, 0.38, 0.46)
    wide = seats * between(random, 0.26, 0.33) if seats > 1 else between(random, 0.26, 0.32)
    arm, arm_top = between(random, 0.05, 0.12), seat + between(random, 0.12, 0.24)
    back, thick = seat + between(random, 0.28, 0.5), between(random, 0.06, 0.11)
    foot = between(random, 0.03, 0.14)
    parts: list[Part] = four_legs(wide, deep - 0.05, foot, 0.022, wood(random), chance(random, 0.5))
    base = seat - 0.14
    parts.append(box((0, 0, (foot + base) / 2), (wide + arm, deep, (base - foot) / 2), colour, texture))
    parts.append(box((0, deep - thick, (base + back) / 2), (wide + arm, thick, (back - base) / 2), colour, texture))
    round_arms = chance(random, 0.4)
    for sx in (-1, 1):
        x = sx * (wide + arm)
        parts.append(box((x, 0, (foot + arm_top) / 2), (arm, deep, (arm_top - foot) / 2), shade(colour, 0.93), texture))
        if round_arms:
            parts.append(pill((x, 0, arm_top), arm * 1.08, deep, colour, angles=(math.pi / 2, 0, 0)))
    each = wide / seats
    for number in range(seats):
        x = -wide + each * (2 * number + 1)
        parts.append(box((x, -thick, base + 0.07), (each - 0.008, deep - thick, 0.075), cushion, texture))
        tall = (back - seat) / 2 + 0.02
        place = (x, deep - 2 * thick - 0.06, seat + tall)
        parts.append(box(place, (each - 0.012, 0.07, tall), shade(cushion, 1.04), texture, angles=(-0.15, 0, 0)))
    if seats > 2 and chance(random, 0.3):
        side = pick(random, (-1, 1))
        x = side * (wide - each)
        parts.append(box((x, -deep - 0.3, (foot + base) / 2), (each, 0.32, (base - foot) / 2), colour, texture))
        parts.append(box((x, -deep - 0.3, base + 0.07), (each - 0.008, 0.32, 0.075), cushion, texture))
    for _ in range(int(random.integers(0, 3)) if seats > 1 else 0):
        x = between(random, -wide + 0.2, wide - 0.2)
        parts.append(_cushion(random, (x, deep - 2 * thick - 0.19, seat + 0.2)))
    return thing(category, kind, parts)


def _cushion(random: np.random.Generator, centre: tuple[float, float, float]) -> Part:
    half = between(random, 0.17, 0.22)
    colour: Colour = bright(random)
    angles = (-0.3, between(random, -0.3, 0.3), 0.0)
    return box(centre, (half, 0.05, half), colour, pick(random, ("", "stripes", "checks", "dots")), angles=angles)
