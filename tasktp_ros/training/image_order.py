# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which image every draw of a training sees: an endless row of shuffled epochs, from one data set or several by weight.

An image follows from seed and position alone, so nothing has to be saved for a training to go on.
"""

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.datasets.mixed import MixedDataset

BLOCK = 1000
"""Positions within which every data set has exactly its share, rounded to whole draws."""


class ImageOrder:
    """Index of the image at every position.

    Args:
        dataset: one data set or a mixed one.
        seed: of everything.
        repeat_below: share of the images under which a category counts as rare, and its images are drawn more often
            (see :func:`repeat_factors`); 0 = all images of a data set equally often.
    """

    def __init__(self, dataset: CocoDataset | MixedDataset, seed: int, repeat_below: float = 0.0) -> None:
        mixed = dataset if isinstance(dataset, MixedDataset) else MixedDataset([dataset], [1.0])
        self.seed = seed
        self._starts, self._counts = mixed.starts, draws_per_block(mixed.shares)
        repeats = repeat_factors(mixed, repeat_below) if repeat_below else [None] * len(mixed.parts)
        self._epochs = [
            _Epochs(len(part), seed, number, factors)
            for number, (part, factors) in enumerate(zip(mixed.parts, repeats, strict=True))
        ]
        self._block = -1
        self._turns: NDArray[np.int64] = np.zeros(0, np.int64)
        self._ranks: NDArray[np.int64] = np.zeros(0, np.int64)

    def __call__(self, position: int) -> int:
        part, place = self._turn(position) if len(self._counts) > 1 else (0, position)
        return int(self._starts[part]) + self._epochs[part](place)

    def _turn(self, position: int) -> tuple[int, int]:
        """The data set whose turn it is, and how many draws it had before."""
        block, place = divmod(position, BLOCK)
        if block != self._block:
            turns = np.repeat(np.arange(len(self._counts)), self._counts)
            self._block, self._turns = block, np.random.default_rng((self.seed, block, 3)).permutation(turns)
            self._ranks = np.zeros(BLOCK, np.int64)
            for part, count in enumerate(self._counts):
                self._ranks[self._turns == part] = np.arange(count)
        part = int(self._turns[place])
        return part, block * int(self._counts[part]) + int(self._ranks[place])


class _Epochs:
    """Endless shuffled epochs of one data set; with repeat factors (N,) an epoch has each image about so many times."""

    def __init__(self, images: int, seed: int, number: int, factors: NDArray[np.float64] | None) -> None:
        self.images, self.seed, self.number = images, seed, number
        self._ends = None if factors is None else np.cumsum(factors)
        self._length = images if self._ends is None else max(1, round(float(self._ends[-1])))
        self._epoch = -1
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)

    def __call__(self, position: int) -> int:
        epoch, place = divmod(position, self._length)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._drawn(epoch)
        return int(self._order[place])

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        random = np.random.default_rng((self.seed, epoch, 100 + self.number) if self.number else (self.seed, epoch))
        if self._ends is None:
            return random.permutation(self.images)
        # Evenly spaced points over the images laid end to end: each has the whole numbers below or above its factor.
        points = (np.arange(self._length) + random.random()) * (self._ends[-1] / self._length)
        return random.permutation(np.searchsorted(self._ends, points, side="right").clip(max=self.images - 1))


def draws_per_block(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole draws (S,) of each data set among `BLOCK`, at least one, by largest remainder."""
    counts = np.maximum(1, np.floor(shares * BLOCK)).astype(np.int64)
    while (left := BLOCK - int(counts.sum())) > 0:
        counts[int((shares * BLOCK - counts).argmax())] += 1
    counts[int(counts.argmax())] += min(left, 0)  # what the smallest were given
    return counts


def repeat_factors(dataset: MixedDataset, below: float) -> list[NDArray[np.float64]]:
    """How often each image of each part is drawn per epoch, as for LVIS: max over its categories of max(1, sqrt(below / f)),
    where f is the share of the drawn images that show the category.
    """
    shown = []
    for part in dataset.parts:
        present = np.zeros((len(part), len(dataset.vocabulary)), np.bool_)
        for index in range(len(part)):
            present[index, part.labels_of(index)] = True
        shown.append(present)
    frequency = sum(share * present.mean(0) for share, present in zip(dataset.shares, shown, strict=True))
    factors = np.maximum(1.0, np.sqrt(below / np.maximum(frequency, 1e-9)))
    return [np.where(present, factors, 1.0).max(1, initial=1.0) for present in shown]
