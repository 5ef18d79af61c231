# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Draws views of a scene: colour, which thing every pixel shows, and depth."""

import ctypes.util
import math
import os
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import DataError

if TYPE_CHECKING:
    from tasktp_ros.datasets.rooms.scene import Scene

NO_GL = ("drawing rooms needs an OpenGL library that works without a screen; on Debian and Ubuntu install "
         "libosmesa6, or libegl1 with libgl1-mesa-dri")  # fmt: skip


@dataclass(frozen=True)
class View:
    """Where a camera stands and looks.

    Attributes:
        position: metres, world.
        yaw, pitch: radians; yaw anticlockwise from the x axis, pitch upwards.
        field: vertical angle of view, radians.
        room: index of the room it stands in.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    field: float
    room: int

    @property
    def forward(self) -> NDArray[np.float64]:
        """Unit vector (3,) of the viewing direction."""
        flat = math.cos(self.pitch)
        return np.array([flat * math.cos(self.yaw), flat * math.sin(self.yaw), math.sin(self.pitch)])

    def camera_to_world(self) -> NDArray[np.float64]:
        """(4, 4): camera axes x right, y down, z forward."""
        forward = self.forward
        right = np.array([math.sin(self.yaw), -math.cos(self.yaw), 0.0])
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(forward, right), forward, self.position
        return pose


def load_mujoco() -> ModuleType:
    """MuJoCo with an offscreen OpenGL that exists here; set MUJOCO_GL to choose another.

    Raises:
        DataError: MuJoCo or an OpenGL library is missing; names what to install.
    """
    if "MUJOCO_GL" not in os.environ:
        found = [name for name, library in (("egl", "EGL"), ("osmesa", "OSMesa")) if ctypes.util.find_library(library)]
        if not found:
            raise DataError(NO_GL)
        os.environ["MUJOCO_GL"] = found[0]
    if os.environ["MUJOCO_GL"] in ("egl", "osmesa"):
        os.environ.setdefault("PYOPENGL_PLATFORM", os.environ["MUJOCO_GL"])
    try:
        import mujoco
    except ModuleNotFoundError as error:
        raise DataError(f"drawing rooms needs MuJoCo; pip install mujoco ({error})") from error
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        raise DataError(f"{NO_GL} (MUJOCO_GL={os.environ['MUJOCO_GL']}: {error})") from error
    return mujoco


class Painter:
    """Draws one scene at one size; use it as a context manager.

    Args:
        scene: what to draw.
        height, width: px.
        finer: colour is drawn this many times finer and averaged.
    """

    def __init__(self, scene: "Scene", height: int, width: int, finer: float = 1.0) -> None:
        mujoco = self._mujoco = load_mujoco()
        self.scene, self.size = scene, (height, width)
        self._data = mujoco.MjData(scene.model)
        mujoco.mj_forward(scene.model, self._data)
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        fine = (round(height * finer), round(width * finer))
        try:
            self._colour = mujoco.Renderer(scene.model, *fine, max_geom=4000)
            self._ids = (
                self._colour if fine == self.size else mujoco.Renderer(scene.model, height, width, max_geom=4000)
            )
        except (RuntimeError, AttributeError, OSError, ImportError) as error:
            raise DataError(f"{NO_GL} ({error})") from error

    def __enter__(self) -> "Painter":
        return self

    def __exit__(self, *exception: object) -> None:
        self._colour.close()
        if self._ids is not self._colour:
            self._ids.close()

    def colour(self, view: View) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        self._aim(self._colour, view)
        picture = self._colour.render()
        if picture.shape[:2] != self.size:
            picture = cv2.resize(picture, self.size[::-1], interpolation=cv2.INTER_AREA)
        return picture.copy()

    def things(self, view: View) -> NDArray[np.int32]:
        """(H, W) int32: which of `scene.placed` every pixel shows, -1 = none."""
        self._ids.enable_segmentation_rendering()
        self._aim(self._ids, view)
        geoms = self._ids.render()[..., 0]
        self._ids.disable_segmentation_rendering()
        return np.append(self.scene.thing_of_geom, np.int32(-1))[geoms]

    def depth(self, view: View) -> NDArray[np.float32]:
        """(H, W) float32 metres along the optical axis."""
        self._ids.enable_depth_rendering()
        self._aim(self._ids, view)
        metres = self._ids.render().copy()
        self._ids.disable_depth_rendering()
        return metres

    def _aim(self, renderer: Any, view: View) -> None:
        mujoco, model, camera = self._mujoco, self.scene.model, self._camera
        model.vis.global_.fovy = math.degrees(view.field)
        camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        camera.distance = 1.0
        camera.lookat[:] = np.array(view.position) + view.forward
        camera.azimuth, camera.elevation = math.degrees(view.yaw), math.degrees(view.pitch)
        visible = {view.room, *self.scene.flat.rooms[view.room].neighbours}
        self._option.geomgroup[:] = [group in visible for group in range(6)]
        for room in range(len(self.scene.flat.rooms)):
            model.light_active[2 * room] = room in visible
            model.light_active[2 * room + 1] = room == view.room
            model.light_castshadow[2 * room] = room == view.room and self.scene.shadows
        renderer.update_scene(self._data, camera, self._option)
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = False
