# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""From the numbers in ScanNet's label pictures to the categories of a detector's vocabulary."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import DataError
from tasktp_ros.tasks.vocabulary import COCO

TABLE = "scannetv2-labels.combined.tsv"


@dataclass(frozen=True)
class LabelMap:
    """Which label numbers stand for which category.

    Attributes:
        categories: label number -> category of the vocabulary.
        grades: label number -> "A" (the same meaning) or "B" (usable, with the note that `maps/*.csv` has); the worse one
            where rows with one number differ.
    """

    categories: dict[int, str]
    grades: dict[int, str]

    def of_grade(self, grades: str) -> "LabelMap":
        """Only the numbers whose grade is one of `grades`, such as "A" or "AB"."""
        kept = {number: grade for number, grade in self.grades.items() if grade in grades}
        return LabelMap({number: self.categories[number] for number in kept}, kept)


@lru_cache(maxsize=8)
def graded_categories(vocabulary: str) -> dict[str, tuple[str, str]]:
    """ScanNet's raw category -> category and grade, for the vocabulary "coco" or "rooms".

    Raises:
        DataError: there is no such map.
    """
    file = resources.files("tasktp_ros.datasets.scannet") / "maps" / f"{vocabulary}.csv"
    if not file.is_file():
        raise DataError(f"there is no map from ScanNet's categories to the vocabulary {vocabulary!r}")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return {row["raw_category"]: (row["category"], row["grade"]) for row in rows}


def graded_names(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """ScanNet's raw category -> category and grade for any names: COCO's as its map has them, others where the raw category has the name."""
    known = {raw: found for raw, found in graded_categories("coco").items() if found[0] in names}
    return known | {name: (name, "A") for name in names if name not in COCO}


def read_label_map(table: Path, vocabulary: str | Sequence[str]) -> LabelMap:
    """The label numbers of a vocabulary, by ScanNet's label table.

    Numbers that rows of different categories share belong to none of them.

    Args:
        table: `scannetv2-labels.combined.tsv`; columns are found by name.
        vocabulary: "coco" or "rooms", or the names of any.

    Raises:
        DataError: missing, or without the columns `id` and `raw_category`.
    """
    known = graded_categories(vocabulary) if isinstance(vocabulary, str) else graded_names(vocabulary)
    try:
        with table.open(newline="", encoding="utf-8") as text:
            rows = list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the label table {table} cannot be read: {error}; it comes with ScanNet's labels") from error
    if not rows or not {"id", "raw_category"} <= rows[0].keys():
        raise DataError(f"{table} is no label table: expected tab-separated columns, among them id and raw_category")
    categories: dict[int, set[str]] = {}
    grades: dict[int, str] = {}
    for row in rows:
        if row["raw_category"] not in known:
            continue
        if not (row["id"] or "").isdecimal():
            raise DataError(f"{table} gives {row['raw_category']!r} the number {row['id']!r}")
        number, (category, grade) = int(row["id"]), known[row["raw_category"]]
        categories.setdefault(number, set()).add(category)
        grades[number] = max(grade, grades.get(number, "A"))
    sure = {number: names.pop() for number, names in categories.items() if len(names) == 1}
    return LabelMap(sure, {number: grades[number] for number in sure})


def category_masks(
    labels: NDArray[np.uint16], instances: NDArray[np.uint8], wanted: LabelMap
) -> list[tuple[str, NDArray[np.bool_]]]:
    """The instances of a frame that belong to a category: its name and mask (H, W) each, by instance number."""
    return [(category, mask) for _, category, mask in numbered_masks(labels, instances, wanted)]


def numbered_masks(
    labels: NDArray[np.uint16], instances: NDArray[np.uint8], wanted: LabelMap
) -> list[tuple[int, str, NDArray[np.bool_]]]:
    """The instances of a frame that belong to a category: instance number, category and mask (H, W) each.

    An instance has the label that most of its pixels have, since borders of the projected pictures are rough.

    Args:
        labels: (H, W) label numbers, 0 = none.
        instances: (H, W) instance numbers, 0 = none.
    """
    found = []
    for number in np.unique(instances):
        if number == 0:
            continue
        mask = instances == number
        values, counts = np.unique(labels[mask], return_counts=True)
        category = wanted.categories.get(int(values[counts.argmax()]))
        if category is not None:
            found.append((int(number), category, mask))
    return found
