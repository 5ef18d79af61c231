# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Reads labels as YOLO text files, as labelling tools export them, into COCO's layout in memory. Nothing is written.

What is read: a `data.yaml` with names and the places of its parts, or a `classes.txt` (also CVAT's `obj.names`) with pictures
anywhere below it. A picture's labels lie beside it or where its last folder `images` is called `labels`.
"""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tasktp_ros.datasets.coco_file import Annotations
from tasktp_ros.datasets.pictures import WRITTEN_SUFFIXES, decode_picture, orientation, read_bytes, read_header
from tasktp_ros.errors import DataError, PictureError

PARTS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
CLASS_LISTS = ("classes.txt", "obj.names")
SLACK = 0.005
"""Tools round, so an edge may lie this far outside the picture."""


def yolo_parts(root: Path) -> dict[str, Annotations]:
    """The parts "train", "val" and "test" of a data set that has them, only "train" where it is not divided, {} if it is none.

    Args:
        root: its folder or its `data.yaml`.

    Raises:
        DataError: a file that cannot be read as what it should be; names file and line.
    """
    file = _described_by(root)
    if file is None:
        return {}
    if file.name in CLASS_LISTS:
        names = dict(enumerate(line.strip() for line in _text(file).splitlines() if line.strip()))
        pictures = _pictures_below(file.parent)
        divided = {part: [p for p in pictures if set(p.relative_to(file.parent).parts[:-1]) & set(words)]
                   for part, words in PARTS.items()}  # fmt: skip
        places = {part: found for part, found in divided.items() if found} if divided["train"] else {"train": pictures}
    else:
        names, places = _described(file)
    if not names:
        raise DataError(f"{file} names no class")
    return {part: _read(file, names, pictures) for part, pictures in places.items()}


def read_labels(file: Path, names: dict[int, str], height: int, width: int) -> list[dict[str, Any]]:
    """The objects of one picture as annotations of COCO, without image and number; an empty file has none.

    Args:
        names: by class number.
        height, width: of the picture, px.

    Raises:
        DataError: a line that is none of "class x y width height" and "class x1 y1 x2 y2 x3 y3 ...", shares of the picture's
            width and height; names file and line.
    """
    found = []
    for number, line in enumerate(_text(file).splitlines(), 1):
        if words := line.split():
            found.append(_object(words, names, height, width, f"{file}, line {number}"))
    return found


def _object(words: list[str], names: dict[int, str], height: int, width: int, place: str) -> dict[str, Any]:
    try:
        label, *values = map(float, words)
    except ValueError:
        raise DataError(f"{place} holds {' '.join(words)[:60]!r}, expected numbers only") from None
    if label not in names:
        raise DataError(f"{place} is of class {words[0]}, but there are {len(names)} names, of classes "
                        f"{min(names)} to {max(names)}")  # fmt: skip
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise DataError(f"{place} has {len(words)} values, expected a class and x y width height, or a class and the x y of "
                        "three points or more")  # fmt: skip
    for value in values:
        if not (math.isfinite(value) and -SLACK <= value <= 1 + SLACK):
            raise DataError(
                f"{place} has the value {value:g}, expected shares of the picture's width and height from 0 to 1"
            )
    if len(values) == 4:
        x, y, w, h = values
        across, down, outline = [x - w / 2, x + w / 2], [y - h / 2, y + h / 2], []
    else:
        across, down = values[0::2], values[1::2]
        outline = [[value * (height if place % 2 else width) for place, value in enumerate(map(_inside, values))]]
    left, right = (width * _inside(end(across)) for end in (min, max))
    top, bottom = (height * _inside(end(down)) for end in (min, max))
    box = [left, top, right - left, bottom - top]
    return {"category_id": int(label) + 1, "bbox": box, "segmentation": outline, "iscrowd": 0}


def _inside(share: float) -> float:
    return min(1.0, max(0.0, share))


def _read(file: Path, names: dict[int, str], pictures: list[Path]) -> Annotations:
    """All pictures of a part with their objects."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    used: set[Path] = set()
    for number, picture in enumerate(sorted(set(pictures)), 1):
        height, width = shown_size(picture)
        images.append(
            {"id": number, "file_name": os.path.abspath(picture), "height": height, "width": width, "upright": True}
        )
        label = _label_of(picture, file.parent)
        if label is None:
            continue
        used.add(label)
        rows = read_labels(label, names, height, width)
        annotations += [{"id": len(annotations) + row + 1, "image_id": number, **each} for row, each in enumerate(rows)]
    if images and not used:
        raise DataError(f"none of {len(images)} pictures below {file.parent} has a label file, such as "
                        f"{_places_of_label(pictures[0], file.parent)[0]}")  # fmt: skip
    _check_all_have_pictures({label.parent for label in used}, used, file.parent)
    categories = [{"id": number + 1, "name": name} for number, name in names.items()]
    return Annotations(file, {"images": images, "annotations": annotations, "categories": categories})


def shown_size(picture: Path) -> tuple[int, int]:
    """Height and width px of a picture as labelling tools show it, turned as it asks for; DataError if it cannot be read."""
    try:
        data = read_bytes(picture)
        header = read_header(data, str(picture))
        height, width = header.height, header.width
        if not height:
            height, width = decode_picture(data, str(picture)).shape[:2]
    except PictureError as error:
        raise DataError(str(error)) from error
    return (width, height) if header.kind == "jpeg" and orientation(data) >= 5 else (height, width)


def _places_of_label(picture: Path, root: Path) -> list[Path]:
    label = picture.with_suffix(".txt")
    return [*([] if "images" not in picture.parts else [_exchanged(label, "images", "labels")]), label,
            root / "labels" / label.name]  # fmt: skip


def _label_of(picture: Path, root: Path) -> Path | None:
    return next((place for place in _places_of_label(picture, root) if place.is_file()), None)


def _exchanged(path: Path, name: str, other: str) -> Path:
    """The path with its last folder `name` called `other`."""
    parts = list(path.parts)
    parts[len(parts) - 1 - parts[::-1].index(name)] = other
    return Path(*parts)


def _check_all_have_pictures(folders: Iterable[Path], used: set[Path], root: Path) -> None:
    """A label file that no picture has is a mistake that would go unseen: a picture is missing, or has another name."""
    for folder in sorted(folders):
        beside = [folder, root, root / "images"]
        if "labels" in folder.parts:
            beside.insert(0, _exchanged(folder, "labels", "images"))
        stems = {path.stem for place in beside if place.is_dir() for path in place.iterdir() if _is_picture(path)}
        for label in sorted(folder.glob("*.txt")):
            if label not in used and label.name not in CLASS_LISTS and label.stem not in stems:
                raise DataError(f"{label} has no picture: {label.stem}.jpg, or another ending, is not in {beside[0]}; put it back "
                                "or remove the label file")  # fmt: skip


def _described_by(root: Path) -> Path | None:
    """The file that names the classes."""
    if root.is_file():
        return root if root.suffix in (".yaml", ".yml") else None
    described = [
        path for path in sorted(root.glob("*.y*ml")) if isinstance(_yaml(path), dict) and "names" in _yaml(path)
    ]
    if len(described) > 1:
        raise DataError(f"{described[0]} and {described[1].name} both name classes: give the one that counts as --data")
    return next(iter([*described, *(root / name for name in CLASS_LISTS if (root / name).is_file())]), None)


def _described(file: Path) -> tuple[dict[int, str], dict[str, list[Path]]]:
    """Class names by number, and the pictures of each part, from a `data.yaml`."""
    content = _yaml(file)
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(
        isinstance(key, int) and isinstance(name, str) for key, name in names.items()
    ):
        raise DataError(f"{file} has no names: expected a list of class names, or names by number")
    base = file.parent / str(content.get("path") or "")
    bases = [base, file.parent] if base.is_dir() else [file.parent]
    found = {}
    for part, words in PARTS.items():
        entry = next((content[word] for word in words if content.get(word)), None)
        if entry is not None and (part != "val" or entry != content.get("train")):
            entries = entry if isinstance(entry, list) else [entry]
            found[part] = [picture for each in entries for picture in _listed(file, bases, str(each))]
    if "train" not in found:
        raise DataError(f"{file} does not say where its pictures to train on are: expected train: and a folder")
    return names, found


def _listed(file: Path, bases: list[Path], entry: str) -> list[Path]:
    """The pictures of a folder, or of a text file that lists them."""
    steps = entry.replace("\\", "/")
    while steps.startswith("../"):  # as Roboflow writes it, whose folders lie beside the file all the same
        steps = steps.removeprefix("../")
    place = next((base / name for name in (entry, steps) for base in bases if (base / name).exists()), None)
    if place is None:
        raise DataError(f"{file} says that pictures are in {entry!r}, which is not there")
    if place.is_dir():
        return _pictures_below(place)
    lines = (line.strip() for line in _text(place).splitlines())
    pictures = [next((b / line for b in bases if (b / line).is_file()), bases[0] / line) for line in lines if line]
    return pictures


def _pictures_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_picture(path))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in WRITTEN_SUFFIXES and not path.name.startswith(".")


def _yaml(file: Path) -> Any:
    try:
        return yaml.safe_load(_text(file))
    except yaml.YAMLError as error:
        raise DataError(f"{file} is not readable YAML: {' '.join(str(error).split())[:120]}") from error


def _text(file: Path) -> str:
    """A text file with any line ends, and with or without a byte order mark."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not a readable text file: {error}") from error
