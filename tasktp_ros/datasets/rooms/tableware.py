# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Bottles, cups, bowls and vases: small turned vessels, each with the opening, neck, handle or flowers that names it."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import GREENS, METALS, between, bright, chance, hue, pick, shade, varied
from tasktp_ros.datasets.rooms.shapes import Colour, Part, Thing
from tasktp_ros.datasets.rooms.solids import ball, bar, box, pill, rod, thing

_HOLLOW: Colour = (0.12, 0.11, 0.11)
_BLOOMS: tuple[Colour, ...] = (
    (0.85, 0.15, 0.2),
    (0.95, 0.75, 0.2),
    (0.9, 0.5, 0.7),
    (0.95, 0.93, 0.9),
    (0.55, 0.35, 0.75),
)


def wine_bottle(random: np.random.Generator) -> Thing:
    """A dark or clear glass body, a shoulder, a long neck and a label."""
    glass = varied(
        random, pick(random, ((0.06, 0.2, 0.08), (0.22, 0.1, 0.04), (0.05, 0.05, 0.06), (0.75, 0.82, 0.7))), 0.03
    )
    radius, body = between(random, 0.034, 0.042), between(random, 0.08, 0.1)
    neck = between(random, 0.045, 0.06)
    label, cap = hue(random, (0.0, 0.4), (0.7, 1.0)), bright(random)
    top = 2 * body + 0.035
    parts = [
        rod((0, 0, body), radius, body, glass, gloss=0.9),
        ball((0, 0, 2 * body), (radius, radius, 0.045), glass, gloss=0.9),
        rod((0, 0, top + neck - 0.02), 0.014, neck, glass, gloss=0.9),
        rod((0, 0, body * between(random, 0.7, 1.1)), radius + 0.001, body * 0.5, label, pick(random, ("", "cover"))),
        rod((0, 0, top + 2 * neck - 0.035), 0.0155, 0.02, cap),
    ]
    return thing("bottle", "wine bottle", parts)


def water_bottle(random: np.random.Generator) -> Thing:
    """A plastic bottle with a bright cap and a paper band."""
    plastic = pick(
        random, ((0.78, 0.88, 0.94), (0.6, 0.82, 0.92), (0.65, 0.85, 0.7), (0.85, 0.55, 0.15), (0.25, 0.1, 0.06))
    )
    radius, body = between(random, 0.03, 0.045), between(random, 0.07, 0.11)
    cap, band = bright(random), bright(random)
    parts = [
        rod((0, 0, body), radius, body, plastic, gloss=0.9),
        ball((0, 0, 2 * body), (radius, radius, radius * 1.2), plastic, gloss=0.9),
        rod((0, 0, 2 * body + radius * 1.1), 0.012, 0.018, plastic, gloss=0.9),
        rod((0, 0, 2 * body + radius * 1.1 + 0.022), 0.0155, 0.012, cap),
        rod((0, 0, body * 1.15), radius + 0.001, body * 0.35, band, pick(random, ("", "stripes", "cover"))),
    ]
    return thing("bottle", "water bottle", parts)


def flask(random: np.random.Generator) -> Thing:
    """A sports or steel drinking bottle with a screw top."""
    colour = bright(random) if chance(random, 0.7) else pick(random, METALS)
    radius, body = between(random, 0.032, 0.04), between(random, 0.08, 0.11)
    top = pick(random, ((0.08, 0.08, 0.09), bright(random), (0.75, 0.75, 0.77)))
    parts = [
        rod((0, 0, body), radius, body, colour, gloss=0.6),
        ball((0, 0, 2 * body), (radius, radius, 0.018), colour, gloss=0.6),
        rod((0, 0, 2 * body + 0.025), radius * 0.62, 0.018, top),
    ]
    if chance(random, 0.6):
        height = 2 * body + 0.043
        parts += [
            bar((-radius * 0.5, 0, height), (-radius * 0.35, 0, height + 0.03), 0.005, top),
            bar((radius * 0.5, 0, height), (radius * 0.35, 0, height + 0.03), 0.005, top),
            bar((-radius * 0.35, 0, height + 0.03), (radius * 0.35, 0, height + 0.03), 0.005, top),
        ]
    return thing("bottle", "drinking bottle", parts)


