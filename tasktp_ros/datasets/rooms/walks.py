# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Writes drives through rendered flats as ScanNet-layout scans: colour, depth, poses, label and instance pictures."""

import io
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tasktp_ros.datasets.rooms.flat import Flat
from tasktp_ros.datasets.rooms.images import claim, write_bytes
from tasktp_ros.datasets.rooms.render import Painter, View, load_mujoco
from tasktp_ros.datasets.rooms.sensor import expose
from tasktp_ros.datasets.scannet.labels import TABLE
from tasktp_ros.datasets.scannet.sens_writer import SensWriter
from tasktp_ros.errors import DataError
from tasktp_ros.workers import in_processes

SCANNET_IDS = {
    "chair": 2, "couch": 6, "bed": 11, "sink": 14, "toilet": 17, "book": 22, "refrigerator": 27, "tv": 33, "dining table": 45,
    "backpack": 48, "clock": 58, "microwave": 59, "bottle": 65, "laptop": 77, "oven": 84, "suitcase": 93, "cup": 130, "vase": 194,
    "bowl": 562, "potted plant": 1189,
}  # fmt: skip
"""ScanNet's label number of each category."""
COLUMNS = ("id", "raw_category", "category", "count", "nyu40id", "eigen13id", "nyuClass", "nyu40class", "eigen13class",
           "ModelNet40", "ModelNet10", "ShapeNetCore55", "synsetoffset", "wnsynsetid", "wnsynsetkey", "mpcat40", "mpcat40index")  # fmt: skip
MOST_INSTANCES = 255
SEED = 4
FIELD = 0.87
"""Vertical angle of view, radians (50 degrees)."""


@dataclass(frozen=True)
class WalkSet:
    """What `tasktp rooms walks` was asked for.

    Attributes:
        folder: gets `scans/`, the label table and the list of scans.
        count, frames: number of walks and of frames in each, 30 per second.
        height, width: px of colour and depth.
        seed: of everything.
    """

    folder: Path
    count: int
    frames: int
    height: int
    width: int
    seed: int

    def name(self, walk: int) -> str:
        """Name of a scan."""
        return f"scene{walk:04d}_00"

    def scan(self, walk: int) -> Path:
        """Folder of a scan."""
        return self.folder / "scans" / self.name(walk)


def write_walks(wanted: WalkSet, workers: int) -> dict[str, Any]:
    """Render the walks that are missing.

    Raises:
        DataError: missing libraries, or a disk that is full; finished scans are kept.
    """
    load_mujoco()
    try:
        (wanted.folder / "scans").mkdir(parents=True, exist_ok=True)
        settings = {"frames": wanted.frames, "height": wanted.height, "width": wanted.width, "seed": wanted.seed}
        claim(wanted.folder / ".walks.json", settings, wanted.folder, foreign=_holds_another_set(wanted))
        missing = [walk for walk in range(wanted.count) if not wanted.scan(walk).is_dir()]
        with tqdm(total=wanted.count * wanted.frames, initial=(wanted.count - len(missing)) * wanted.frames, unit="frame",
                  desc="rooms walks", disable=None) as bar:  # fmt: skip
            for _ in in_processes(render_walk, [(wanted, walk) for walk in missing], workers):
                bar.update(wanted.frames)
        names = [wanted.name(walk) for walk in range(wanted.count)]
        write_bytes(wanted.folder / "scannetv2_val.txt", ("\n".join(names) + "\n").encode())
        write_bytes(wanted.folder / TABLE, _label_table().encode())
    except OSError as error:
        raise DataError(
            f"the walks in {wanted.folder} are not finished: {error}; finished scans are kept, run again"
        ) from error
    return {"scans": len(names), "frames": len(names) * wanted.frames, "folder": str(wanted.folder)}


def _holds_another_set(wanted: WalkSet) -> bool:
    """Whether the label table or a scan is there that would be replaced or taken for one of ours."""
    table = wanted.folder / TABLE
    if table.exists():
        return table.read_bytes() != _label_table().encode()
    return any(wanted.scan(walk).exists() for walk in range(wanted.count))


