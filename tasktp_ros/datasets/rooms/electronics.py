# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Screens: televisions on a foot or on the wall, and open laptops."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import DARK, between, chance, pick, shade
from tasktp_ros.datasets.rooms.shapes import Colour, Part, Thing
from tasktp_ros.datasets.rooms.solids import block, box, thing


def _screen(random: np.random.Generator) -> dict[str, object]:
    """Colour, texture and glow of a screen, on or off."""
    if chance(random, 0.35):
        off: Colour = (0.03, 0.03, 0.04)
        return {"colour": off, "gloss": 0.9}
    return {"colour": (1.0, 1.0, 1.0), "texture": "screen", "glow": between(random, 0.4, 0.9), "gloss": 0.2}


def _panel(random: np.random.Generator, half: float, low: float) -> list[Part]:
    tall = half * 9 / 16
    frame = pick(random, (DARK, DARK, (0.25, 0.25, 0.27), (0.7, 0.7, 0.72)))
    edge = between(random, 0.008, 0.03)
    middle = low + tall
    return [
        box((0, 0, middle), (half, 0.022, tall), frame, gloss=0.5),
        box((0, -0.0225, middle + 0.002), (half - edge, 0.0015, tall - edge), **_screen(random)),  # type: ignore[arg-type]
    ]


def standing_tv(random: np.random.Generator) -> Thing:
    """A flat television on feet or on a plate."""
    half = between(random, 0.32, 0.62)
    low = between(random, 0.05, 0.09)
    parts = _panel(random, half, low)
    if chance(random, 0.5):
        for sx in (-1, 1):
            parts.append(block((sx * half * 0.7 - 0.012, -0.11, 0), (sx * half * 0.7 + 0.012, 0.11, 0.014), DARK))
            parts.append(block((sx * half * 0.7 - 0.01, -0.012, 0), (sx * half * 0.7 + 0.01, 0.012, low), DARK))
    else:
        parts.append(box((0, 0.01, 0.008), (half * 0.4, 0.1, 0.008), DARK, gloss=0.6))
        parts.append(block((-0.05, 0.0, 0), (0.05, 0.025, low + 0.05), DARK))
    parts.append(box((0, 0.035, low + half * 0.4), (half * 0.6, 0.02, half * 0.28), shade(DARK, 0.8)))
    return thing("tv", "standing tv", parts)


def wall_tv(random: np.random.Generator) -> Thing:
    """A flat television for the wall; its back is the wall."""
    half = between(random, 0.4, 0.75)
    parts = _panel(random, half, 0.0)
    parts.append(block((-0.15, 0.02, half * 0.4), (0.15, 0.045, half * 0.75), DARK))
    return thing("tv", "wall tv", parts)


def laptop(random: np.random.Generator) -> Thing:
    """An open lid with a lit screen over a keyboard and a touch pad."""
    half, deep = between(random, 0.145, 0.185), between(random, 0.1, 0.125)
    colour = pick(
        random, ((0.75, 0.76, 0.78), (0.6, 0.61, 0.64), (0.15, 0.15, 0.16), (0.9, 0.88, 0.85), (0.3, 0.35, 0.45))
    )
    key: Colour = (0.6, 0.6, 0.6) if chance(random, 0.7) else (0.95, 0.95, 0.95)
    parts = [
        box((0, 0, 0.009), (half, deep, 0.009), colour, gloss=0.5),
        box((0, deep * 0.25, 0.0185), (half * 0.88, deep * 0.52, 0.0015), key, "keys"),
        box((0, -deep * 0.64, 0.0185), (half * 0.3, deep * 0.27, 0.001), shade(colour, 0.82)),
    ]
    lean = between(random, 0.1, 0.5)
    tall = deep * 0.98

    def on_lid(up: float, out: float) -> tuple[float, float, float]:
        y = deep + up * math.sin(lean) - out * math.cos(lean)
        return 0.0, y, 0.016 + up * math.cos(lean) + out * math.sin(lean)

    angles = (-lean, 0.0, 0.0)
    bezel = DARK if chance(random, 0.7) else shade(colour, 0.9)
    parts.append(box(on_lid(tall, 0.0), (half, 0.005, tall), colour, angles=angles, gloss=0.5))
    parts.append(box(on_lid(tall, 0.0055), (half * 0.985, 0.001, tall * 0.97), bezel, angles=angles))
    lit = {"colour": (1.0, 1.0, 1.0), "texture": "screen", "glow": between(random, 0.4, 0.9)}
    if chance(random, 0.15):
        lit = {"colour": (0.03, 0.03, 0.04), "gloss": 0.9}
    parts.append(box(on_lid(tall * 1.02, 0.007), (half * 0.93, 0.001, tall * 0.87), angles=angles, **lit))  # type: ignore[arg-type]
    return thing("laptop", "laptop", parts)