def pump_bottle(random: np.random.Generator) -> Thing:
    """Soap or cleaner: a body with a label and a pump or a spray head."""
    colour, head = bright(random), pick(random, ((0.95, 0.95, 0.95), (0.1, 0.1, 0.1), bright(random)))
    half, body = between(random, 0.03, 0.04), between(random, 0.06, 0.1)
    shape = rod((0, 0, body), half, body, colour, gloss=0.5)
    if chance(random, 0.5):
        shape = box((0, 0, body), (half, half * 0.7, body), colour, gloss=0.5)
    label = box(
        (0, -half * 0.72 if shape.shape == "box" else -half + 0.004, body),
        (half * 0.7, 0.006, body * 0.55),
        bright(random),
        "cover",
    )
    top = 2 * body
    parts = [
        shape,
        label,
        ball((0, 0, top), (half * 0.9, half * 0.68, 0.02), colour),
        rod((0, 0, top + 0.03), 0.011, 0.02, head),
    ]
    if chance(random, 0.5):
        parts += [
            rod((0, 0, top + 0.055), 0.005, 0.015, head),
            box((0, -0.015, top + 0.07), (0.009, 0.03, 0.007), head),
        ]
    else:
        parts += [
            box((0, -0.012, top + 0.065), (0.014, 0.038, 0.018), head),
            bar((0, -0.03, top + 0.05), (0, -0.025, top + 0.01), 0.005, head),
        ]
    return thing("bottle", "pump bottle", parts)


def cup(random: np.random.Generator) -> Thing:
    """A mug, a tea cup on a saucer, or a paper cup; a dark or coffee-coloured opening."""
    colour = bright(random)
    drink = pick(random, (_HOLLOW, (0.25, 0.14, 0.07), (0.5, 0.28, 0.1), shade(colour, 0.35)))
    style = pick(random, ("mug", "mug", "tea", "paper"))
    texture = pick(random, ("", "", "stripes", "dots", "cover"))
    if style == "mug":
        radius, half = between(random, 0.036, 0.046), between(random, 0.042, 0.056)
        parts = [rod((0, 0, half), radius, half, colour, texture, gloss=0.5), *_opening(radius, 2 * half, drink)]
        parts += _handle(radius, half, half * 0.62, colour)
    elif style == "tea":
        radius, half = between(random, 0.04, 0.05), between(random, 0.026, 0.034)
        low = 0.012
        parts = [
            rod((0, 0, 0.004), radius * 1.65, 0.004, colour, texture, gloss=0.6),
            rod((0, 0, low + half * 0.5), radius * 0.7, half * 0.5, colour, gloss=0.6),
            rod((0, 0, low + half * 1.4), radius, half * 0.6, colour, texture, gloss=0.6),
            *_opening(radius, low + 2 * half, drink),
            *_handle(radius, low + half * 1.3, half * 0.5, colour),
        ]
    else:
        radius, half = between(random, 0.034, 0.042), between(random, 0.05, 0.07)
        paper = pick(random, ((0.95, 0.94, 0.92), (0.72, 0.53, 0.34), colour))
        parts = [
            rod((0, 0, half * 0.5), radius * 0.84, half * 0.5, paper),
            rod((0, 0, half * 1.5), radius * 0.95, half * 0.5, paper),
        ]
        parts.append(rod((0, 0, half * 1.05), radius * 0.97, half * 0.4, bright(random), "stripes"))
        if chance(random, 0.6):
            lid = pick(random, ((0.95, 0.95, 0.95), (0.1, 0.1, 0.1), (0.35, 0.2, 0.12)))
            parts += [
                rod((0, 0, 2 * half), radius, 0.005, lid),
                rod((0, 0, 2 * half + 0.007), radius * 0.88, 0.007, lid),
            ]
        else:
            parts += _opening(radius * 0.95, 2 * half, drink)
    return thing("cup", f"{style} cup", parts)


def _opening(radius: float, height: float, colour: Colour) -> list[Part]:
    return [rod((0, 0, height), radius * 0.86, 0.0015, colour)]


