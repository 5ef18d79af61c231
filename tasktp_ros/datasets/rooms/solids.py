# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Short words for parts, and the step from parts to a thing that ends the same way in every builder."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.rooms.shapes import Colour, Part, Surface, Thing, Vector


def box(centre: Vector, half: Vector, colour: Colour, texture: str = "", **look: object) -> Part:
    """A box; `look` are further attributes of `Part`."""
    return Part("box", centre, half, colour, texture, **look)  # type: ignore[arg-type]


def block(low: Vector, high: Vector, colour: Colour, texture: str = "", **look: object) -> Part:
    """A box between two corners, metres."""
    centre = tuple((a + b) / 2 for a, b in zip(low, high, strict=True))
    half = tuple(max((b - a) / 2, 1e-3) for a, b in zip(low, high, strict=True))
    return Part("box", centre, half, colour, texture, **look)  # type: ignore[arg-type]


def rod(centre: Vector, radius: float, half_height: float, colour: Colour, texture: str = "", **look: object) -> Part:
    """A cylinder with the axis z, metres."""
    half = (radius, radius, half_height)
    return Part("cylinder", centre, half, colour, texture, **look)  # type: ignore[arg-type]


def pill(centre: Vector, radius: float, half_height: float, colour: Colour, **look: object) -> Part:
    """A capsule with the axis z, caps included in the half height, metres."""
    half = (radius, radius, max(half_height, radius + 1e-3))
    return Part("capsule", centre, half, colour, **look)  # type: ignore[arg-type]


def ball(centre: Vector, half: Vector, colour: Colour, texture: str = "", **look: object) -> Part:
    """An ellipsoid."""
    return Part("ellipsoid", centre, half, colour, texture, **look)  # type: ignore[arg-type]


def bar(start: Vector, end: Vector, radius: float, colour: Colour, shape: str = "capsule", **look: object) -> Part:
    """A capsule (or a cylinder or square box) from one point to another, metres."""
    first, last = np.array(start), np.array(end)
    along = last - first
    length = float(np.linalg.norm(along))
    pitch = math.acos(float(np.clip(along[2] / length, -1.0, 1.0)))
    yaw = math.atan2(float(along[1]), float(along[0]))
    extra = radius if shape == "capsule" else 0.0
    half = (radius, radius, length / 2 + extra)
    middle = tuple(((first + last) / 2).tolist())
    return Part(shape, middle, half, colour, angles=(0.0, pitch, yaw), **look)  # type: ignore[arg-type]


def turned(angles: Vector) -> NDArray[np.float64]:
    """(3, 3) matrix that turns by roll, pitch, yaw (radians) about the fixed x, y and z axes in this order."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(angles), np.sin(angles)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def extent(part: Part) -> NDArray[np.float64]:
    """(3,) half extents of the upright box that tightly holds the part, metres."""
    matrix, half = turned(part.angles), np.array(part.half)
    if part.shape == "box":
        return np.abs(matrix) @ half
    if part.shape == "ellipsoid":
        return np.sqrt((matrix**2) @ half**2)
    axis = np.abs(matrix[:, 2])
    if part.shape == "capsule":
        return axis * (half[2] - half[0]) + half[0]
    return axis * half[2] + half[0] * np.sqrt(np.maximum(1 - axis**2, 0.0))


def bounds(parts: Iterable[Part]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest corner, (3,) each, of the upright box around all parts, metres."""
    corners = [(np.array(part.centre) - extent(part), np.array(part.centre) + extent(part)) for part in parts]
    return np.min([low for low, _ in corners], axis=0), np.max([high for _, high in corners], axis=0)


def thing(
    category: str | None, kind: str, parts: Iterable[Part], surfaces: Iterable[Surface] = (), hanging: bool = False
) -> Thing:
    """A thing of these parts, centred on x and y and set down on z = 0, with the size that bounds it.

    Args:
        category: its COCO name or None.
        kind: what it is.
        parts: in any frame with z up and the front towards -y, metres.
        surfaces: in the parts' frame.
        hanging: leave the height as it is, for parts that start above the floor.
    """
    parts = tuple(parts)
    low, high = bounds(parts)
    shift = np.array([-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, 0.0 if hanging else -low[2]])

    def shifted(centre: Vector) -> Vector:
        x, y, z = (np.array(centre) + shift).tolist()
        return x, y, z

    width, depth, height = (high - low).tolist()
    return Thing(
        category=category,
        kind=kind,
        parts=tuple(replace(part, centre=shifted(part.centre)) for part in parts),
        size=(width, depth, high[2] if hanging else height),
        surfaces=tuple(replace(surface, centre=shifted(surface.centre)) for surface in surfaces),
    )


def four_legs(half_x: float, half_y: float, height: float, radius: float, colour: Colour, round_: bool) -> list[Part]:
    """Four upright legs whose axes stand at (+-half_x, +-half_y), metres."""
    corners = [(sx * half_x, sy * half_y, height / 2) for sx in (-1, 1) for sy in (-1, 1)]
    if round_:
        return [rod(corner, radius, height / 2, colour) for corner in corners]
    return [box(corner, (radius, radius, height / 2), colour) for corner in corners]
