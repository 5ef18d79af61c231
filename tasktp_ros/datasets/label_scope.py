# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which categories are labelled on which image of a file in COCO's layout; others may be on it without a word about them.

An image's `labelled_category_ids` says it, or else its `labelled`, the name of a list in the file's `info.label_scopes`. An
image that has neither is labelled with all categories that the file names, or, where `info.labelled` is "all", with
every category of any vocabulary: whatever else is on it is background.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.coco_file import Annotations
from tasktp_ros.errors import DataError

ALL = "all"


@dataclass(frozen=True)
class Scopes:
    """The different scopes of a file's images.

    Attributes:
        labelled: (S, C) bool, the categories of the vocabulary that each scope has.
        of_image: (N,) int64, each image's scope.
    """

    labelled: NDArray[np.bool_]
    of_image: NDArray[np.int64]


def chosen_scope(labelled: str | Sequence[str], vocabulary: Sequence[str], images: int) -> Scopes:
    """One scope for all images: "all", names, or "all" and names with a "-" before them, which are not labelled.

    Raises:
        DataError: a name that the vocabulary does not have, or no name.
    """
    names = [labelled] if isinstance(labelled, str) else list(labelled)
    without = names[:1] == [ALL]
    if without:
        names = names[1:]
        if unmarked := [name for name in names if not name.startswith("-")]:
            raise DataError(f"all is labelled, so {unmarked[0]!r} is, too; what is not has a '-' before it")
        names = [name[1:] for name in names]
    elif not names:
        raise DataError("no category is named as labelled")
    for name in names:
        if name not in vocabulary:
            raise DataError(f"the vocabulary has no category {name!r} that could be labelled; it has "
                            f"{', '.join(vocabulary[:8])}")  # fmt: skip
    named = np.array([name in names for name in vocabulary], np.bool_)
    return Scopes((~named if without else named)[None], np.zeros(images, np.int64))


def read_scopes(file: Path | Annotations, content: Mapping[str, Any], vocabulary: Sequence[str]) -> Scopes:
    """The scopes that a file notes.

    Args:
        file: for complaints.
        content: from `read_annotations`.

    Raises:
        DataError: a scope or category number that the file does not have.
    """
    ids = {row["name"]: row["id"] for row in content["categories"]}
    label_of = {ids[name]: label for label, name in enumerate(vocabulary) if name in ids}
    known, info = set(ids.values()), content["info"]
    named = info.get("label_scopes")
    named = named if isinstance(named, dict) else {}
    rest: tuple[int, ...] | str = ALL if info.get("labelled") == ALL else tuple(sorted(known))
    numbers: dict[tuple[int, ...] | str, int] = {}
    of_image = []
    for row in content["images"]:
        scope, name = rest, row.get("labelled")
        if row.get("labelled_category_ids") is not None:
            scope = _checked(row["labelled_category_ids"], known, f"{file}: image {row['id']}")
        elif isinstance(name, str):
            if name != ALL and name not in named:
                raise DataError(
                    f"{file}: image {row['id']} is labelled {name!r}, which info.label_scopes does not have"
                )
            if isinstance(named.get(name), list):
                scope = _checked(named[name], known, f"{file}: label scope {name!r}")
            elif name == ALL:
                scope = ALL
        of_image.append(numbers.setdefault(scope, len(numbers)))
    labelled = np.zeros((len(numbers), len(vocabulary)), np.bool_)
    for scope, number in numbers.items():
        labelled[number, slice(None) if scope == ALL else [label_of[i] for i in scope if i in label_of]] = True
    return Scopes(labelled, np.array(of_image, np.int64))


def _checked(listed: Any, known: set[int], place: str) -> tuple[int, ...]:
    if not isinstance(listed, list):
        raise DataError(f"{place} has {str(listed)[:40]!r} as labelled categories, expected a list of numbers")
    for each in listed:
        if not isinstance(each, int) or each not in known:
            raise DataError(f"{place} lists category {str(each)[:40]!r} as labelled, which the file does not have")
    return tuple(listed)