def _handle(radius: float, height: float, half: float, colour: Colour) -> list[Part]:
    out = radius + half * 0.75
    return [
        bar((radius * 0.95, 0, height + half), (out, 0, height + half * 0.8), 0.006, colour),
        bar((out, 0, height + half * 0.8), (out, 0, height - half * 0.6), 0.006, colour),
        bar((out, 0, height - half * 0.6), (radius * 0.95, 0, height - half), 0.006, colour),
    ]


def bowl(random: np.random.Generator) -> Thing:
    """A ring of leaning staves over a foot, open at the top, some with fruit or food."""
    colour = bright(random) if chance(random, 0.7) else pick(random, ((0.6, 0.42, 0.25), (0.75, 0.76, 0.78)))
    radius, deep = between(random, 0.065, 0.14), between(random, 0.045, 0.08)
    count = 9
    lean = between(random, 0.5, 0.85)
    base = radius - deep * math.tan(lean) * 0.9
    base = max(base, radius * 0.45)
    lean = math.atan2(radius - base, deep)
    half = math.hypot(radius - base, deep) / 2
    parts = [rod((0, 0, 0.008), base * 1.02, 0.008, colour, gloss=0.5)]
    for number in range(count):
        angle = 2 * math.pi * number / count
        middle = (radius + base) / 2
        place = (middle * math.cos(angle), middle * math.sin(angle), deep / 2 + 0.004)
        size = (radius * math.tan(math.pi / count), 0.004, half)
        parts.append(
            box(place, size, shade(colour, 1.0 - 0.05 * (number % 2)), angles=(lean, 0, angle + math.pi / 2), gloss=0.5)
        )
    filling = random.random()
    if filling < 0.35:
        food = hue(random, (0.2, 0.8), (0.3, 0.9))
        parts.append(ball((0, 0, deep * 0.6), (radius * 0.8, radius * 0.8, 0.012), food, "carpet"))
    elif filling < 0.6:
        across = radius * 0.36
        for x, y in ((-0.35, -0.2), (0.35, -0.15)):
            skin = pick(random, ((0.85, 0.15, 0.1), (0.95, 0.55, 0.1), (0.5, 0.75, 0.2), (0.95, 0.85, 0.2)))
            parts.append(ball((x * radius, y * radius, deep * 0.75), (across, across, across), skin, gloss=0.4))
    else:
        parts.append(rod((0, 0, 0.018), base * 0.95, 0.002, shade(colour, 0.6)))
    return thing("bowl", "bowl", parts)


def vase(random: np.random.Generator) -> Thing:
    """A belly, a narrower neck and a flared lip; half of them hold flowers."""
    colour = bright(random)
    texture = pick(random, ("", "", "stripes", "marble", "dots", "wallpaper"))
    tall = between(random, 0.16, 0.38)
    wide = tall * between(random, 0.24, 0.4)
    style = pick(random, ("belly", "shoulder", "tube", "pear"))
    neck = wide * between(random, 0.35, 0.55)
    parts: list[Part] = [] if style == "tube" else [rod((0, 0, 0.008), wide * 0.6, 0.008, colour)]
    if style == "belly":
        parts.append(ball((0, 0, tall * 0.4), (wide, wide, tall * 0.4), colour, texture, gloss=0.6))
    elif style == "shoulder":
        parts.append(ball((0, 0, tall * 0.6), (wide, wide, tall * 0.24), colour, texture, gloss=0.6))
        parts.append(ball((0, 0, tall * 0.42), (wide * 0.75, wide * 0.75, tall * 0.42), colour, texture, gloss=0.6))
    elif style == "pear":
        parts.append(ball((0, 0, tall * 0.26), (wide, wide, tall * 0.26), colour, texture, gloss=0.6))
        parts.append(ball((0, 0, tall * 0.5), (wide * 0.6, wide * 0.6, tall * 0.44), colour, texture, gloss=0.6))
    else:
        neck = wide = min(wide * 0.55, tall * 0.16)
        parts.append(rod((0, 0, tall * 0.48), neck, tall * 0.48, colour, texture, gloss=0.6))
    parts.append(rod((0, 0, tall * 0.84), neck * 0.85, tall * 0.15, colour, gloss=0.6))
    parts.append(rod((0, 0, tall), neck * 1.15, 0.006, colour, gloss=0.6))
    parts.append(rod((0, 0, tall + 0.006), neck * 0.9, 0.0015, _HOLLOW))
    if style == "tube" or chance(random, 0.5):
        bloom = pick(random, _BLOOMS)
        size = between(random, 0.022, 0.04)
        for number in range(int(random.integers(3, 6))):
            angle, spread = number * 2.4, between(random, 0.02, 0.09)
            tip = (spread * math.cos(angle), spread * math.sin(angle), tall + between(random, 0.1, 0.22))
            parts.append(bar((0, 0, tall - 0.02), tip, 0.003, pick(random, GREENS)))
            parts.append(ball(tip, (size, size, size * 0.8), varied(random, bloom, 0.1)))
    return thing("vase", "vase", parts)


