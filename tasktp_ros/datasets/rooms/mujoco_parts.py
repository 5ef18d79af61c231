# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Things as MuJoCo geoms: one static body per thing and one named geom per part, so that ids map back to things."""

import math

import mujoco
import numpy as np

from tasktp_ros.datasets.rooms.shapes import Colour, Part, Thing, Vector
from tasktp_ros.datasets.rooms.solids import turned
from tasktp_ros.datasets.rooms.textures import PATTERNS

_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
}


class MaterialBook:
    """Makes a spec's textures and materials on demand, and few of them.

    Parts that look the same share a material. Every new look of a pattern gets its own picture until `limit` textures
    exist; then an older picture of that pattern is used again (a pattern without any still gets its first).
    """

    def __init__(self, spec: mujoco.MjSpec, random: np.random.Generator, limit: int = 48) -> None:
        """Write into `spec`; pictures are drawn with `random`; `limit` bounds the number of textures."""
        self.spec = spec
        self.things = 0
        self._random = random
        self._limit = limit
        self._materials: dict[tuple, str] = {}
        self._textures: dict[tuple[str, bool], list[str]] = {}

    def material(
        self,
        texture: str,
        colour: Colour,
        gloss: float = 0.1,
        glow: float = 0.0,
        repeat: tuple[float, float] | None = None,
    ) -> str:
        """Name of the material of this look.

        Args:
            texture: a name in `textures.PATTERNS`, or "".
            colour: red, green, blue in 0..1; tints the texture.
            gloss: 0 to 1.
            glow: 0, or the light it gives.
            repeat: None puts the pattern once on each of the six sides (solids), upright on the
                front and the top; two counts lay it flat, repeated along
                the geom's x and y and smeared along its z (floors, walls).
        """
        key = (texture, tuple(round(c, 3) for c in colour), round(gloss, 2), round(glow, 2), repeat)
        if key not in self._materials:
            name = f"m{len(self._materials)}"
            made = self.spec.add_material(
                name=name,
                rgba=[*colour, 1.0],
                specular=float(gloss),
                shininess=0.2 + 0.7 * float(gloss),
                emission=float(glow),
            )
            if texture:
                made.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = self._texture(texture, flat=repeat is not None)
                if repeat is not None:
                    made.texrepeat = list(repeat)
            self._materials[key] = name
        return self._materials[key]

    def _texture(self, pattern: str, flat: bool) -> str:
        known = self._textures.setdefault((pattern, flat), [])
        count = sum(len(names) for names in self._textures.values())
        if known and count >= self._limit:
            return known[int(self._random.integers(len(known)))]
        name = f"x{count}"
        picture = PATTERNS[pattern](self._random)
        faces = picture if flat else np.concatenate([picture] * 6)
        made = self.spec.add_texture(
            name=name,
            type=mujoco.mjtTexture.mjTEXTURE_2D if flat else mujoco.mjtTexture.mjTEXTURE_CUBE,
            width=faces.shape[1],
            height=faces.shape[0],
            nchannel=3,
        )
        made.data = np.ascontiguousarray(faces).tobytes()
        known.append(name)
        return name


def quaternion(angles: Vector) -> list[float]:
    """Roll, pitch, yaw (radians, about the fixed x, y, z axes in this order) as w, x, y, z."""
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, turned(angles).ravel())
    return quat.tolist()


def geom_size(part: Part) -> list[float]:
    """The part's size the way MuJoCo counts it, metres; a capsule's caps are inside its half height."""
    x, y, z = part.half
    if part.shape == "cylinder":
        return [x, z, 0.0]
    if part.shape == "capsule":
        return [x, max(z - x, 1e-4), 0.0]
    return [x, y, z]


def add_thing(spec: mujoco.MjSpec, thing: Thing, position: Vector, yaw: float, look: MaterialBook) -> list[str]:
    """Put a thing into a spec.

    Args:
        spec: the world.
        thing: what to add.
        position: of the thing's origin, metres.
        yaw: radians, anticlockwise seen from above.
        look: the spec's materials; it also counts the things.

    Returns:
        the geoms' names, "t{thing}_{part}", where thing counts the calls with this `look` from 0; `thing_of` reads it.
    """
    index = look.things
    look.things += 1
    body = spec.worldbody.add_body(
        name=f"t{index}", pos=list(position), quat=[math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]
    )
    names = []
    for number, part in enumerate(thing.parts):
        name = f"t{index}_{number}"
        body.add_geom(
            name=name,
            type=_TYPES[part.shape],
            pos=list(part.centre),
            size=geom_size(part),
            quat=quaternion(part.angles),
            material=look.material(part.texture, part.colour, part.gloss, part.glow),
            contype=0,
            conaffinity=0,
        )
        names.append(name)
    return names


def thing_of(geom_name: str) -> int:
    """Index of the thing that a geom belongs to, or -1 for a geom that `add_thing` did not make."""
    head, _, tail = geom_name.partition("_")
    return int(head[1:]) if head[:1] == "t" and head[1:].isdigit() and tail.isdigit() else -1
