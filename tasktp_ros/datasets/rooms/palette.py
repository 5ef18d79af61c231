# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Colour families, so that wood looks like wood and no two sofas need be alike."""

import colorsys
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tasktp_ros.datasets.rooms.shapes import Colour

Choice = TypeVar("Choice")

WOODS: tuple[Colour, ...] = (
    (0.82, 0.66, 0.44),
    (0.66, 0.46, 0.27),
    (0.48, 0.31, 0.18),
    (0.30, 0.19, 0.12),
    (0.90, 0.80, 0.62),
    (0.55, 0.28, 0.16),
    (0.93, 0.92, 0.89),
    (0.20, 0.18, 0.17),
)
METALS: tuple[Colour, ...] = ((0.75, 0.76, 0.78), (0.55, 0.56, 0.58), (0.85, 0.83, 0.78), (0.25, 0.25, 0.27))
CERAMICS: tuple[Colour, ...] = ((0.97, 0.97, 0.96), (0.94, 0.93, 0.89), (0.90, 0.92, 0.94))
APPLIANCES: tuple[Colour, ...] = (
    (0.95, 0.95, 0.95),
    (0.95, 0.95, 0.95),
    (0.72, 0.73, 0.75),
    (0.60, 0.61, 0.63),
    (0.12, 0.12, 0.13),
)
DARK: Colour = (0.07, 0.07, 0.08)
GREENS: tuple[Colour, ...] = ((0.16, 0.42, 0.14), (0.28, 0.52, 0.20), (0.12, 0.33, 0.20), (0.42, 0.55, 0.22))


def pick(random: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """One of the choices, each as likely as the others."""
    return choices[int(random.integers(len(choices)))]


def chance(random: np.random.Generator, probability: float) -> bool:
    """True with this probability."""
    return bool(random.random() < probability)


def between(random: np.random.Generator, low: float, high: float) -> float:
    """A number in low..high."""
    return float(random.uniform(low, high))


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor below 1) or lighter, kept in 0..1."""
    red, green, blue = (float(min(max(channel * factor, 0.0), 1.0)) for channel in colour)
    return red, green, blue


def varied(random: np.random.Generator, colour: Colour, amount: float = 0.05) -> Colour:
    """A colour near this one, each channel by up to `amount`."""
    red, green, blue = np.clip(np.array(colour) + random.uniform(-amount, amount, 3), 0.0, 1.0).tolist()
    return red, green, blue


def hue(random: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
    """Any hue with a saturation and a brightness in these ranges."""
    return colorsys.hsv_to_rgb(float(random.random()), between(random, *saturation), between(random, *value))


def wood(random: np.random.Generator) -> Colour:
    """A wood's or a painted wood's colour."""
    return varied(random, pick(random, WOODS))


def metal(random: np.random.Generator) -> Colour:
    """A metal's colour."""
    return varied(random, pick(random, METALS), 0.03)


def ceramic(random: np.random.Generator) -> Colour:
    """The white of a bathroom."""
    return varied(random, pick(random, CERAMICS), 0.02)


def cloth(random: np.random.Generator) -> Colour:
    """An upholstery's or a blanket's colour: muted, dark, light or bold."""
    kind = random.random()
    if kind < 0.4:
        return hue(random, (0.05, 0.35), (0.35, 0.8))
    if kind < 0.6:
        return hue(random, (0.0, 0.3), (0.08, 0.3))
    if kind < 0.8:
        return hue(random, (0.0, 0.15), (0.8, 0.97))
    return hue(random, (0.5, 0.85), (0.4, 0.85))


def bright(random: np.random.Generator) -> Colour:
    """A plastic's or a glaze's colour."""
    kind = random.random()
    if kind < 0.25:
        return hue(random, (0.0, 0.08), (0.85, 1.0))
    if kind < 0.35:
        return hue(random, (0.0, 0.3), (0.06, 0.2))
    return hue(random, (0.35, 0.9), (0.4, 0.95))
