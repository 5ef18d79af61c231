# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Small and decorative things that no detector is asked for, so that it learns to leave them alone."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import (
    DARK,
    METALS,
    between,
    bright,
    chance,
    cloth,
    hue,
    metal,
    pick,
    shade,
    wood,
)
from tasktp_ros.datasets.rooms.shapes import Builder, Colour, Part, Thing
from tasktp_ros.datasets.rooms.solids import ball, bar, block, box, rod, thing

_FACING = (math.pi / 2, 0.0, 0.0)
"""Turns a cylinder's axis from z to y."""


def floor_lamp(random: np.random.Generator) -> Thing:
    """A foot, a pole and a shade at head height."""
    return _lamp(random, "floor lamp", between(random, 1.25, 1.65), between(random, 0.12, 0.22), 0.014)


def table_lamp(random: np.random.Generator) -> Thing:
    """A foot or belly under a shade."""
    return _lamp(random, "table lamp", between(random, 0.3, 0.5), between(random, 0.08, 0.15), 0.01)


def _lamp(random: np.random.Generator, kind: str, tall: float, radius: float, pole: float) -> Thing:
    stand, cap = metal(random), hue(random, (0.02, 0.5), (0.75, 1.0))
    glow = between(random, 0.3, 0.8) if chance(random, 0.6) else 0.0
    half = radius * between(random, 0.6, 0.95)
    parts = [
        rod((0, 0, 0.012), radius * 0.85, 0.012, stand),
        rod((0, 0, tall / 2), pole, tall / 2, stand),
        rod((0, 0, tall - half * 0.4), radius, half * 0.4, cap, glow=glow),
        rod((0, 0, tall + half * 0.4), radius * 0.93, half * 0.4, cap, glow=glow),
    ]
    if kind == "table lamp" and chance(random, 0.6):
        parts.append(ball((0, 0, tall * 0.3), (radius * 0.6, radius * 0.6, tall * 0.28), bright(random), gloss=0.6))
    return thing(None, kind, parts)


def rug(random: np.random.Generator) -> Thing:
    """A flat carpet, rectangular or round."""
    texture = pick(random, ("oriental", "oriental", "carpet", "stripes", "checks", "wallpaper"))
    colour: Colour = (1.0, 1.0, 1.0) if texture == "oriental" else cloth(random)
    if chance(random, 0.25):
        return thing(None, "rug", [rod((0, 0, 0.005), between(random, 0.5, 1.0), 0.005, colour, texture)])
    return thing(
        None,
        "rug",
        [box((0, 0, 0.005), (between(random, 0.5, 1.3), between(random, 0.35, 0.9), 0.005), colour, texture)],
    )


def cushion(random: np.random.Generator) -> Thing:
    """A pillow left on the floor."""
    half = between(random, 0.17, 0.28)
    colour, texture = bright(random), pick(random, ("", "fabric", "stripes", "checks", "dots"))
    parts = [
        box((0, 0, 0.06), (half, half, 0.025), colour, texture),
        box((0, 0, 0.06), (half * 0.88, half * 0.88, 0.045), colour, texture),
        ball((0, 0, 0.06), (half * 0.85, half * 0.85, 0.06), colour, texture),
    ]
    return thing(None, "cushion", parts)


def carton(random: np.random.Generator) -> Thing:
    """A cardboard or storage box, closed or with its flaps up."""
    half_x, half_y, half_z = (between(random, 0.12, 0.32) for _ in range(3))
    colour: Colour = (0.68, 0.5, 0.32) if chance(random, 0.7) else bright(random)
    parts = [box((0, 0, half_z), (half_x, half_y, half_z), colour)]
    parts.append(box((0, 0, half_z), (half_x + 0.001, 0.025, half_z + 0.001), (0.8, 0.7, 0.5)))
    if chance(random, 0.4):
        for sx in (-1, 1):
            place = (sx * (half_x + 0.05), 0, 2 * half_z + 0.03)
            parts.append(box(place, (0.07, half_y, 0.003), shade(colour, 1.1), angles=(0, -sx * 0.6, 0)))
    return thing(None, "box", parts)


def toy_ball(random: np.random.Generator) -> Thing:
    """A ball in one or two colours."""
    radius = between(random, 0.06, 0.2)
    texture = pick(random, ("", "stripes", "checks", "dots", "picture"))
    return thing(None, "ball", [ball((0, 0, radius), (radius, radius, radius), bright(random), texture, gloss=0.4)])


