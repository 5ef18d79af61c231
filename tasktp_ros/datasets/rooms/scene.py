# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A furnished flat as a MuJoCo model. Every room's geoms form a group, so that a view draws only the rooms it can see."""

import colorsys
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.rooms.flat import Flat, Slab, build_flat
from tasktp_ros.datasets.rooms.mujoco_parts import MaterialBook, add_thing, quaternion, thing_of
from tasktp_ros.datasets.rooms.placement import Placed, furnish

SHADOW_SHARE = 0.55


@dataclass
class Scene:
    """A flat ready to be drawn.

    Attributes:
        flat, placed: what is in it.
        model: MuJoCo's; lights 2r (lamp) and 2r + 1 (daylight) belong to room r.
        thing_of_geom: (geoms,) int32 index into `placed`, -1 for the shell.
        shadows: whether lamps throw shadows.
    """

    flat: Flat
    placed: list[Placed]
    model: mujoco.MjModel
    thing_of_geom: NDArray[np.int32]
    shadows: bool


def build_scene(seed: tuple[int, ...], rooms: int | None = None, largest: tuple[int, int] = (960, 1280)) -> Scene:
    """Draw a flat from its seed.

    Args:
        seed: any integers; the same ones give the same scene.
        rooms: 1 to 6; None = drawn.
        largest: height and width px of the largest picture to be drawn.
    """
    random = np.random.default_rng(seed)
    flat = build_flat(random, rooms)
    placed = furnish(flat, random)
    spec = mujoco.MjSpec()
    _set_quality(spec, largest)
    book = MaterialBook(spec, random)
    for slab in flat.slabs:
        _add_slab(spec, book, slab)
    for thing in placed:
        for name in add_thing(spec, thing.thing, thing.position, thing.yaw, book):
            spec.geom(name).group = thing.room
    _add_lights(spec, flat, random)
    model = spec.compile()
    owners = np.array([thing_of(model.geom(i).name) for i in range(model.ngeom)], dtype=np.int32)
    return Scene(flat, placed, model, owners, bool(random.random() < SHADOW_SHARE))


def _set_quality(spec: mujoco.MjSpec, largest: tuple[int, int]) -> None:
    quality = spec.visual.quality
    quality.numslices, quality.numstacks, quality.numquads = 14, 8, 1
    quality.shadowsize, quality.offsamples = 2048, 0
    spec.visual.global_.offheight, spec.visual.global_.offwidth = largest
    spec.visual.map.znear, spec.visual.map.zfar, spec.visual.map.shadowscale = 0.02, 30.0, 0.55
    spec.stat.extent, spec.stat.center = 1.0, [0.0, 0.0, 1.0]
    spec.visual.headlight.ambient = spec.visual.headlight.diffuse = spec.visual.headlight.specular = [0.0, 0.0, 0.0]


def _add_slab(spec: mujoco.MjSpec, book: MaterialBook, slab: Slab) -> None:
    part = slab.part
    across, along = (max(1.0, 2 * half / slab.repeat) for half in part.half[:2])
    material = book.material(
        part.texture, part.colour, part.gloss, part.glow, (across, along) if part.texture else None
    )
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, pos=list(part.centre), size=list(part.half), quat=quaternion(part.angles),
        material=material, group=slab.room, contype=0, conaffinity=0,
    )  # fmt: skip


def _add_lights(spec: mujoco.MjSpec, flat: Flat, random: np.random.Generator) -> None:
    night = random.random() < 0.15
    for room in flat.rooms:
        level = float(random.uniform(0.3, 0.75))
        x, y = room.middle
        position = [x + float(random.uniform(-0.6, 0.6)), y + float(random.uniform(-0.6, 0.6)), flat.height - 0.25]
        ambient = float(random.uniform(0.12, 0.25) if night else random.uniform(0.35, 0.65))
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_SPOT, cutoff=89.0, exponent=0.6, pos=position, dir=[0.0, 0.0, -1.0], castshadow=True,
            diffuse=[level * c for c in room.lamp], ambient=[ambient * c for c in room.lamp], specular=[0.25] * 3,
        )  # fmt: skip
        hue = float(random.uniform(0.08, 0.16) if random.random() < 0.5 else random.uniform(0.55, 0.62))
        day = 0.05 if night else float(random.uniform(0.1, 0.5))
        angle = float(random.uniform(-np.pi, np.pi))
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[x, y, flat.height], castshadow=False, specular=[0.1] * 3,
            dir=[float(np.cos(angle)), float(np.sin(angle)), -float(random.uniform(0.3, 1.0))],
            diffuse=[day * c for c in colorsys.hsv_to_rgb(hue, 0.25, 1.0)], ambient=[0.0] * 3,
        )  # fmt: skip
