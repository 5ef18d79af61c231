# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Kitchen machines: fronts with doors, windows, handles and knobs that say what they are."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import APPLIANCES, DARK, METALS, between, chance, hue, pick, shade, varied
from tasktp_ros.datasets.rooms.shapes import Part, Surface, Thing
from tasktp_ros.datasets.rooms.solids import bar, block, box, rod, thing

_LYING = (math.pi / 2, 0.0, 0.0)
"""Turns a cylinder's axis from z to y: knobs on a front."""


def refrigerator(random: np.random.Generator) -> Thing:
    """A tall box with one, two or three doors and their handles."""
    wide = between(random, 0.27, 0.34)
    deep, tall = between(random, 0.28, 0.35), between(random, 1.4, 1.95)
    colour = pick(random, APPLIANCES) if chance(random, 0.8) else hue(random, (0.3, 0.7), (0.5, 0.9))
    door = shade(colour, 1.03)
    handle = pick(random, (*METALS, shade(colour, 0.7)))
    style = pick(random, ("top freezer", "bottom freezer", "side by side", "single"))
    if style == "side by side":
        wide, tall = between(random, 0.42, 0.48), between(random, 1.7, 1.85)
    parts = [box((0, 0.02, tall / 2), (wide, deep, tall / 2), shade(colour, 0.88), gloss=0.4)]
    front = -deep + 0.02
    parts.append(block((-wide, front - 0.001, 0), (wide, front + 0.02, 0.06), DARK))
    if style == "side by side":
        for sx in (-1, 1):
            low, high = sorted((sx * 0.006, sx * wide))
            parts.append(block((low, front - 0.05, 0.07), (high, front - 0.006, tall - 0.005), door, gloss=0.5))
            parts.append(
                bar((sx * 0.05, front - 0.085, tall * 0.35), (sx * 0.05, front - 0.085, tall * 0.8), 0.012, handle)
            )
        if chance(random, 0.5):
            parts.append(box((-wide / 2, front - 0.051, tall * 0.62), (0.1, 0.004, 0.14), DARK))
    else:
        cut = tall * {"top freezer": 0.7, "bottom freezer": 0.38, "single": 0.999}[style]
        side = pick(random, (-1, 1)) * (wide - 0.05)
        edges = [(0.07, cut - 0.008), (cut + 0.008, tall - 0.003)] if style != "single" else [(0.07, tall - 0.003)]
        for low, high in edges:
            parts.append(block((-wide, front - 0.055, low), (wide, front - 0.006, high), door, gloss=0.5))
            reach = min(0.45, (high - low) * 0.7)
            start = cut + 0.06 if low > cut else max(cut - 0.06 - reach, low + 0.04)
            if style == "single":
                start = tall * 0.45
            parts.append(bar((side, front - 0.085, start), (side, front - 0.085, start + reach), 0.013, handle))
    if chance(random, 0.35):
        for _ in range(int(random.integers(2, 5))):
            place = (between(random, -wide * 0.6, wide * 0.6), front - 0.057, tall * between(random, 0.55, 0.65))
            parts.append(box(place, (0.035, 0.003, 0.045), hue(random, (0.2, 0.9), (0.7, 1.0)), "picture"))
    return thing("refrigerator", "refrigerator", parts)


def stove(random: np.random.Generator) -> Thing:
    """A free-standing cooker: oven with a window and handle, knobs, four hobs on top."""
    colour = varied(random, pick(random, APPLIANCES), 0.02)
    wide, deep, tall = between(random, 0.27, 0.38), between(random, 0.28, 0.31), between(random, 0.83, 0.92)
    parts = [box((0, 0, tall / 2), (wide, deep, tall / 2), colour, gloss=0.4)]
    parts += _oven_front(random, wide, -deep, 0.16, tall - 0.16)
    parts.append(block((-wide + 0.02, -deep - 0.012, 0.03), (wide - 0.02, -deep, 0.14), shade(colour, 0.92)))
    parts += _knobs(random, int(random.integers(4, 7)), wide * 0.8, -deep, tall - 0.07)
    parts.append(block((-wide, -deep, tall), (wide, deep, tall + 0.012), DARK, gloss=0.7))
    for sx, sy, radius in ((-1, -1, 0.1), (1, -1, 0.075), (-1, 1, 0.075), (1, 1, 0.1)):
        place = (sx * wide * 0.5, sy * deep * 0.48, tall + 0.014)
        parts.append(rod(place, radius, 0.006, pick(random, ((0.3, 0.3, 0.31), (0.22, 0.2, 0.2)))))
    if chance(random, 0.4):
        parts.append(block((-wide, deep - 0.05, tall), (wide, deep, tall + 0.14), colour))
    return thing("oven", "stove", parts)


