# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Writes a detection set in COCO's layout: pictures of seeded flats and the visible parts of every object in them.

A flat is one unit of work: its pictures and one file of annotations, written beside and renamed. The set's annotation file
appears when all flats are there, so a set that is not finished does not load, and running again continues.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tasktp_ros.datasets.rooms.placement import Placed
from tasktp_ros.datasets.rooms.render import Painter, View, load_mujoco
from tasktp_ros.datasets.rooms.sensor import expose
from tasktp_ros.errors import DataError
from tasktp_ros.files import replacing
from tasktp_ros.tasks.vocabulary import COCO, ROOMS
from tasktp_ros.workers import in_processes

VIEWS_PER_FLAT = 12
MOST_FLATS = 200
"""Drawn by one process, before a fresh one takes its place and its memory."""
FEWEST_PIXELS = 12
LEAST_VISIBLE = 0.06
"""An object of which less than this share of its outline's box shows is not annotated."""
PLAIN_SHARE = 0.03
SPLITS = {"train": 1, "val": 2, "test": 3}
_GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_IDS = dict(zip(COCO, (number for number in range(1, 91) if number not in _GAPS), strict=True))
"""COCO's official category numbers, 1 to 90 with gaps."""


@dataclass(frozen=True)
class ImageSet:
    """What `tasktp rooms images` was asked for.

    Attributes:
        folder: of the data set.
        split: "train", "val" or "test"; flats of different splits never coincide.
        count: number of pictures.
        height, width: px.
        seed: of everything.
    """

    folder: Path
    split: str
    count: int
    height: int
    width: int
    seed: int

    @property
    def annotations(self) -> Path:
        """The finished set's annotation file."""
        return self.folder / "annotations" / f"instances_{self.split}.json"

    @property
    def parts(self) -> Path:
        """Annotations of finished flats."""
        return self.folder / f".parts_{self.split}"

    def flats(self) -> int:
        """Number of flats that `count` pictures need."""
        return -(-self.count // VIEWS_PER_FLAT)


def write_image_set(wanted: ImageSet, workers: int) -> dict[str, Any]:
    """Render what is missing and assemble the set.

    Returns:
        numbers of images, annotations, and annotations per category.

    Raises:
        DataError: unusable arguments, another set in the folder, missing libraries, or a disk that is full.
    """
    if wanted.split not in SPLITS:
        raise DataError(f"--split must be one of {', '.join(SPLITS)}, got {wanted.split!r}")
    load_mujoco()
    try:
        (wanted.folder / wanted.split).mkdir(parents=True, exist_ok=True)
        wanted.parts.mkdir(exist_ok=True)
        wanted.annotations.parent.mkdir(exist_ok=True)
        settings = {"height": wanted.height, "width": wanted.width, "seed": wanted.seed, "views": VIEWS_PER_FLAT}
        claim(wanted.parts / "settings.json", settings, wanted.folder, foreign=wanted.annotations.exists())
        missing = [flat for flat in range(wanted.flats()) if not _part_path(wanted, flat).is_file()]
        with tqdm(total=wanted.flats() * VIEWS_PER_FLAT, initial=(wanted.flats() - len(missing)) * VIEWS_PER_FLAT,
                  unit="image", desc=f"rooms {wanted.split}", disable=None) as bar:  # fmt: skip
            for _ in in_processes(_render_flat, [(wanted, flat) for flat in missing], workers, MOST_FLATS):
                bar.update(VIEWS_PER_FLAT)
        return _assemble(wanted)
    except OSError as error:
        raise DataError(
            f"the set in {wanted.folder} is not finished: {error}; finished flats are kept, run again"
        ) from error


def claim(path: Path, settings: dict[str, int], folder: Path, foreign: bool) -> None:
    """Note in a file with which settings the things in a folder are drawn.

    Args:
        foreign: there are things that would be replaced, should the file be missing.

    Raises:
        DataError: the folder holds things drawn with other settings, or not drawn here.
    """
    if path.is_file():
        try:
            found = json.loads(path.read_text())
        except ValueError:
            found = f"settings that cannot be read in {path}"
        if found != settings:
            raise DataError(f"{folder} holds a set drawn with {found}, not {settings}; choose another folder")
    elif foreign:
        raise DataError(f"{folder} holds a set that was not drawn by this command; choose another folder")
    else:
        _write_json(path, settings)


def _render_flat(job: tuple[ImageSet, int]) -> int:
    from tasktp_ros.datasets.rooms.scene import build_scene
    from tasktp_ros.datasets.rooms.viewpoints import draw_view

    wanted, flat = job
    load_mujoco()
    cv2.setNumThreads(1)
    seed = (SPLITS[wanted.split], wanted.seed, flat)
    finer = 2.0 if wanted.height <= 360 else 1.0
    scene = build_scene(seed, largest=(round(wanted.height * finer), round(wanted.width * finer)))
    random = np.random.default_rng((*seed, 1))
    images, annotations = [], []
    with Painter(scene, wanted.height, wanted.width, finer) as painter:
        for number in range(VIEWS_PER_FLAT):
            view, things = _worth_seeing(painter, random, draw_view)
            image_id = flat * VIEWS_PER_FLAT + number + 1
            name = f"{image_id:012d}.jpg"
            picture = expose(painter.colour(view), random)
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(80, 96))]
            encoded = cv2.imencode(".jpg", picture[..., ::-1], quality)[1]
            write_bytes(wanted.folder / wanted.split / name, encoded.tobytes())
            images.append({"id": image_id, "file_name": name, "height": wanted.height, "width": wanted.width,
                           "flat": flat, "room": scene.flat.rooms[view.room].kind,
                           "view": {key: value for key, value in asdict(view).items() if key != "room"}})  # fmt: skip
            annotations += [{"image_id": image_id, **each} for each in annotate(things, scene.placed, view)]
    _write_json(_part_path(wanted, flat), {"images": images, "annotations": annotations})
    return flat


