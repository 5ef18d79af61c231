# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Mean intersection over union of goals' masks: every image with every goal that something on it serves, each pair counts once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.datasets.room_sentences import RoomSentences
from tasktp_ros.evaluation.detect_set import evenly
from tasktp_ros.runtime.task_segmenter import TaskSegmenter


@dataclass(frozen=True)
class ImageGoals:
    """One image and its goals.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        goals: sets of category names, or sentences.
        masks: (G, H, W) bool, what serves each goal.
    """

    image: NDArray[np.uint8]
    goals: tuple[tuple[str, ...] | str, ...]
    masks: NDArray[np.bool_]


class CategoryGoals:
    """The images of a data set, evenly chosen, each with one goal per category on it; read anew at every pass."""

    def __init__(self, dataset: CocoDataset, images: int) -> None:
        self.dataset, self.indices = dataset, evenly(len(dataset), images)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[ImageGoals]:
        for index in self.indices:
            sample = self.dataset[int(index)]
            labels = np.unique(sample.labels)
            masks = [sample.masks[sample.labels == label].any(0) for label in labels]
            names = tuple((self.dataset.vocabulary[label],) for label in labels)
            yield ImageGoals(sample.image, names, np.array(masks, np.bool_).reshape(-1, *sample.image.shape[:2]))


def category_goals(dataset: CocoDataset, images: int) -> CategoryGoals:
    """At most `images` images of a data set with one goal per category on each."""
    return CategoryGoals(dataset, images)


class SentenceGoals:
    """The same images, each with every sentence of a kind that something on it serves; images without one have no goals."""

    def __init__(self, dataset: CocoDataset, images: int, kind: str) -> None:
        self.dataset, self.indices = dataset, evenly(len(dataset), images)
        self.samples = RoomSentences(dataset, kind, self.indices.tolist())

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[ImageGoals]:
        for _, entries in groupby(range(len(self.samples)), lambda entry: self.samples.entries[entry][0]):
            found = [self.samples[entry] for entry in entries]
            masks = np.stack([sample.mask for sample in found])
            yield ImageGoals(found[0].image, tuple(sample.sentence for sample in found), masks)


def iou(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks (H, W); 1 where both are empty."""
    union = int((found | wanted).sum())
    return int((found & wanted).sum()) / union if union else 1.0


def all_ious(segmenter: TaskSegmenter, images: Iterable[ImageGoals]) -> list[float]:
    """IoU of every pair of image and goal, in their order; each image's goals one after the other."""
    scores = []
    for each in images:
        for goal, mask in zip(each.goals, each.masks, strict=True):
            segmenter.set_goal(goal)
            scores.append(iou(segmenter.segment(each.image).mask, mask))
    return scores


def mean_iou(segmenter: TaskSegmenter, images: Iterable[ImageGoals]) -> float:
    """mIoU over all pairs of image and goal, in percent; 0 where there is none."""
    return percent(all_ious(segmenter, images))


def percent(scores: Sequence[float]) -> float:
    """Mean of scores from 0 to 1 in percent; 0 of none."""
    return 100.0 * float(np.mean(scores)) if scores else 0.0