def built_in_oven(random: np.random.Generator) -> Thing:
    """An oven in a low kitchen cabinet without a hob."""
    colour = pick(random, APPLIANCES)
    cabinet = pick(random, ((0.93, 0.93, 0.91), (0.7, 0.55, 0.38), (0.35, 0.38, 0.42), colour))
    wide, deep, low = between(random, 0.29, 0.32), 0.3, between(random, 0.08, 0.14)
    tall = low + between(random, 0.56, 0.62)
    total = tall + between(random, 0.03, 0.1)
    parts = [box((0, 0, total / 2), (wide, deep, total / 2), cabinet, "wood")]
    parts.append(block((-wide + 0.01, -deep - 0.02, low), (wide - 0.01, -deep, tall), colour, gloss=0.5))
    parts += _oven_front(random, wide - 0.01, -deep - 0.02, low + 0.02, tall - 0.12)
    parts += _knobs(random, pick(random, (2, 4)), wide * 0.7, -deep - 0.02, tall - 0.06)
    parts.append(box((0, -deep - 0.022, tall - 0.06), (0.06, 0.003, 0.02), (0.1, 0.35, 0.4), glow=0.6))
    return thing("oven", "built-in oven", parts, [Surface((0, 0, total), (wide * 0.9, deep * 0.9))])


def _oven_front(random: np.random.Generator, wide: float, front: float, low: float, high: float) -> list[Part]:
    """Door, window and handle on a front at y = `front`."""
    door = pick(random, (DARK, (0.2, 0.2, 0.21), (0.75, 0.76, 0.78), (0.95, 0.95, 0.95)))
    glass = (0.03, 0.03, 0.04) if door[0] > 0.1 else (0.16, 0.13, 0.11)
    glow = 0.5 if chance(random, 0.15) else 0.0
    margin = between(random, 0.05, 0.08)
    if glow:
        glass = (0.85, 0.45, 0.12)
    return [
        block((-wide + 0.015, front - 0.03, low), (wide - 0.015, front, high), door, gloss=0.6),
        block(
            (-wide + margin, front - 0.034, low + 0.07),
            (wide - margin, front, high - 0.11),
            glass,
            gloss=0.9,
            glow=glow,
        ),
        bar(
            (-wide * 0.75, front - 0.065, high - 0.05),
            (wide * 0.75, front - 0.065, high - 0.05),
            0.012,
            pick(random, METALS),
        ),
    ]


def _knobs(random: np.random.Generator, count: int, reach: float, front: float, height: float) -> list[Part]:
    colour = pick(random, (DARK, (0.8, 0.8, 0.82), (0.3, 0.3, 0.3)))
    return [
        rod((float(x), front - 0.015, height), 0.02, 0.016, colour, angles=_LYING)
        for x in np.linspace(-reach, reach, count)
    ]


def microwave(random: np.random.Generator) -> Thing:
    """A low box with a window on the left and a panel of keys on the right."""
    colour = pick(random, APPLIANCES) if chance(random, 0.85) else hue(random, (0.4, 0.8), (0.5, 0.9))
    wide, deep, tall = between(random, 0.22, 0.27), between(random, 0.16, 0.21), between(random, 0.13, 0.16)
    edge = wide * between(random, 0.45, 0.6)
    foot = 0.012
    high = 2 * tall + foot
    front = -deep
    parts = [box((0, 0, tall + foot), (wide, deep, tall), colour, gloss=0.4)]
    window = pick(random, (DARK, (0.12, 0.13, 0.15), (0.2, 0.19, 0.18)))
    frame = DARK if chance(random, 0.4) else shade(colour, 0.9)
    parts.append(block((-wide + 0.008, front - 0.012, foot + 0.008), (edge, front, high - 0.008), frame, gloss=0.5))
    parts.append(
        block((-wide + 0.045, front - 0.015, foot + 0.05), (edge - 0.05, front, high - 0.05), window, gloss=0.8)
    )
    parts.append(
        bar(
            (edge - 0.02, front - 0.035, foot + 0.04),
            (edge - 0.02, front - 0.035, high - 0.04),
            0.009,
            pick(random, METALS),
        )
    )
    panel = DARK if chance(random, 0.5) else shade(colour, 0.8)
    parts.append(
        block((edge + 0.01, front - 0.01, foot + 0.008), (wide - 0.008, front, high - 0.008), panel, gloss=0.3)
    )
    middle = (edge + wide) / 2
    clock = pick(random, ((0.2, 0.9, 0.5), (0.2, 0.7, 0.95), (0.95, 0.5, 0.15)))
    parts.append(box((middle, front - 0.012, high - 0.045), ((wide - edge) * 0.33, 0.003, 0.014), clock, glow=0.8))
    light = (0.75, 0.75, 0.75) if panel[0] < 0.5 else (0.2, 0.2, 0.2)
    if chance(random, 0.5):
        for z in (0.3, 0.55):
            place = (middle, front - 0.02, foot + 2 * tall * z)
            parts.append(rod(place, 0.022, 0.014, light, angles=_LYING))
    else:
        for row in range(3):
            place = (middle, front - 0.012, foot + 0.05 + 0.035 * row)
            parts.append(box(place, ((wide - edge) * 0.33, 0.003, 0.011), light, "checks"))
    return thing("microwave", "microwave", parts, [Surface((0, 0, high), (wide * 0.8, deep * 0.8), 0.3)])
