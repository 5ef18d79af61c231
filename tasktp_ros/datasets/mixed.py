# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Several data sets as one: the same vocabulary by name, each with a weight for how often training draws from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from tasktp_ros.datasets.coco import CocoDataset, Sample, find_split
from tasktp_ros.errors import DataError


@dataclass(frozen=True)
class Source:
    """A data set as it is asked for.

    Attributes:
        path: root of a data set in COCO's layout.
        weight: how often it is drawn from, relative to the others.
        labelled: what is labelled on every image, see `label_scope.chosen_scope`; None = what its file says.
        only: the only categories that are read from it, and labelled at most; None = all.
    """

    path: Path
    weight: float = 1.0
    labelled: str | tuple[str, ...] | None = None
    only: tuple[str, ...] | None = None


class MixedDataset(Dataset[Sample]):
    """Images of several data sets, one after the other.

    Args:
        parts: data sets with the same vocabulary.
        weights: of each, above 0.

    Attributes:
        vocabulary: names in the order of `Sample.labels`.
        shares: (S,) float64, of the draws that each part gets; they add up to 1.
        starts: (S + 1,) int64, index of each part's first image, and the number of all.
    """

    def __init__(self, parts: Sequence[CocoDataset], weights: Sequence[float]) -> None:
        if len({part.vocabulary for part in parts}) != 1:
            raise DataError("data sets that are mixed must have the same vocabulary")
        self.parts = tuple(parts)
        self.vocabulary = parts[0].vocabulary
        self.shares: NDArray[np.float64] = np.array(weights, np.float64) / sum(weights)
        self.starts: NDArray[np.int64] = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> Sample:
        """Read one image; raises DataError as its data set does."""
        part, place = self._place(index)
        return part[place]

    def labels_of(self, index: int) -> NDArray[np.int64]:
        """Categories (M,) on an image without reading the picture; crowds are left out."""
        part, place = self._place(index)
        return part.labels_of(place)

    def _place(self, index: int) -> tuple[CocoDataset, int]:
        index = range(len(self))[index]
        number = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[number], index - int(self.starts[number])


def open_source(source: Source, split: str, vocabulary: Sequence[str], allow_missing: bool) -> CocoDataset:
    """One data set; raises DataError as `CocoDataset.open`.

    allow_missing: its file may lack categories; so it may where the caller says what is labelled or read.
    """
    allow_missing = allow_missing or source.labelled is not None or source.only is not None
    return CocoDataset.open(source.path, split, vocabulary, allow_missing, source.labelled, source.only)


def open_sources(sources: Sequence[Source], split: str, vocabulary: Sequence[str]) -> CocoDataset | MixedDataset:
    """The data sets of a training; one alone is not mixed, and has all categories unless it is said what it has.

    Raises:
        DataError: as `CocoDataset.open`, and for a data set without images.
    """
    parts = [open_source(source, split, vocabulary, allow_missing=len(sources) > 1) for source in sources]
    for part in parts:
        if not len(part):
            raise DataError(f"{part.file} has no images to train on")
    return parts[0] if len(parts) == 1 else MixedDataset(parts, [source.weight for source in sources])


def has_split(source: Source, split: str) -> bool:
    """Whether a data set has a split."""
    try:
        find_split(source.path, split)
    except DataError:
        return False
    return True
