# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""RIO: intentions in words on COCO 2014's images, from its files `RIO_*_all_thing.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from tasktp_ros.datasets.coco_masks import check_outline
from tasktp_ros.datasets.goals import GoalSample, picture_2014, read_json, union_of
from tasktp_ros.errors import DataError


class RioDataset(Dataset[GoalSample]):
    """One entry per image and intention.

    Args:
        images: folder that holds train2014 and val2014 (or the same images of 2017).
        annotations: a JSON list of entries.
        split: "train" or "val", where entries' images are; RIO tests on val2014.

    Raises:
        DataError: a file that is not of this form; names the entry.
    """

    def __init__(self, images: str | Path, annotations: str | Path, split: str = "val") -> None:
        if split not in ("train", "val"):
            raise DataError(f"RIO's images are in train or val, got {split!r}")
        self.folder, self.file, self.split = Path(images), Path(annotations), split
        content = read_json(self.file)
        if not isinstance(content, list):
            raise DataError(f"annotation file {self.file} must hold a list of entries")
        self.entries = [self._checked(number, entry) for number, entry in enumerate(content)]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> GoalSample:
        """Read one entry; raises DataError for a picture that is missing or of another size."""
        image_id, height, width, task, sentence, outlines = self.entries[index]
        image = picture_2014(self.folder, self.split, image_id, height, width)
        return GoalSample(image_id, task, sentence, image, union_of(outlines, height, width))

    @property
    def tasks(self) -> dict[str, str]:
        """Task id of each sentence, as `CachedGuidance` wants it."""
        return {sentence: task for _, _, _, task, sentence, _ in self.entries}

    def _checked(self, number: int, entry: Any) -> tuple[int, int, int, str, str, list[Any]]:
        where = f"annotation file {self.file}: entry {number}"
        if not isinstance(entry, dict):
            raise DataError(f"{where} must be an object, got {str(entry)[:40]!r}")
        sides = [entry.get(key) for key in ("image_id", "height", "width")]
        if not all(type(side) is int and side >= 1 for side in sides):
            raise DataError(f"{where} needs image_id, height and width as whole numbers from 1, got {sides}")
        image_id, height, width = (int(side) for side in sides if side is not None)
        outlines = entry.get("mask_list")
        if not isinstance(outlines, list):
            raise DataError(f"{where} has no list mask_list")
        try:
            for outline in outlines:
                check_outline(outline, height, width)
        except ValueError as error:
            raise DataError(f"{where} has a mask that cannot be decoded: {error}") from error
        task = entry.get("task_id")
        if type(task) not in (int, str) or not str(task).strip():
            raise DataError(f"{where} has task_id {task!r}, expected a number or a name")
        return image_id, height, width, str(task), _sentence(entry.get("expressions"), where), outlines


def _sentence(value: Any, where: str) -> str:
    """The expression, which some files hold in a list of one."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where} has expressions {str(value)[:40]!r}, expected a sentence or a list of one")
    return " ".join(value.split())
