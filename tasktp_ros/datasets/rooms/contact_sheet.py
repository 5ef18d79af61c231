# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Samples of every category side by side, because only a look tells whether a person would name them.

`python -m tasktp_ros.datasets.rooms.contact_sheet docs/rooms.jpg` draws the sheet of the documentation.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.pictures import write_picture
from tasktp_ros.datasets.rooms.catalogue import CATEGORIES, build
from tasktp_ros.datasets.rooms.render import load_mujoco
from tasktp_ros.datasets.rooms.shapes import Thing

_LABEL = 16
"""Height of the name under a sample, pixels."""


def portrait(thing: Thing, random: np.random.Generator, cell: tuple[int, int] = (160, 120)) -> NDArray[np.uint8]:
    """One thing before a plain wall, seen from a little above.

    Args:
        thing: what to draw.
        random: turns it and draws its textures.
        cell: width and height, pixels.

    Returns:
        (height, width, 3) uint8 rgb.
    """
    mujoco = load_mujoco()
    from tasktp_ros.datasets.rooms.mujoco_parts import MaterialBook, add_thing

    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = cell
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.35] * 3, [0.3] * 3
    spec.visual.map.znear = 0.02
    reach = max(float(np.linalg.norm(thing.size)), 0.05)
    spec.stat.extent = reach
    plane = mujoco.mjtGeom.mjGEOM_BOX
    spec.worldbody.add_geom(name="floor", type=plane, size=[9, 9, 0.5], pos=[0, 0, -0.5], rgba=[0.62, 0.57, 0.5, 1])
    back = max(thing.size[0], thing.size[1]) * 1.5 + 0.5 + 0.02
    spec.worldbody.add_geom(
        name="wall", type=plane, size=[9, 0.5, 9], pos=[0, back, 9], rgba=[0.8, 0.8, 0.76, 1], castshadow=False
    )
    light = [-2.0 * reach, -3.0 * reach, 5.0 * reach]
    spec.worldbody.add_light(
        pos=light, dir=[0.35, 0.5, -0.8], diffuse=[0.6] * 3, type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    )
    add_thing(spec, thing, (0.0, 0.0, 0.0), float(random.uniform(-0.6, 0.6)), MaterialBook(spec, random))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = mujoco.MjvCamera()
    camera.lookat[:] = (0.0, 0.0, thing.size[2] / 2)
    camera.distance = reach / (2 * math.tan(math.radians(22.5))) * 1.12
    camera.azimuth, camera.elevation = 90.0, -22.0
    with mujoco.Renderer(model, cell[1], cell[0]) as renderer:
        renderer.update_scene(data, camera)
        return renderer.render().copy()


def contact_sheet(
    seed: int = 0,
    columns: int = 4,
    cell: tuple[int, int] = (160, 120),
    kinds: Sequence[str] | None = None,
    samples: int = 4,
) -> NDArray[np.uint8]:
    """Draw samples of every kind with the names below.

    Args:
        seed: of the shapes.
        columns: kinds per row.
        cell: width and height of a sample, pixels.
        kinds: categories or distractors, None for all categories.
        samples: of each kind.

    Returns:
        (rows, columns * samples * width, 3) uint8 rgb.
    """
    strips = []
    for number, kind in enumerate(tuple(CATEGORIES) if kinds is None else kinds):
        cells = []
        for sample in range(samples):
            random = np.random.default_rng((seed, number, sample))
            thing = build(kind, random)
            label = np.full((_LABEL, cell[0], 3), 255, np.uint8)
            cv2.putText(label, thing.kind, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
            cells.append(np.vstack([portrait(thing, random, cell), label]))
        strips.append(np.hstack(cells))
    while len(strips) % columns:
        strips.append(np.full_like(strips[0], 255))
    return np.vstack([np.hstack(strips[start : start + columns]) for start in range(0, len(strips), columns)])


if __name__ == "__main__":
    write_picture(Path(sys.argv[1]), contact_sheet())
