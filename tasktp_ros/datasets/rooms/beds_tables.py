# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Beds and dining tables: the big level furniture, told apart by pillows and by free legs."""

import math

import numpy as np

from tasktp_ros.datasets.rooms.palette import between, bright, chance, cloth, metal, pick, shade, wood
from tasktp_ros.datasets.rooms.shapes import Part, Surface, Thing
from tasktp_ros.datasets.rooms.solids import bar, box, four_legs, rod, thing


def bed(random: np.random.Generator) -> Thing:
    """A frame, a mattress, a blanket that leaves the pillows free, and mostly a headboard."""
    wide = pick(random, (0.45, 0.5, 0.7, 0.8, 0.9))
    half, top = between(random, 0.98, 1.05), between(random, 0.42, 0.6)
    frame = wood(random) if chance(random, 0.65) else cloth(random)
    sheet, blanket = pick(random, ((0.96, 0.96, 0.95), (0.93, 0.9, 0.84), cloth(random))), cloth(random)
    pattern = pick(random, ("", "fabric", "checks", "stripes", "dots", "wallpaper"))
    legs = chance(random, 0.5)
    low = 0.15 if legs else 0.02
    parts: list[Part] = four_legs(wide - 0.05, half - 0.05, 0.2, 0.035, frame, chance(random, 0.4)) if legs else []
    parts.append(box((0, 0, (low + top - 0.18) / 2), (wide + 0.03, half + 0.03, (top - 0.18 - low) / 2), frame, "wood"))
    parts.append(box((0, 0, top - 0.1), (wide, half, 0.1), sheet, "fabric"))
    cover = between(random, 0.55, 0.78)
    middle = half * (1 - 2 * cover) / 2 - half / 2
    hang = between(random, 0.06, 0.16)
    parts.append(box((0, middle, top - hang + 0.025), (wide + 0.025, half * cover + 0.02, hang), blanket, pattern))
    if chance(random, 0.5):
        edge = middle + half * cover
        parts.append(box((0, edge - 0.12, top + 0.035), (wide + 0.03, 0.14, 0.016), shade(sheet, 0.97)))
    pillows = 1 if wide < 0.6 else 2
    pillow = sheet if chance(random, 0.6) else cloth(random)
    for number in range(pillows):
        x = 0.0 if pillows == 1 else (number * 2 - 1) * wide / 2
        across = min(0.36, wide / pillows * 0.86)
        place = (x, half - 0.25, top + 0.07)
        parts.append(box(place, (across, 0.18, 0.06), pillow, "fabric", angles=(between(random, 0.05, 0.35), 0, 0)))
    if wide > 0.6 and chance(random, 0.4):
        x = between(random, -0.2, 0.2)
        parts.append(
            box((x, half - 0.52, top + 0.14), (0.2, 0.05, 0.17), bright(random), "fabric", angles=(-0.5, 0, 0))
        )
    style = pick(random, ("board", "padded", "bars", "none"))
    high = between(random, 0.8, 1.2)
    if style == "board":
        parts.append(box((0, half + 0.05, high / 2), (wide + 0.04, 0.03, high / 2), frame, "wood"))
    elif style == "padded":
        for number in (-1, 0, 1):
            x = number * (wide + 0.04) * 2 / 3
            parts.append(
                box((x, half + 0.07, high / 2), ((wide + 0.04) / 3 - 0.004, 0.05, high / 2), blanket, "fabric")
            )
    elif style == "bars":
        steel = pick(random, (metal(random), frame))
        for x in np.linspace(-wide, wide, 7):
            parts.append(bar((float(x), half + 0.04, 0.2), (float(x), half + 0.04, high), 0.014, steel))
        parts.append(bar((-wide, half + 0.04, high), (wide, half + 0.04, high), 0.022, steel))
    if chance(random, 0.3):
        parts.append(box((0, -half - 0.04, 0.3), (wide + 0.04, 0.025, 0.3), frame, "wood"))
    return thing("bed", "bed", parts)