def basket(random: np.random.Generator) -> Thing:
    """A wicker basket with a darker inside and two handles."""
    half_x, half_y, tall = between(random, 0.15, 0.28), between(random, 0.12, 0.22), between(random, 0.09, 0.2)
    colour: Colour = (0.72, 0.53, 0.32) if chance(random, 0.7) else cloth(random)
    parts = [box((0, 0, tall), (half_x, half_y, tall), colour, "wicker")]
    inside = pick(random, ((0.15, 0.1, 0.07), cloth(random)))
    parts.append(box((0, 0, 2 * tall), (half_x - 0.02, half_y - 0.02, 0.004), inside, "fabric"))
    for sx in (-1, 1):
        parts.append(
            bar((sx * half_x, -0.06, 2 * tall + 0.05), (sx * half_x, 0.06, 2 * tall + 0.05), 0.009, shade(colour, 0.7))
        )
        parts += [
            bar((sx * half_x, y, 2 * tall - 0.02), (sx * half_x, y, 2 * tall + 0.05), 0.009, shade(colour, 0.7))
            for y in (-0.06, 0.06)
        ]
    return thing(None, "basket", parts)


def towel(random: np.random.Generator) -> Thing:
    """A towel over a rail for the wall."""
    half, tall, colour = between(random, 0.15, 0.3), between(random, 0.3, 0.55), cloth(random)
    rail = metal(random)
    parts = [
        bar((-half - 0.06, 0, tall), (half + 0.06, 0, tall), 0.012, rail),
        *[bar((sx * (half + 0.05), 0, tall), (sx * (half + 0.05), 0.04, tall), 0.012, rail) for sx in (-1, 1)],
        block((-half, -0.03, 0.0), (half, -0.014, tall + 0.015), colour, pick(random, ("fabric", "stripes"))),
        block((-half, 0.014, tall * 0.3), (half, 0.024, tall + 0.015), shade(colour, 0.9)),
    ]
    return thing(None, "towel", parts)


def picture_frame(random: np.random.Generator) -> Thing:
    """A painting in a frame for the wall."""
    half_x, half_z = between(random, 0.14, 0.5), between(random, 0.14, 0.4)
    frame, edge = (
        pick(random, (DARK, wood(random), (0.8, 0.66, 0.32), (0.95, 0.95, 0.94))),
        between(random, 0.012, 0.04),
    )
    parts = [box((0, 0, half_z), (half_x, 0.012, half_z), frame, gloss=0.3)]
    if chance(random, 0.5):
        parts.append(box((0, -0.012, half_z), (half_x - edge, 0.002, half_z - edge), (0.96, 0.95, 0.92)))
        edge = edge + min(half_x, half_z) * 0.25
    parts.append(box((0, -0.0145, half_z), (half_x - edge, 0.001, half_z - edge), (1.0, 1.0, 1.0), "picture"))
    return thing(None, "picture frame", parts)


def mirror(random: np.random.Generator) -> Thing:
    """A pale shiny pane in a frame for the wall."""
    half_x, half_z = between(random, 0.18, 0.4), between(random, 0.25, 0.6)
    frame, pane = (
        pick(random, (DARK, wood(random), metal(random))),
        pick(random, ((0.72, 0.78, 0.82), (0.6, 0.66, 0.7))),
    )
    if chance(random, 0.3):
        parts = [
            rod((0, 0, half_x), half_x, 0.012, frame, angles=_FACING),
            rod((0, -0.012, half_x), half_x * 0.93, 0.002, pane, "plaster", angles=_FACING, gloss=1.0),
        ]
        return thing(None, "mirror", parts)
    parts = [box((0, 0, half_z), (half_x, 0.012, half_z), frame)]
    parts.append(box((0, -0.012, half_z), (half_x - 0.025, 0.002, half_z - 0.025), pane, "plaster", gloss=1.0))
    return thing(None, "mirror", parts)


def curtain(random: np.random.Generator) -> Thing:
    """Two gathered panels left and right of a bright window, for the wall."""
    half, tall = between(random, 0.5, 0.8), between(random, 0.6, 0.9)
    colour, sky = cloth(random), pick(random, ((0.75, 0.87, 0.97), (0.92, 0.95, 0.98), (0.12, 0.14, 0.22)))
    texture = pick(random, ("", "fabric", "stripes", "wallpaper"))
    inner = half * between(random, 0.45, 0.7)
    white: Colour = (0.95, 0.95, 0.94)
    parts = [
        block((-half * 0.8, 0.03, 0.25), (half * 0.8, 0.04, 2 * tall - 0.1), white),
        block(
            (-half * 0.76, 0.025, 0.29), (half * 0.76, 0.03, 2 * tall - 0.14), sky, glow=0.25 if sky[0] > 0.5 else 0.0
        ),
        block((-0.015, 0.02, 0.25), (0.015, 0.03, 2 * tall - 0.1), white),
        bar((-half - 0.08, -0.02, 2 * tall + 0.01), (half + 0.08, -0.02, 2 * tall + 0.01), 0.014, metal(random)),
    ]
    for sx in (-1, 1):
        count = 4
        each = (half - inner) / count
        for number in range(count):
            left = sx * (inner + each * (number + 0.5))
            tint = shade(colour, 1.0 - 0.1 * (number % 2))
            parts.append(box((left, -0.02 + 0.012 * (number % 2), tall), (each / 2, 0.016, tall), tint, texture))
    return thing(None, "curtain", parts)