def _worth_seeing(painter: Painter, random: np.random.Generator, draw: Any) -> tuple[View, NDArray[np.int32]]:
    """A view that shows things, and is not filled by one of them; now and then any view."""
    plain = random.random() < PLAIN_SHARE
    for attempt in range(8):
        view = draw(painter.scene, random)
        things = painter.things(view)
        shown = np.bincount(things[things >= 0].ravel(), minlength=1)
        if plain or attempt == 7 or (shown.sum() > 0.08 * things.size and shown.max() < 0.7 * things.size):
            break
    return view, things


def annotate(things: NDArray[np.int32], placed: list[Placed], view: View) -> list[dict[str, Any]]:
    """COCO annotations (without ids) of what a view shows: visible parts only.

    Args:
        things: (H, W) int32 from `Painter.things`.
        placed: the scene's things.
    """
    from pycocotools import mask as coco_mask

    found = []
    for index in np.unique(things[things >= 0]):
        thing = placed[index].thing
        if thing.category is None:
            continue
        mask = things == index
        area = int(mask.sum())
        if area < max(FEWEST_PIXELS, LEAST_VISIBLE * outline_area(placed[index], view, things.shape)):
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        left, top = int(columns[0]), int(rows[0])
        encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        found.append({
            "category_id": COCO_IDS[thing.category], "iscrowd": 0, "area": area,
            "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
            "segmentation": {"size": list(mask.shape), "counts": encoded["counts"].decode()},
        })  # fmt: skip
    return found


def outline_area(placed: Placed, view: View, size: tuple[int, ...]) -> float:
    """Area px^2, within the picture, of the box around a thing's projection; 0 when it reaches behind the camera."""
    height, width = size
    half = np.array(placed.thing.size) / 2
    corners = np.array(
        [(x, y, z) for x in (-half[0], half[0]) for y in (-half[1], half[1]) for z in (0.0, 2 * half[2])]
    )
    world = np.array([placed.to_world(tuple(corner)) for corner in corners])
    pose = view.camera_to_world()
    local = (world - pose[:3, 3]) @ pose[:3, :3]
    if (local[:, 2] < 0.05).any():
        return 0.0
    focal = height / 2 / np.tan(view.field / 2)
    x = np.clip(local[:, 0] / local[:, 2] * focal + width / 2, 0, width)
    y = np.clip(local[:, 1] / local[:, 2] * focal + height / 2, 0, height)
    return float(np.ptp(x) * np.ptp(y))


def _assemble(wanted: ImageSet) -> dict[str, Any]:
    images, annotations = [], []
    for flat in range(wanted.flats()):
        part = json.loads(_part_path(wanted, flat).read_text())
        last = wanted.count
        images += [image for image in part["images"] if image["id"] <= last]
        annotations += [each for each in part["annotations"] if each["image_id"] <= last]
    for number, each in enumerate(annotations, start=1):
        each["id"] = number
    categories = [{"id": COCO_IDS[name], "name": name} for name in ROOMS]
    # People, animals, vehicles and so on are known not to be there. Distractors (phones, fruit, ...) count as background, too.
    info = {"description": "rendered rooms", "seed": wanted.seed, "labelled": "all"}
    _write_json(
        wanted.annotations, {"info": info, "images": images, "annotations": annotations, "categories": categories}
    )
    names = {COCO_IDS[name]: name for name in ROOMS}
    counts = dict.fromkeys(ROOMS, 0)
    for each in annotations:
        counts[names[each["category_id"]]] += 1
    return {
        "images": len(images),
        "annotations": len(annotations),
        "per_category": counts,
        "file": str(wanted.annotations),
    }


def _part_path(wanted: ImageSet, flat: int) -> Path:
    return wanted.parts / f"{flat:07d}.json"


def _write_json(path: Path, content: Any) -> None:
    write_bytes(path, json.dumps(content, separators=(",", ":")).encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside the file, then take its place."""
    with replacing(path) as beside:
        beside.write_bytes(content)
