"""The sample: a walk through a furnished room that exists nowhere, drawn by this project so that it can be given away.

It stands in for a robot's camera where none is at hand. The same seed gives the same walk on every machine; it is drawn
in a few seconds when first needed, so that no pictures weigh on the repository.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import cpu_count, get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import BagWriter
from tasktp_ros.datasets.frames import DEFAULT_FRAME_ID, DEFAULT_RATE, period_stamp
from tasktp_ros.datasets.raycast import Camera, Floats, Room, Solid, render

FRAMES = 64
SIZE = (480, 640)
FOCAL = 470.0
JPEG_QUALITY = 88
VERSION = 1  # of the scene: a bag of another version is drawn anew
SUPERSAMPLING = 1.25
ROOM = (6.4, 5.0, 2.6)

# Where the camera stands and what it looks at, metres; the walk passes them smoothly.
STATIONS = (
    ((5.3, 0.7, 1.35), (1.0, 4.2, 0.8)),
    ((4.4, 0.9, 1.35), (1.4, 3.6, 0.6)),
    ((3.1, 1.2, 1.35), (1.2, 4.0, 0.7)),
    ((2.0, 1.6, 1.40), (2.5, 4.6, 0.7)),
    ((1.7, 2.3, 1.40), (4.4, 4.4, 0.8)),
    ((1.9, 2.7, 1.35), (5.4, 2.6, 0.8)),
    ((2.4, 2.6, 1.30), (5.6, 1.6, 0.8)),
)


def sample_bag(folder: str | Path, progress: Callable[[int, int], object] | None = None) -> Path:
    """The sample as a rosbag2 in `folder`, drawn if it is not there yet; `progress` gets frames done and all."""
    path = Path(folder) / f"walk-{VERSION}.bag"
    if path.exists():
        return path
    cameras = walk(FRAMES)
    with BagWriter(path) as bag, ProcessPoolExecutor(min(4, cpu_count()), get_context("spawn")) as pool:
        for index, encoded in enumerate(pool.map(_jpeg, cameras, chunksize=2)):
            stamp_ns = period_stamp(index, DEFAULT_RATE)
            record = records.compressed_record(encoded, stamp_ns, DEFAULT_FRAME_ID)
            bag.write("/camera/color/image_raw/compressed", records.COMPRESSED_IMAGE, stamp_ns, record)
            intrinsics = Camera(cameras[index].pose, FOCAL, SIZE).intrinsics
            bag.write_camera_info("/camera/color/camera_info", stamp_ns, DEFAULT_FRAME_ID, SIZE, intrinsics)
            bag.write_pose(stamp_ns, "map", DEFAULT_FRAME_ID, cameras[index].pose)
            if progress is not None:
                progress(index + 1, len(cameras))
    return path


def picture(room: Room, camera: Camera) -> NDArray[np.uint8]:
    """One frame, (H, W, 3) uint8 RGB: drawn larger, shrunk for soft edges."""
    large = render(room, camera)
    return np.asarray(cv2.resize(large, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_AREA), np.uint8)


def _jpeg(camera: Camera) -> bytes:
    """A frame as JPEG; what a worker process does."""
    cv2.setNumThreads(1)
    bgr = cv2.cvtColor(picture(living_room(), camera), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def walk(frames: int) -> list[Camera]:
    """Cameras along the stations, a little unsteady as a robot on a real floor."""
    eyes = np.array([eye for eye, _ in STATIONS])
    targets = np.array([target for _, target in STATIONS])
    cameras = []
    for index in range(frames):
        place = index / max(1, frames - 1) * (len(STATIONS) - 1)
        eye = _between(eyes, place) + np.array([0, 0, 0.012 * np.sin(1.7 * index)])
        pose = look_at(eye, _between(targets, place) + np.array([0, 0, 0.03 * np.sin(0.9 * index)]))
        size = (round(SIZE[0] * SUPERSAMPLING), round(SIZE[1] * SUPERSAMPLING))
        cameras.append(Camera(pose, FOCAL * SUPERSAMPLING, size))
    return cameras


def look_at(eye: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 4) camera-to-world pose at `eye` facing `target`, upright; metres, x right, y down, z forward."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = eye
    return pose


def _between(stations: NDArray[np.float64], place: float) -> NDArray[np.float64]:
    """Catmull-Rom spline through the stations."""
    index = min(int(place), len(stations) - 2)
    t = place - index
    a, b, c, d = (stations[int(np.clip(index + k, 0, len(stations) - 1))] for k in (-1, 0, 1, 2))
    return np.asarray(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))


@lru_cache(maxsize=1)
def living_room() -> Room:
    """The room with all its furniture and the shade it throws on the floor."""
    from tasktp_ros.datasets.sample_room import furniture, surfaces

    solids = furniture()
    textures = surfaces(ROOM)
    textures["floor"] = textures["floor"] * _floor_shade(solids, textures["floor"].shape)[..., None]
    return Room(ROOM, textures, solids)


def _floor_shade(solids: list[Solid], shape: tuple[int, ...]) -> Floats:
    """(h, w) float32 in 0..1: darker below and around what stands on the floor."""
    shade = np.zeros(shape[:2], np.float32)
    scale = np.array([shape[1] / ROOM[0], shape[0] / ROOM[1]])
    for solid in solids:
        bottom = solid.centre[2] - solid.half[2]
        if bottom > 0.8:
            continue
        centre = np.array(solid.centre[:2]) * scale
        extent = np.array(solid.half[:2]) * 2 * scale
        corners = cv2.boxPoints((centre.tolist(), extent.tolist(), float(np.degrees(solid.yaw))))
        one = np.zeros_like(shade)
        cv2.fillPoly(one, [np.round(corners).astype(np.int32)], 1.0 - 0.8 * bottom)
        shade = np.maximum(shade, one)
    return np.asarray(1 - 0.62 * cv2.GaussianBlur(shade, (0, 0), 0.11 * scale[0]), np.float32)
