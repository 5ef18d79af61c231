# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""COCO-Tasks: for 14 tasks, which objects of an image people would use; files `task_<number>_<train|test>.json`."""

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from tasktp_ros.datasets.coco_file import Annotations, is_crowd, read_annotations, where
from tasktp_ros.datasets.coco_masks import check_outline
from tasktp_ros.datasets.goals import GoalSample, picture_2014, read_json, union_of
from tasktp_ros.errors import DataError

TASKS = (
    "step on something",
    "sit comfortably",
    "place flowers",
    "get potatoes out of fire",
    "water plant",
    "get lemon out of tea",
    "dig hole",
    "open bottle of beer",
    "open parcel",
    "serve wine",
    "pour sugar",
    "smear butter",
    "extinguish fire",
    "pound carpet",
)
"""Task n is `TASKS[n - 1]`."""
PREFERRED = 1
"""A file's `category_id` of an object people would use in this image; the object's own is `COCO_category_id`."""


class CocoTasksDataset(Dataset[GoalSample]):
    """The images of one task; also those on which nothing serves it, whose mask is empty.

    Args:
        images: folder that holds train2014 and val2014 (or the same images of 2017).
        annotations: folder of the task files.
        task: 1 to 14.
        split: "train" (images of train2014) or "test" (of val2014).

    Raises:
        DataError: no such task, or a file that is not COCO's layout with preferences.
    """

    def __init__(self, images: str | Path, annotations: str | Path, task: int, split: str = "train") -> None:
        if not 1 <= task <= len(TASKS):
            raise DataError(f"COCO-Tasks has tasks 1 to {len(TASKS)}, got {task}")
        if split not in ("train", "test"):
            raise DataError(f"COCO-Tasks has the splits train and test, got {split!r}")
        self.folder, self.task = Path(images), task
        self.split = "train" if split == "train" else "val"
        self.file = Path(annotations) / f"task_{task}_{split}.json"
        content = read_json(self.file)
        if isinstance(content, dict):
            content.setdefault("categories", [])  # nothing is read from there
        found = read_annotations(Annotations(self.file, content))
        self.sentence = f"you can use the thing to {TASKS[task - 1]}"
        self.images = {row["id"]: (row["height"], row["width"]) for row in found["images"]}
        self.image_ids = list(self.images)
        self._preferred: dict[int, list] = {number: [] for number in self.image_ids}
        for row in found["annotations"]:
            if row["category_id"] not in (0, PREFERRED):
                raise DataError(f"annotation file {self.file}: {where(row)} has category_id {row['category_id']}, expected 1 "
                                "(preferred) or 0: is it a file of COCO's own?")  # fmt: skip
            if row["image_id"] not in self.images:
                raise DataError(f"annotation file {self.file}: {where(row)} is of an image that is not listed")
            if row["category_id"] == PREFERRED and not is_crowd(row):
                self._preferred[row["image_id"]].append(self._outline(row))

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: int) -> GoalSample:
        """Read one image; raises DataError for a picture that is missing or of another size."""
        image_id = self.image_ids[index]
        height, width = self.images[image_id]
        image = picture_2014(self.folder, self.split, image_id, height, width)
        mask = union_of(self._preferred[image_id], height, width)
        return GoalSample(image_id, str(self.task), self.sentence, image, mask)

    def preferred_images(self) -> list[int]:
        """Indices of the images on which something serves the task."""
        return [int(i) for i in np.flatnonzero([bool(self._preferred[number]) for number in self.image_ids])]

    def _outline(self, row: dict) -> object:
        outline = row.get("segmentation")
        try:
            check_outline(outline, *self.images[row["image_id"]])
        except ValueError as error:
            raise DataError(f"annotation file {self.file}: {where(row)} cannot be decoded: {error}") from error
        return outline
