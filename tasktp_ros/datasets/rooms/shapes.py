# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a rendered thing is made of: simple solids with a colour or a texture, in the thing's own frame.

Frame: metres, origin on the floor (or on whatever carries the thing) below its middle, x to its right, y to its back, z up;
its front looks towards -y.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Vector: TypeAlias = tuple[float, float, float]
Colour: TypeAlias = tuple[float, float, float]
Shape: TypeAlias = Literal["box", "cylinder", "ellipsoid", "capsule"]


@dataclass(frozen=True)
class Part:
    """One solid.

    Attributes:
        shape: "box", "cylinder" and "capsule" (axis z) or "ellipsoid".
        centre: of the solid, metres.
        half: half extents along the solid's own x, y, z, metres; a cylinder's and capsule's x and y are its radius.
        colour: red, green, blue in 0..1.
        texture: name of a pattern in `textures`, or "" for a plain colour; the colour tints it.
        angles: roll, pitch, yaw in radians, applied in this order about the fixed x, y and z axes.
        gloss: 0 (matt) to 1 (shiny).
        glow: 0, or how much light the part gives by itself (a screen, a lamp).
    """

    shape: Shape
    centre: Vector
    half: Vector
    colour: Colour
    texture: str = ""
    angles: Vector = (0.0, 0.0, 0.0)
    gloss: float = 0.1
    glow: float = 0.0


@dataclass(frozen=True)
class Surface:
    """A level place where small things may stand.

    Attributes:
        centre: middle of the place, metres; things stand at its height.
        half: half extents along x and y, metres.
        headroom: free height above it, metres.
    """

    centre: Vector
    half: tuple[float, float]
    headroom: float = 2.0


@dataclass(frozen=True)
class Thing:
    """A furnishing or an object.

    Attributes:
        category: its COCO name, or None for a distractor that no detector is asked for.
        kind: what it is, also for distractors: "chair", "wardrobe", "lamp".
        parts: its solids.
        size: width (x), depth (y) and height (z) of the box that holds it, metres.
        surfaces: where other things may stand on it.
    """

    category: str | None
    kind: str
    parts: tuple[Part, ...]
    size: Vector
    surfaces: tuple[Surface, ...] = ()


Builder: TypeAlias = Callable[[np.random.Generator], Thing]
