# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Backpacks and suitcases: what people carry and leave standing on the floor."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import DARK, METALS, between, bright, chance, cloth, metal, pick, shade
from tasktp_ros.datasets.rooms.shapes import Thing
from tasktp_ros.datasets.rooms.solids import ball, bar, block, box, pill, rod, thing


def backpack(random: np.random.Generator) -> Thing:
    """A rounded sack with a front pocket, a top flap, side pockets and two straps at the back."""
    colour = bright(random) if chance(random, 0.6) else cloth(random)
    pocket = colour if chance(random, 0.4) else pick(random, (shade(colour, 0.6), bright(random), (0.12, 0.12, 0.13)))
    strap = shade(pocket, 0.5)
    half, deep, tall = between(random, 0.13, 0.17), between(random, 0.07, 0.1), between(random, 0.19, 0.25)
    shoulder = tall * 1.62
    parts = [
        box((0, 0, shoulder / 2), (half, deep, shoulder / 2), colour, "fabric"),
        ball((0, 0, shoulder), (half, deep, 2 * tall - shoulder), shade(colour, 0.97), "fabric"),
        ball((0, -deep * 0.4, tall * 0.85), (half * 1.05, deep * 1.05, tall * 0.85), colour, "fabric"),
        bar((-0.035, 0.02, 2 * tall + 0.02), (0.035, 0.02, 2 * tall + 0.02), 0.011, strap),
    ]
    front = -deep * between(random, 1.35, 1.6)
    if chance(random, 0.6):
        parts += [
            box((0, front, tall * 0.42), (half * 0.74, 0.04, tall * 0.34), pocket, "fabric"),
            pill((0, front, tall * 0.76), 0.04, half * 0.74, pocket, angles=(0, math.pi / 2, 0)),
            box((0, front - 0.04, tall * 0.74), (half * 0.68, 0.004, 0.006), pick(random, METALS)),
        ]
    else:
        parts.append(ball((0, front, tall * 0.55), (half * 0.8, 0.06, tall * 0.45), pocket, "fabric"))
        parts.append(ball((0, -deep, tall * 1.3), (half * 0.7, 0.045, tall * 0.25), pocket, "fabric"))
    for sx in (-1, 1):
        x = sx * half * 0.55
        parts.append(bar((x, deep, tall * 1.85), (x * 1.6, deep + 0.07, tall * 1.2), 0.02, strap))
        parts.append(bar((x * 1.6, deep + 0.07, tall * 1.2), (x * 1.7, deep, tall * 0.2), 0.014, strap))
    style = random.random()
    if style < 0.35:
        for sx in (-1, 1):
            parts.append(ball((sx * half, 0, tall * 0.45), (0.035, deep * 0.8, tall * 0.4), pocket, "fabric"))
    elif style < 0.65:
        parts.append(ball((0, -deep * 0.3, tall * 1.72), (half * 1.08, deep * 1.3, tall * 0.3), pocket, "fabric"))
        for sx in (-1, 1):
            parts.append(box((sx * half * 0.4, -deep * 1.5, tall * 1.42), (0.012, 0.012, tall * 0.2), strap))
    else:
        parts.append(box((0, -deep * 0.99, shoulder), (half * 0.7, 0.01, 0.007), DARK, angles=(-0.4, 0, 0)))
    return thing("backpack", "backpack", parts)


def suitcase(random: np.random.Generator) -> Thing:
    """An upright trolley case: a ribbed shell, four wheels, a handle on top, often pulled out."""
    colour = bright(random) if chance(random, 0.7) else cloth(random)
    half, deep, tall = between(random, 0.17, 0.25), between(random, 0.1, 0.15), between(random, 0.25, 0.36)
    wheel = 0.035
    middle = wheel * 1.6 + tall
    parts = [box((0, 0, middle), (half, deep, tall - 0.02), colour, gloss=0.5)]
    parts.append(box((0, 0, middle), (half - 0.02, deep - 0.003, tall), colour, gloss=0.5))
    parts.append(box((0, 0, middle), (half + 0.003, 0.006, tall + 0.002), DARK))
    if chance(random, 0.65):
        for x in np.linspace(-half * 0.72, half * 0.72, int(random.integers(4, 7))):
            parts.append(box((float(x), -deep, middle), (0.012, 0.008, tall * 0.9), shade(colour, 0.82), gloss=0.5))
    else:
        parts.append(
            box(
                (0, -deep - 0.012, middle - tall * 0.3), (half * 0.82, 0.018, tall * 0.5), shade(colour, 0.85), "fabric"
            )
        )
        parts.append(
            box(
                (0, -deep - 0.01, middle + tall * 0.55),
                (half * 0.82, 0.014, tall * 0.22),
                shade(colour, 0.85),
                "fabric",
            )
        )
    for sx in (-1, 1):
        for sy in (-1, 1):
            place = (sx * (half - 0.035), sy * (deep - 0.035), wheel)
            parts.append(rod(place, wheel, 0.016, DARK, angles=(0, math.pi / 2, 0)))
    top = middle + tall
    steel = metal(random)
    if chance(random, 0.6):
        reach, width = between(random, 0.25, 0.42), half * 0.45
        for sx in (-1, 1):
            parts.append(rod((sx * width, deep - 0.03, top + reach / 2), 0.008, reach / 2, steel, gloss=0.8))
        parts.append(bar((-width, deep - 0.03, top + reach), (width, deep - 0.03, top + reach), 0.015, DARK))
    grip = 0.03
    parts.append(block((-0.07, -0.015, top + grip - 0.012), (0.07, 0.015, top + grip), DARK))
    parts += [block((sx * 0.065 - 0.008, -0.015, top), (sx * 0.065 + 0.008, 0.015, top + grip), DARK) for sx in (-1, 1)]
    return thing("suitcase", "trolley case", parts)


def lying_case(random: np.random.Generator) -> Thing:
    """An old-fashioned hand case: leather or plastic with corners, two locks and a grip, standing on its long side."""
    colour = pick(random, ((0.45, 0.27, 0.14), (0.3, 0.17, 0.1), (0.15, 0.15, 0.16), bright(random)))
    half, deep, tall = between(random, 0.24, 0.33), between(random, 0.08, 0.12), between(random, 0.16, 0.22)
    parts = [box((0, 0, tall), (half, deep, tall), colour, pick(random, ("", "fabric", "checks")), gloss=0.3)]
    parts.append(box((0, 0, tall), (half + 0.002, 0.005, tall + 0.002), shade(colour, 0.5)))
    corner = pick(random, (shade(colour, 0.6), (0.75, 0.62, 0.3)))
    for sx in (-1, 1):
        parts.append(box((sx * half * 0.55, 0, tall), (0.018, deep + 0.003, tall + 0.003), shade(colour, 0.65)))
        parts.append(box((sx * half * 0.4, 0, 2 * tall + 0.004), (0.025, 0.03, 0.008), (0.8, 0.75, 0.55), gloss=0.8))
        parts.append(box((sx * (half - 0.02), 0, 2 * tall - 0.02), (0.024, deep + 0.004, 0.024), corner))
    grip = shade(colour, 0.45)
    parts.append(bar((-0.08, 0, 2 * tall + 0.045), (0.08, 0, 2 * tall + 0.045), 0.014, grip))
    parts += [bar((sx * 0.08, 0, 2 * tall), (sx * 0.08, 0, 2 * tall + 0.045), 0.01, grip) for sx in (-1, 1)]
    return thing("suitcase", "hand case", parts)