def render_walk(job: tuple[WalkSet, int]) -> None:
    """Render one walk into a folder beside, and move it to its place when it is whole."""
    wanted, walk = job
    target = wanted.scan(walk)
    beside = target.with_name(f".{target.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        _write_scan(wanted, walk, beside)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_scan(wanted: WalkSet, walk: int, folder: Path) -> None:
    from tasktp_ros.datasets.rooms.paths import drive
    from tasktp_ros.datasets.rooms.scene import build_scene

    cv2.setNumThreads(1)
    name, seed = wanted.name(walk), (SEED, wanted.seed, walk)
    finer = 2.0 if wanted.height <= 360 else 1.0
    size = (wanted.height, wanted.width)
    random = np.random.default_rng((*seed, 1))
    rooms = int(random.integers(3, 7))
    scene = build_scene(seed, rooms, (round(wanted.height * finer), round(wanted.width * finer)))
    poses = drive(scene.flat, scene.placed, wanted.frames, random)
    height, pitch = float(random.uniform(1.0, 1.4)), float(random.uniform(-0.35, -0.18))
    intrinsic = intrinsic_of(size)
    numbers = _instance_numbers([placed.thing.category for placed in scene.placed])
    labels = np.array([SCANNET_IDS.get(placed.thing.category or "", 0) for placed in scene.placed] + [0], np.uint16)
    with (
        Painter(scene, *size, finer) as painter,
        SensWriter(folder / f"{name}.sens", size, size, intrinsic, intrinsic) as sens,
        zipfile.ZipFile(folder / f"{name}_2d-label-filt.zip", "w") as label_zip,
        zipfile.ZipFile(folder / f"{name}_2d-instance-filt.zip", "w") as instance_zip,
    ):
        for frame, (x, y, yaw) in enumerate(poses):
            view = View((float(x), float(y), height), float(yaw), pitch, FIELD, room_at(scene.flat, float(x), float(y)))
            # The same seed for every frame: one camera, whose exposure does not flicker.
            picture = expose(painter.colour(view), np.random.default_rng((*seed, 2)))
            things = painter.things(view)
            jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            millimetres = np.clip(painter.depth(view) * 1000.0, 0, 65535).astype(np.uint16)
            sens.write(jpeg, millimetres, view.camera_to_world(), frame * 1_000_000 // 30)
            # A thing without an instance number has no label either.
            _add_picture(
                label_zip, f"label-filt/{frame}.png", np.where(numbers[things] > 0, labels[things], 0).astype(np.uint16)
            )
            _add_picture(instance_zip, f"instance-filt/{frame}.png", numbers[things])
    groups: list[dict[str, Any]] = [{"id": int(number) - 1, "objectId": int(number) - 1, "segments": [], "label": scene.placed[index].thing.category}
              for index, number in enumerate(numbers[:-1]) if number]  # fmt: skip
    aggregation = {"sceneId": f"scannet.{name}", "appId": "tasktp_ros rooms", "segGroups": groups}
    (folder / f"{name}.aggregation.json").write_text(json.dumps(aggregation))
    (folder / f"{name}.txt").write_text(_description(intrinsic, wanted, [room.kind for room in scene.flat.rooms]))


def room_at(flat: Flat, x: float, y: float) -> int:
    """Index of the room that holds a point, or else of the nearest."""
    outside = [max(r.low[0] - x, x - r.high[0], 0.0) + max(r.low[1] - y, y - r.high[1], 0.0) for r in flat.rooms]
    return int(np.argmin(outside))


def _instance_numbers(categories: list[str | None]) -> NDArray[np.uint8]:
    """1, 2, ... for things with a category, as many as fit in eight bits; the last entry is for "no thing"."""
    numbers = np.zeros(len(categories) + 1, np.uint8)
    named = [index for index, category in enumerate(categories) if category][:MOST_INSTANCES]
    numbers[named] = np.arange(1, len(named) + 1)
    return numbers


def intrinsic_of(size: tuple[int, int]) -> NDArray[np.float64]:
    """(4, 4) intrinsic matrix px of a picture of `size` (height, width) px and the walks' angle of view."""
    focal = size[0] / 2 / np.tan(FIELD / 2)
    matrix = np.eye(4)
    matrix[0, 0] = matrix[1, 1] = focal
    # ScanNet counts from the middle of the first pixel.
    matrix[0, 2], matrix[1, 2] = size[1] / 2 - 0.5, size[0] / 2 - 0.5
    return matrix


def _add_picture(archive: zipfile.ZipFile, name: str, picture: NDArray) -> None:
    entry = zipfile.ZipInfo(name)  # a fixed date: same seed, same bytes
    archive.writestr(entry, cv2.imencode(".png", picture)[1].tobytes())


def _description(intrinsic: NDArray[np.float64], wanted: WalkSet, kinds: list[str]) -> str:
    identity = " ".join(f"{value:g}" for value in np.eye(4).ravel())
    lines = {"axisAlignment": identity, "colorHeight": wanted.height, "colorToDepthExtrinsics": identity, "colorWidth": wanted.width,
             "depthHeight": wanted.height, "depthWidth": wanted.width}  # fmt: skip
    for camera in ("color", "depth"):
        lines |= {f"fx_{camera}": f"{intrinsic[0, 0]:.6f}", f"fy_{camera}": f"{intrinsic[1, 1]:.6f}",
                  f"mx_{camera}": f"{intrinsic[0, 2]:.6f}", f"my_{camera}": f"{intrinsic[1, 2]:.6f}"}  # fmt: skip
    lines |= {"numColorFrames": wanted.frames, "numDepthFrames": wanted.frames, "numIMUmeasurements": 0,
              "sceneType": "Apartment", "rooms": ", ".join(kinds)}  # fmt: skip
    return "".join(f"{key} = {value}\n" for key, value in lines.items())


def _label_table() -> str:
    text = io.StringIO()
    text.write("\t".join(COLUMNS) + "\n")
    for name, number in sorted(SCANNET_IDS.items(), key=lambda item: item[1]):
        row = dict.fromkeys(COLUMNS, "") | {"id": str(number), "raw_category": name, "category": name, "count": "0"}
        text.write("\t".join(row[column] for column in COLUMNS) + "\n")
    return text.getvalue()
