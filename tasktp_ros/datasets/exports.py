# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Finds the parts of a data set as labelling tools export it: COCO's JSON beside pictures under any name, or YOLO text files.

Where there is no part to measure on, every eighth picture by name is held back for that; it is always the same ones.
"""

import json
import os
from pathlib import Path
from typing import Any

from tasktp_ros.datasets.coco_file import Annotations, read_annotations
from tasktp_ros.datasets.yolo import PARTS, yolo_parts
from tasktp_ros.errors import DataError

EVERY = 8
SHOWN = 5


def find_export(root: str | Path, split: str) -> Annotations | None:
    """A split's images and annotations with absolute file names; None where `root` holds no export, or none with this split.

    Args:
        root: a folder, an annotation file or a `data.yaml`.
        split: "train", "val" or "test".

    Raises:
        DataError: an export that cannot be read, or of which a picture is missing.
    """
    root = Path(root)
    parts = coco_parts(root) or yolo_parts(root)
    if split in parts and (split == "test" or "val" in parts):
        return parts[split]
    if "train" in parts and "val" not in parts and split in ("train", "val"):
        return held_back(parts["train"], split == "val")
    return None


def held_back(whole: Annotations, wanted: bool) -> Annotations:
    """Every eighth image by file name, or the others; at least one, so that there is always something to measure on."""
    images = sorted(whole.content["images"], key=lambda row: row["file_name"])
    chosen = {row["id"] for row in images[EVERY - 1 :: EVERY] or images[-1:]}
    names = [os.path.basename(row["file_name"]) for row in images if row["id"] in chosen]
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    note = f"{whole.path}: {len(names)} of {len(images)} images are held back to measure on, every {EVERY}th by name: {shown}"
    content = whole.content | {
        "images": [row for row in images if (row["id"] in chosen) == wanted],
        "annotations": [row for row in whole.content["annotations"] if (row["image_id"] in chosen) == wanted],
    }
    return Annotations(whole.path, content, note)


def coco_parts(root: Path) -> dict[str, Annotations]:
    """The parts of an export in COCO's JSON, only "train" where it is not divided; {} where there is none."""
    if root.is_file():
        return {"train": _read(root, root.parent)} if root.suffix == ".json" else {}
    found: dict[str, Path] = {}
    for part, words in PARTS.items():
        for word in words:
            within = _annotation_files(root / word)
            named = [path for folder in (root, root / "annotations") for path in _annotation_files(folder)
                     if path.stem.lower().split(".")[0].endswith(word)]  # fmt: skip
            for path in _one_of(root, within or named):
                found.setdefault(part, path)
    if not found:
        for path in _one_of(root, [*_annotation_files(root), *_annotation_files(root / "annotations")]):
            found["train"] = path
    return {part: _read(path, root) for part, path in found.items()}


def _one_of(root: Path, files: list[Path]) -> list[Path]:
    if len(files) > 1:
        raise DataError(
            f"{root} has several annotation files, {files[0].name} and {files[1].name}: give the one that counts as --data"
        )
    return files


def _annotation_files(folder: Path) -> list[Path]:
    """Files that hold an object with images and annotations; other JSON files are none of ours."""
    return [path for path in sorted(folder.glob("*.json")) if {"images", "annotations"} <= _json(path).keys()]


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _read(path: Path, root: Path) -> Annotations:
    """One file, its pictures found where the tools put them."""
    content = _json(path)
    if isinstance(content.get("categories"), list):
        content["categories"] = _without_empty_twins(content)
    content = read_annotations(Annotations(path, content) if content else path)
    folders = [path.parent, path.parent / "images", root, root / "images", root / "images" / "default"]
    folders += [root / "images" / word for words in PARTS.values() for word in words if word in path.stem.lower()]
    for row in content["images"]:
        name = row["file_name"].replace("\\", "/")
        tried = [folder / part for part in (name, os.path.basename(name)) for folder in folders]
        picture = next((place for place in tried if place.is_file()), None)
        if picture is None:
            raise DataError(f"{path}: the picture of image {row['id']}, {row['file_name'][:80]!r}, is neither in {folders[0]} nor in "
                            f"{folders[1]}")  # fmt: skip
        row["file_name"] = os.path.abspath(picture)
    return Annotations(path, content)


def _without_empty_twins(content: dict[str, Any]) -> list[Any]:
    """Roboflow names the project as a category without objects, which may be called as one that has some."""
    used = {row.get("category_id") for row in content["annotations"] if isinstance(row, dict)}
    rows = [row for row in content["categories"] if isinstance(row, dict)]
    names = {row.get("name") for row in rows if row.get("id") in used}
    return [row for row in rows if row.get("id") in used or row.get("name") not in names]