def table(random: np.random.Generator) -> Thing:
    """A rectangular table on four legs, two trestles or two side boards."""
    half_x, half_y = between(random, 0.55, 1.1), between(random, 0.37, 0.5)
    height, thick = between(random, 0.71, 0.78), between(random, 0.012, 0.03)
    top_colour = wood(random)
    frame = top_colour if chance(random, 0.6) else pick(random, (wood(random), metal(random)))
    texture = pick(random, ("wood", "planks", "", "marble"))
    under = height - 2 * thick
    style = pick(random, ("legs", "legs", "splayed", "trestles"))
    if style == "legs":
        leg = between(random, 0.02, 0.045)
        parts = four_legs(half_x - leg - 0.03, half_y - leg - 0.03, under, leg, frame, chance(random, 0.4))
        for sy in (-1, 1):
            parts.append(box((0, sy * (half_y - leg - 0.03), under - 0.04), (half_x - 0.08, 0.01, 0.04), frame))
    elif style == "splayed":
        parts = [
            bar(
                (sx * half_x * 0.75, sy * half_y * 0.7, under),
                (sx * half_x * 0.93, sy * half_y * 0.92, 0.02),
                0.022,
                frame,
            )
            for sx in (-1, 1)
            for sy in (-1, 1)
        ]
    else:
        parts = []
        for sx in (-1, 1):
            x = sx * half_x * 0.72
            parts.append(box((x, 0, under / 2), (0.04, 0.05, under / 2), frame, "wood"))
            parts.append(box((x, 0, 0.03), (0.045, half_y * 0.8, 0.03), frame))
            parts.append(box((x, 0, under - 0.03), (0.045, half_y * 0.8, 0.03), frame))
        parts.append(box((0, 0, 0.25), (half_x * 0.72, 0.02, 0.05), frame))
    parts.append(box((0, 0, height - thick), (half_x, half_y, thick), top_colour, texture, gloss=0.3))
    if chance(random, 0.2):
        cloth_half = (half_x + 0.005, half_y + 0.005, 0.09)
        parts.append(
            box((0, 0, height - 0.087), cloth_half, cloth(random), pick(random, ("checks", "stripes", "fabric")))
        )
    return _set_down(parts, height, (half_x * 0.88, half_y * 0.85))


def round_table(random: np.random.Generator) -> Thing:
    """A round table on one column or on four legs."""
    radius, height = between(random, 0.42, 0.65), between(random, 0.71, 0.77)
    top_colour, frame = wood(random), pick(random, (wood(random), metal(random)))
    thick = between(random, 0.012, 0.025)
    top = rod((0, 0, height - thick), radius, thick, top_colour, pick(random, ("wood", "", "marble")), gloss=0.3)
    under = height - 2 * thick
    if chance(random, 0.5):
        parts = [rod((0, 0, under / 2), between(random, 0.035, 0.07), under / 2, frame)]
        if chance(random, 0.5):
            parts.append(rod((0, 0, 0.015), radius * 0.55, 0.015, frame))
        else:
            turn = math.pi / 4
            for number in range(4):
                angle = turn + number * math.pi / 2
                end = (radius * 0.7 * math.cos(angle), radius * 0.7 * math.sin(angle), 0.03)
                parts.append(bar((0, 0, 0.16), end, 0.03, frame))
    else:
        spread = radius * 0.62
        parts = [
            bar((sx * spread * 0.8, sy * spread * 0.8, under), (sx * spread, sy * spread, 0.025), 0.025, frame)
            for sx in (-1, 1)
            for sy in (-1, 1)
        ]
    return _set_down([*parts, top], height, (radius * 0.6, radius * 0.6))


def _set_down(parts: list[Part], height: float, half: tuple[float, float]) -> Thing:
    top = max(part.centre[2] + part.half[2] for part in parts if part.angles == (0.0, 0.0, 0.0))
    return thing("dining table", "dining table", parts, [Surface((0.0, 0.0, max(top, height)), half)])