def radiator(random: np.random.Generator) -> Thing:
    """A ribbed white heater on short feet."""
    half, tall = between(random, 0.3, 0.6), between(random, 0.22, 0.32)
    white: Colour = pick(random, ((0.95, 0.95, 0.93), (0.9, 0.9, 0.88), (0.25, 0.25, 0.27)))
    parts = [block((-half, -0.02, 0.12), (half, 0.04, 0.12 + 2 * tall), shade(white, 0.85))]
    ribs = int(random.integers(8, 14))
    for x in np.linspace(-half + 0.03, half - 0.03, ribs):
        parts.append(box((float(x), -0.025, 0.12 + tall), (half / ribs * 0.6, 0.022, tall - 0.01), white, gloss=0.4))
    parts += [
        block((sx * half * 0.8 - 0.015, -0.01, 0), (sx * half * 0.8 + 0.015, 0.03, 0.13), white) for sx in (-1, 1)
    ]
    return thing(None, "radiator", parts)


def shoes(random: np.random.Generator) -> Thing:
    """A pair of shoes side by side."""
    colour, sole = bright(random), pick(random, ((0.95, 0.95, 0.95), (0.15, 0.1, 0.08)))
    parts: list[Part] = []
    for sx in (-1, 1):
        x = sx * between(random, 0.06, 0.09)
        parts += [
            box((x, 0, 0.012), (0.042, 0.13, 0.012), sole),
            ball((x, -0.04, 0.03), (0.045, 0.095, 0.045), colour),
            ball((x, 0.06, 0.045), (0.042, 0.072, 0.05), colour),
            ball((x, 0.068, 0.088), (0.028, 0.042, 0.012), DARK),
        ]
    return thing(None, "shoes", parts)


def bin_(random: np.random.Generator) -> Thing:
    """A waste bin, open or with a lid and a pedal."""
    radius, tall, colour = (
        between(random, 0.11, 0.17),
        between(random, 0.13, 0.3),
        pick(random, (metal(random), bright(random))),
    )
    parts = [rod((0, 0, tall), radius, tall, colour, gloss=0.6)]
    if chance(random, 0.5):
        parts.append(ball((0, 0, 2 * tall), (radius, radius, 0.06), shade(colour, 0.7), gloss=0.6))
        parts.append(box((0, -radius - 0.02, 0.02), (0.04, 0.03, 0.008), DARK))
    else:
        parts.append(rod((0, 0, 2 * tall), radius * 0.92, 0.002, DARK))
        parts.append(rod((0, 0, 2 * tall - 0.01), radius * 1.04, 0.009, shade(colour, 0.8)))
    return thing(None, "bin", parts)


def candle(random: np.random.Generator) -> Thing:
    """A candle with a flame, some on a dish."""
    radius, half, colour = (
        between(random, 0.012, 0.035),
        between(random, 0.03, 0.09),
        hue(random, (0.0, 0.5), (0.75, 1.0)),
    )
    parts = [
        rod((0, 0, 0.005), radius * 1.8, 0.005, pick(random, METALS)),
        rod((0, 0, half), radius, half, colour),
        ball((0, 0, 2 * half + 0.014), (0.005, 0.005, 0.014), (1.0, 0.75, 0.3), glow=1.0),
    ]
    return thing(None, "candle", parts)


def plate(random: np.random.Generator) -> Thing:
    """A flat plate, empty or with food."""
    radius, colour = between(random, 0.08, 0.14), bright(random)
    parts = [rod((0, 0, 0.005), radius * 0.7, 0.005, colour), rod((0, 0, 0.011), radius, 0.003, colour, gloss=0.6)]
    parts.append(rod((0, 0, 0.0145), radius * 0.68, 0.0008, shade(colour, 0.88)))
    if chance(random, 0.4):
        parts.append(ball((0, 0, 0.018), (radius * 0.4, radius * 0.35, 0.02), hue(random, (0.3, 0.8), (0.3, 0.8))))
    return thing(None, "plate", parts)


