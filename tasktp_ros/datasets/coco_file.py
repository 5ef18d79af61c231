# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Reads an annotation file in COCO's layout and checks everything about it that does not need the pictures."""

import copy
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasktp_ros.errors import DataError

WHOLE, TEXT = "a whole number", "a text"
FIELDS = {
    "images": {"id": WHOLE, "file_name": TEXT, "height": WHOLE, "width": WHOLE},
    "categories": {"id": WHOLE, "name": TEXT},
    "annotations": {"image_id": WHOLE, "category_id": WHOLE},
}
DIFFERENT = (("images", "id"), ("categories", "id"), ("categories", "name"))


@dataclass(frozen=True)
class Annotations(os.PathLike[str]):
    """What an annotation file would hold that was put together in memory; as a path, the file it comes from.

    Attributes:
        path: of that file, for complaints.
        content: as in a file.
        note: what whoever uses it should be told.
    """

    path: Path
    content: dict[str, Any]
    note: str = ""

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


def read_annotations(path: Path | Annotations) -> dict[str, Any]:
    """The lists "images", "categories" and "annotations" of a file; their fields are there and of the right type. Also the
    object "info" and the list "licenses", empty where there is none.

    Raises:
        DataError: a file that is missing, no JSON, or not COCO's layout; names the entry.
    """
    try:
        content = copy.deepcopy(path.content) if isinstance(path, Annotations) else json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"annotation file {path} does not exist") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"annotation file {path} is not readable JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"annotation file {path} must hold an object with images, annotations and categories")
    found: dict[str, Any] = {key: _entries(path, content, key) for key in FIELDS}
    found["info"] = content["info"] if isinstance(content.get("info"), dict) else {}
    licences = content.get("licenses")
    found["licenses"] = [row for row in licences if isinstance(row, dict)] if isinstance(licences, list) else []
    for key, field in DIFFERENT:
        seen: set[Any] = set()
        for entry in found[key]:
            if entry[field] in seen:
                raise DataError(f"annotation file {path} has {field} {entry[field]!r} twice in {key!r}")
            seen.add(entry[field])
    for entry in found["images"]:
        if entry["height"] < 1 or entry["width"] < 1:
            raise DataError(
                f"annotation file {path}: image {entry['id']} has {entry['height']} x {entry['width']} px, expected at least 1 x 1"
            )
    return found


def corners(annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    """xyxy px of an annotation's box, wherever it lies; raises DataError where there is none."""
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{where(annotation)} has no bbox of four numbers") from None
    found = (x, y, x + width, y + height)
    if not all(map(math.isfinite, found)):
        raise DataError(f"{where(annotation)} has no bbox of four finite numbers")
    return found


def is_crowd(annotation: dict[str, Any]) -> bool:
    """Whether an annotation is a region of many objects; raises DataError where that is neither 0 nor 1."""
    value = annotation.get("iscrowd", 0)
    if not isinstance(value, int) or value not in (0, 1):
        raise DataError(f"{where(annotation)} has iscrowd {value!r}, expected 0 or 1")
    return bool(value)


def where(annotation: dict[str, Any]) -> str:
    """The annotation's and its image's number, for complaints."""
    return f"annotation {annotation.get('id', '?')} of image {annotation['image_id']}"


def _entries(path: Path | Annotations, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = content.get(key)
    if not isinstance(entries, list):
        raise DataError(f"annotation file {path} has no list {key!r}")
    for entry in entries:
        if not isinstance(entry, dict):
            raise DataError(f"annotation file {path}: {key!r} holds {str(entry)[:40]!r}, expected objects")
        for field, kind in FIELDS[key].items():
            if field not in entry:
                raise DataError(f"annotation file {path}: {_name(entry)} in {key!r} lacks {field!r}")
            value = entry[field]
            if kind is WHOLE and isinstance(value, float) and value.is_integer():
                entry[field] = int(value)
            elif not isinstance(value, int if kind is WHOLE else str):
                raise DataError(
                    f"annotation file {path}: {_name(entry)} in {key!r} has {field} {str(value)[:40]!r}, expected {kind}"
                )
    return entries


def _name(entry: dict[str, Any]) -> str:
    image = f" of image {str(entry['image_id'])[:40]}" if "image_id" in entry else ""
    return f"entry {str(entry.get('id', '?'))[:40]}{image}"
