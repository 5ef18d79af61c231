# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The rendered rooms with tasks in words: every image with each sentence that something on it serves, in RIO's form."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from torch.utils.data import Dataset

from tasktp_ros.datasets.coco import CocoDataset, Sample
from tasktp_ros.datasets.goals import GoalSample
from tasktp_ros.errors import DataError

SENTENCES = Path(__file__).with_suffix(".yaml")
KINDS = ("common", "uncommon")


@dataclass(frozen=True)
class TaskSentence:
    """A task in words.

    Attributes:
        task_id: by which embeddings are kept, such as common_3.
        sentence: in words, without the name of a category.
        categories: what serves it.
    """

    task_id: str
    sentence: str
    categories: tuple[str, ...]


def room_sentences(kind: str, vocabulary: Collection[str]) -> tuple[TaskSentence, ...]:
    """The sentences of a kind, "common" or "uncommon"; categories that the vocabulary lacks are left out.

    Raises:
        DataError: another kind, or a vocabulary for which no sentence is left.
    """
    if kind not in KINDS:
        raise DataError(f"the rooms have sentences of the kinds {' and '.join(KINDS)}, got {kind!r}")
    rows = yaml.safe_load(SENTENCES.read_text(encoding="utf-8"))[kind]
    known = [(sentence, tuple(name for name in names if name in vocabulary)) for sentence, names in rows]
    found = tuple(
        TaskSentence(f"{kind}_{number}", sentence, names) for number, (sentence, names) in enumerate(known, 1) if names
    )
    if not found:
        raise DataError("no sentence of the rooms asks for a category of this vocabulary")
    return found


class RoomSentences(Dataset[GoalSample]):
    """One entry per image and sentence that something on the image serves, images in their order.

    Args:
        dataset: in COCO's layout, such as the rooms.
        kind: "common" or "uncommon".
        indices: the images to take; None = all.

    Raises:
        DataError: see `room_sentences`.
    """

    def __init__(self, dataset: CocoDataset, kind: str, indices: Collection[int] | None = None) -> None:
        self.dataset, self.sentences = dataset, room_sentences(kind, dataset.vocabulary)
        taken = range(len(dataset)) if indices is None else indices
        self.entries = [
            (int(index), task) for index in taken for task in self.sentences if self._serves(int(index), task)
        ]

        self._last: tuple[int, Sample] | None = None  # an image's sentences follow each other

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> GoalSample:
        """Read one entry; raises DataError for a picture that cannot be read."""
        number, task = self.entries[index]
        if self._last is None or self._last[0] != number:
            self._last = number, self.dataset[number]
        sample = self._last[1]
        wanted = np.isin(sample.labels, [self.dataset.vocabulary.index(name) for name in task.categories])
        mask = np.zeros(sample.image.shape[:2], np.bool_)
        for each in sample.masks[wanted]:
            mask |= each
        return GoalSample(self.dataset.image_ids[number], task.task_id, task.sentence, sample.image, mask)

    @property
    def tasks(self) -> dict[str, str]:
        """Task id of each sentence, as `CachedGuidance` wants it."""
        return {task.sentence: task.task_id for task in self.sentences}

    def _serves(self, index: int, task: TaskSentence) -> bool:
        labels = self.dataset.labels_of(index)
        return any(self.dataset.vocabulary[label] in task.categories for label in labels)