def potted_plant(random: np.random.Generator) -> Thing:
    """A pot with soil and leaves: a bush, a fan of long blades, a small tree or a cactus."""
    green = varied(random, pick(random, GREENS))
    scale = pick(random, (between(random, 0.35, 0.6), between(random, 0.8, 1.5), between(random, 1.6, 2.4)))
    pot_colour = pick(random, ((0.72, 0.36, 0.22), (0.92, 0.91, 0.88), (0.2, 0.2, 0.21), bright(random)))
    radius, tall = 0.13 * scale, between(random, 0.1, 0.14) * scale
    texture = pick(random, ("", "", "wicker", "stripes"))
    parts: list[Part] = [
        rod((0, 0, tall * 0.5), radius * 0.8, tall * 0.5, pot_colour, texture),
        rod((0, 0, tall * 1.5), radius * 0.93, tall * 0.5, pot_colour, texture),
        rod((0, 0, 2 * tall - 0.01 * scale), radius, 0.025 * scale, shade(pot_colour, 0.93)),
        rod((0, 0, 2 * tall + 0.016 * scale), radius * 0.88, 0.003 * scale, (0.18, 0.12, 0.08)),
    ]
    soil = 2 * tall
    style = pick(random, ("bush", "bush", "fan", "tree", "cactus" if scale < 1.6 else "tree"))
    if style == "cactus":
        high = between(random, 0.12, 0.2) * scale
        parts.append(pill((0, 0, soil + high), 0.06 * scale, high, green, gloss=0.0))
        for sx in (-1, 1):
            elbow = (sx * 0.11 * scale, 0.0, soil + high * between(random, 0.8, 1.2))
            parts.append(bar((0, 0, elbow[2]), elbow, 0.03 * scale, green))
            parts.append(bar(elbow, (elbow[0], 0, elbow[2] + 0.1 * scale), 0.03 * scale, green))
    elif style == "fan":
        for number in range(14):
            angle, lean = number * 2.4, between(random, 0.08, 0.75)
            long = between(random, 0.16, 0.3) * scale
            place = (
                long * math.sin(lean) * math.cos(angle),
                long * math.sin(lean) * math.sin(angle),
                soil + long * math.cos(lean),
            )
            parts.append(
                ball(
                    place,
                    (0.008 * scale, 0.028 * scale, long),
                    varied(random, green, 0.05),
                    "leaf",
                    angles=(0, lean, angle),
                )
            )
    else:
        trunk = between(random, 0.25, 0.4) * scale if style == "tree" else 0.05 * scale
        if style == "tree":
            parts.append(rod((0, 0, soil + trunk / 2), 0.016 * scale, trunk / 2, (0.36, 0.25, 0.16)))
        crown = between(random, 0.11, 0.17) * scale
        leaf = between(random, 0.05, 0.09) * scale
        for number in range(15):
            angle, lean = number * 2.4, math.acos(1 - 1.5 * (number + 0.5) / 15)
            place = (
                crown * math.sin(lean) * math.cos(angle),
                crown * math.sin(lean) * math.sin(angle),
                soil + trunk + crown * (0.55 + math.cos(lean)),
            )
            turn = (0.0, lean + between(random, -0.4, 0.4), angle)
            parts.append(
                ball(place, (leaf * 0.25, leaf * 0.62, leaf), varied(random, green, 0.07), "leaf", angles=turn)
            )
        parts.append(
            ball((0, 0, soil + trunk + crown * 0.5), (crown * 0.6, crown * 0.6, crown * 0.7), shade(green, 0.6))
        )
    return thing("potted plant", f"{style} plant", parts)
