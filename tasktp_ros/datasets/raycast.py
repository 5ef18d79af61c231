"""A small ray caster for furnished rooms: enough to make a walk that looks like a place, in milliseconds per object.

World: metres, z up. Camera: x right, y down, z forward. Every object only touches the part of the picture it can cover.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
# Times at which rays enter a solid (infinity where never), and a function from points on it (N, 3) to normals (N, 3).
Hits = tuple[Floats, Callable[[Floats], Floats]]
NEAR = 0.05  # metres


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; pose (4, 4) camera to world, focal length px, size (H, W) px."""

    pose: NDArray[np.float64]
    focal: float
    size: tuple[int, int]

    @property
    def intrinsics(self) -> NDArray[np.float64]:
        """(3, 3) float64 px."""
        height, width = self.size
        return np.array([[self.focal, 0, (width - 1) / 2], [0, self.focal, (height - 1) / 2], [0, 0, 1]])


@dataclass(frozen=True)
class Solid:
    """A box, ellipsoid or upright cylinder: centre and half sizes in metres, turned by `yaw` around z.

    colour: RGB in 0..1.  grain: strength of the texture on it.
    """

    kind: str
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    colour: tuple[float, float, float]
    yaw: float = 0.0
    grain: float = 0.06


@dataclass(frozen=True)
class Room:
    """A box seen from inside, size (x, y, z) metres from the origin; one RGB float32 texture in 0..1 per surface.

    Surfaces: floor and ceiling (rows along y, columns along x), west and east (x = 0 and x = size; columns along y),
    south and north (y = 0 and y = size; columns along x); rows of walls run from the top down.
    """

    size: tuple[float, float, float]
    textures: dict[str, Floats]
    solids: Sequence[Solid]
    lamp: tuple[float, float, float] = (3.0, 2.5, 2.4)
    grain: Floats = field(default_factory=lambda: _grain(256))


@dataclass
class _Canvas:
    depth: Floats
    colour: Floats
    normal: Floats


def render(room: Room, camera: Camera) -> NDArray[np.uint8]:
    """The camera's view of the room, (H, W, 3) uint8 RGB."""
    height, width = camera.size
    rotation = camera.pose[:3, :3].astype(np.float32)
    origin = camera.pose[:3, 3].astype(np.float32)
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / camera.focal
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / camera.focal
    grid = np.stack(np.broadcast_arrays(x[None, :], y[:, None], np.float32(1)))
    # (H, W, 3) to read, but one plane after the other in memory: reductions over the three are then fast.
    rays = np.moveaxis(np.tensordot(rotation, grid, 1), 0, -1)
    rays[np.abs(rays) < 1e-6] = 1e-6
    canvas = _walls(room, origin, rays)
    for solid in room.solids:
        window = _window(solid, camera)
        if window is not None:
            _cast(solid, room.grain, origin, rays[window], canvas, window)
    return _light(room, origin, rays, canvas)


def _walls(room: Room, origin: Floats, rays: Floats) -> _Canvas:
    size = np.array(room.size, np.float32)
    towards = np.where(rays > 0, size, np.float32(0))
    times = (towards - origin) / rays
    axis = times.argmin(axis=-1)
    depth = times.min(axis=-1)
    points = origin + rays * depth[..., None]
    colour = np.zeros(rays.shape, np.float32)
    normal = np.zeros_like(rays)
    sides = (("west", "east", 1, 2), ("south", "north", 0, 2), ("floor", "ceiling", 0, 1))
    for number, (low, high, across, along) in enumerate(sides):
        for name, positive in ((low, False), (high, True)):
            here = (axis == number) & ((rays[..., number] > 0) == positive)
            if not here.any():
                continue
            texture = room.textures[name]
            u = points[..., across] / size[across] * (texture.shape[1] - 1)
            v = points[..., along] / size[along]
            v = (v if along == 1 else 1 - v) * (texture.shape[0] - 1)
            sampled = cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            cv2.copyTo(sampled, here.astype(np.uint8), colour)
            normal[here, number] = -1.0 if positive else 1.0
    return _Canvas(depth.astype(np.float32), colour, normal)


def _window(solid: Solid, camera: Camera) -> tuple[slice, slice] | None:
    """Part of the picture that can show the solid, or None."""
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], float)
    corners = _turn(signs * solid.half, solid.yaw) + solid.centre
    seen = (corners - camera.pose[:3, 3]) @ camera.pose[:3, :3]
    if seen[:, 2].max() < NEAR:
        return None
    height, width = camera.size
    if seen[:, 2].min() < NEAR:
        return slice(0, height), slice(0, width)
    columns = seen[:, 0] / seen[:, 2] * camera.focal + width / 2
    rows = seen[:, 1] / seen[:, 2] * camera.focal + height / 2
    left, right = max(0, int(columns.min()) - 1), min(width, int(columns.max()) + 2)
    top, bottom = max(0, int(rows.min()) - 1), min(height, int(rows.max()) + 2)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _turn(vectors: NDArray[Any], yaw: float) -> NDArray[Any]:
    """Rotate (..., 3) vectors by yaw around z."""
    if yaw == 0.0:
        return vectors
    cosine, sine = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], vectors.dtype)
    return np.moveaxis(np.tensordot(rotation, np.moveaxis(vectors, -1, 0), 1), 0, -1)


