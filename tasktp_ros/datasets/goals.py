# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""One image, one goal in words, one mask: what task-oriented segmentation learns from and is measured on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.coco_masks import decode_outline
from tasktp_ros.datasets.pictures import decode_picture, read_bytes
from tasktp_ros.errors import DataError, PictureError
from tasktp_ros.files import readable


@dataclass(frozen=True)
class GoalSample:
    """One image with one goal.

    Attributes:
        image_id: COCO's number of the image.
        task_id: the data set's number or name of the goal, by which embeddings are kept.
        sentence: the goal in words.
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, the union of everything that serves the goal; may be empty.
    """

    image_id: int
    task_id: str
    sentence: str
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def union_of(outlines: list[Any], height: int, width: int) -> NDArray[np.bool_]:
    """(H, W) bool of several outlines, which may overlap; raises ValueError for one that cannot be decoded."""
    mask = np.zeros((height, width), np.bool_)
    for outline in outlines:
        mask |= decode_outline(outline, height, width)
    return mask


def picture_2014(folder: Path, split: str, image_id: int, height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of an image of COCO 2014, or of COCO 2017, whose images have the same numbers.

    Raises:
        DataError: neither is there, or the picture is of another size.
    """
    own = f"{split}2014/COCO_{split}2014_{image_id:012d}.jpg"
    others = [f"{part}{image_id:012d}.jpg" for part in ("", "train2017/", "val2017/")]
    for name in (own, *others):
        if (path := folder / name).is_file():
            break
    else:
        raise DataError(f"image {image_id} is not in {readable(folder)}: neither {own} nor {others[0]}")
    try:
        image = decode_picture(read_bytes(path), str(path))
    except PictureError as error:
        raise DataError(f"image {image_id}: {error}") from error
    if image.shape[:2] != (height, width):
        raise DataError(f"image {image_id}: {readable(path)} has {image.shape[0]} x {image.shape[1]} px, the annotation file "
                        f"says {height} x {width}")  # fmt: skip
    return image


def read_json(path: Path) -> Any:
    """What a JSON file holds; raises DataError where it is missing or broken, or only a pointer to the real file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"annotation file {readable(path)} cannot be read: {error.strerror}") from error
    if data.startswith(b"version https://git-lfs"):
        raise DataError(
            f"annotation file {readable(path)} is a pointer of git-lfs: fetch the file itself (git lfs pull)"
        )
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"annotation file {readable(path)} is not readable JSON: {error}") from error