def fruit(random: np.random.Generator) -> Thing:
    """A round fruit with a stalk."""
    radius = between(random, 0.028, 0.05)
    colour = pick(
        random, ((0.8, 0.12, 0.1), (0.95, 0.55, 0.1), (0.5, 0.72, 0.18), (0.92, 0.85, 0.2), (0.45, 0.15, 0.35))
    )
    parts = [ball((0, 0, radius * 0.93), (radius, radius, radius * 0.93), colour, gloss=0.4)]
    parts.append(bar((0, 0, radius * 1.8), (0.004, 0, radius * 1.8 + 0.014), 0.002, (0.3, 0.2, 0.1)))
    return thing(None, "fruit", parts)


def phone(random: np.random.Generator) -> Thing:
    """A telephone lying flat, its glass up."""
    screen = {"texture": "screen", "glow": 0.5} if chance(random, 0.4) else {"gloss": 0.9}
    glass: Colour = (1.0, 1.0, 1.0) if "texture" in screen else (0.03, 0.03, 0.04)
    parts = [
        box((0, 0, 0.004), (0.037, 0.076, 0.004), bright(random)),
        box((0, 0, 0.008), (0.034, 0.072, 0.0006), glass, **screen),
    ]
    return thing(None, "phone", parts)


def remote(random: np.random.Generator) -> Thing:
    """A remote control lying flat."""
    half_x, half_y = between(random, 0.018, 0.027), between(random, 0.065, 0.11)
    colour = pick(random, (DARK, (0.3, 0.3, 0.32), (0.85, 0.85, 0.85)))
    parts = [box((0, 0, 0.009), (half_x, half_y, 0.009), colour)]
    parts.append(rod((0, half_y * 0.25, 0.018), half_x * 0.7, 0.001, (0.4, 0.4, 0.42)))
    parts.append(box((0, -half_y * 0.4, 0.018), (half_x * 0.7, half_y * 0.35, 0.001), (0.7, 0.7, 0.7), "checks"))
    parts.append(rod((half_x * 0.5, half_y * 0.85, 0.018), 0.005, 0.0015, (0.8, 0.1, 0.1)))
    return thing(None, "remote", parts)


def toy_blocks(random: np.random.Generator) -> Thing:
    """A tower of coloured blocks."""
    half = between(random, 0.02, 0.04)
    count = int(random.integers(3, 6))
    parts = []
    for number in range(count):
        place = (between(random, -0.3, 0.3) * half, between(random, -0.3, 0.3) * half, half * (2 * number + 1))
        parts.append(box(place, (half, half, half), bright(random), angles=(0, 0, between(random, -0.4, 0.4))))
    return thing(None, "toy blocks", parts)


def tissue_box(random: np.random.Generator) -> Thing:
    """A patterned carton with a tissue coming out."""
    parts = [
        box(
            (0, 0, 0.045),
            (0.11, 0.06, 0.045),
            bright(random),
            pick(random, ("wallpaper", "dots", "stripes", "picture")),
        )
    ]
    parts.append(ball((0, 0, 0.1), (0.04, 0.012, 0.04), (0.97, 0.97, 0.97)))
    return thing(None, "tissue box", parts)


def kettle(random: np.random.Generator) -> Thing:
    """An electric kettle with a spout and a grip."""
    colour = pick(random, (metal(random), bright(random)))
    parts = [
        rod((0, 0, 0.012), 0.08, 0.012, DARK),
        rod((0, 0, 0.1), 0.07, 0.075, colour, gloss=0.8),
        ball((0, 0, 0.175), (0.068, 0.068, 0.025), colour, gloss=0.8),
        bar((-0.06, 0, 0.15), (-0.1, 0, 0.185), 0.014, colour),
        bar((0.06, 0, 0.18), (0.12, 0, 0.165), 0.01, DARK),
        bar((0.12, 0, 0.165), (0.11, 0, 0.06), 0.01, DARK),
        ball((0, 0, 0.205), (0.015, 0.015, 0.012), DARK),
    ]
    return thing(None, "kettle", parts)


BUILDERS: dict[str, Builder] = {
    "floor lamp": floor_lamp,
    "table lamp": table_lamp,
    "rug": rug,
    "cushion": cushion,
    "box": carton,
    "ball": toy_ball,
    "basket": basket,
    "towel": towel,
    "picture frame": picture_frame,
    "mirror": mirror,
    "curtain": curtain,
    "radiator": radiator,
    "shoes": shoes,
    "bin": bin_,
    "candle": candle,
    "plate": plate,
    "fruit": fruit,
    "phone": phone,
    "remote": remote,
    "toy blocks": toy_blocks,
    "tissue box": tissue_box,
    "kettle": kettle,
}