def _cast(
    solid: Solid, grain: Floats, origin: Floats, rays: Floats, canvas: _Canvas, window: tuple[slice, slice]
) -> None:
    half = np.array(solid.half, np.float32)
    start = _turn(origin - np.array(solid.centre, np.float32), -solid.yaw)
    directions = _turn(rays, -solid.yaw)
    directions = np.where(np.abs(directions) < 1e-6, np.float32(1e-6), directions)
    times, normals = _INTERSECT[solid.kind](half, start, directions)
    hit = (times > NEAR) & (times < canvas.depth[window])
    if not hit.any():
        return
    points = start + directions[hit] * times[hit][:, None]
    normal = normals(points)
    canvas.depth[window][hit] = times[hit]
    canvas.normal[window][hit] = _turn(normal, solid.yaw)
    # Grain follows the surface: the two coordinates that lie in it.
    flat = np.abs(normal).argmax(axis=1)
    u = np.where(flat == 0, points[:, 1], points[:, 0])
    v = np.where(flat == 2, points[:, 1], points[:, 2])
    rows, columns = (v * 190).astype(np.intp) & 255, (u * 190).astype(np.intp) & 255
    shade = 1 + solid.grain * grain[rows, columns]
    canvas.colour[window][hit] = np.array(solid.colour, np.float32) * shade[:, None]


def _box(half: Floats, start: Floats, directions: Floats) -> Hits:
    first = (-half - start) / directions
    second = (half - start) / directions
    enter = np.minimum(first, second).max(axis=-1)
    leave = np.maximum(first, second).min(axis=-1)
    times = np.where(enter < leave, enter, np.inf)

    def normals(points: Floats) -> Floats:
        share = points / half
        axis = np.abs(share).argmax(axis=1)
        out = np.zeros_like(points)
        rows = np.arange(len(points))
        out[rows, axis] = np.sign(share[rows, axis])
        return out

    return times, normals


def _ellipsoid(half: Floats, start: Floats, directions: Floats) -> Hits:
    times = _quadratic(directions / half, start / half)

    def normals(points: Floats) -> Floats:
        raw = points / half**2
        return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)

    return times, normals


def _cylinder(half: Floats, start: Floats, directions: Floats) -> Hits:
    around = _quadratic(directions[..., :2] / half[:2], start[:2] / half[:2])
    with np.errstate(invalid="ignore"):
        around = np.where(np.abs(start[2] + directions[..., 2] * around) <= half[2], around, np.inf)
    top = (np.sign(start[2]) * half[2] - start[2]) / directions[..., 2]
    place = (start[:2] + directions[..., :2] * top[..., None]) / half[:2]
    top = np.where(((place**2).sum(axis=-1) <= 1) & (abs(start[2]) > half[2]), top, np.inf)

    def normals(points: Floats) -> Floats:
        out = points / half**2
        out[:, 2] = 0
        out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
        cap = np.abs(points[:, 2]) > half[2] - 1e-4
        out[cap] = np.stack([np.zeros(cap.sum()), np.zeros(cap.sum()), np.sign(points[cap, 2])], axis=1)
        return np.asarray(out, np.float32)

    return np.minimum(np.where(around > 0, around, np.inf), np.where(top > 0, top, np.inf)), normals


def _quadratic(directions: Floats, start: Floats) -> Floats:
    """First time at which start + t * directions reaches length 1, infinity where never."""
    a = (directions**2).sum(axis=-1)
    b = (
        directions[..., 0] * start[0]
        + directions[..., 1] * start[1]
        + (directions[..., 2] * start[2] if len(start) > 2 else 0)
    )
    inside = b**2 - a * (float(start @ start) - 1)
    return np.where(inside >= 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)


_INTERSECT = {"box": _box, "ellipsoid": _ellipsoid, "cylinder": _cylinder}


def _light(room: Room, origin: Floats, rays: Floats, canvas: _Canvas) -> NDArray[np.uint8]:
    """Window light, a lamp and an even ambient; brightness falls with the distance to the lamp."""
    points = origin + rays * canvas.depth[..., None]
    to_lamp = np.array(room.lamp, np.float32) - points
    distance = np.linalg.norm(to_lamp, axis=-1)
    lamp = np.maximum((canvas.normal * to_lamp).sum(axis=-1) / distance, 0) / (1 + 0.12 * distance**2)
    sun = np.maximum(canvas.normal @ np.array([0.62, 0.25, 0.55], np.float32), 0)
    sky = 0.5 + 0.5 * canvas.normal[..., 2]
    warm, cool = np.array([1.0, 0.93, 0.82], np.float32), np.array([0.86, 0.94, 1.0], np.float32)
    light = (0.36 + 0.10 * sky)[..., None] + 0.55 * lamp[..., None] * warm + 0.34 * sun[..., None] * cool
    shown = np.clip(canvas.colour * light, 0, 1) ** (1 / 1.15)
    return np.asarray(shown * 255 + 0.5, np.uint8)


def _grain(size: int) -> Floats:
    """(size, size) float32 in about -1..1 that repeats without a seam."""
    noise = np.random.default_rng(7).standard_normal((size, size)).astype(np.float32)
    tiled = np.tile(noise, (3, 3))
    smooth = cv2.GaussianBlur(tiled, (0, 0), 1.2) * 2 + cv2.GaussianBlur(tiled, (0, 0), 7) * 9
    return np.asarray(smooth[size : 2 * size, size : 2 * size] * 0.5, np.float32)
