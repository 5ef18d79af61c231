# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Weights that belong to categories, carried from one vocabulary to another by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasktp_ros.detectors import build_detector


@dataclass(frozen=True)
class CategoryRows:
    """How the first axis of a weight is made up: `each` rows per category, in their order, then those of background.

    Attributes:
        each: rows per category.
        rest: rows after those of the last category.
    """

    each: int
    rest: int


def category_rows(size: str, method: str, options: Mapping[str, Any] | None = None) -> dict[str, CategoryRows]:
    """The weights of a network whose shape follows the number of categories, found by building it for two and for three.

    Raises:
        ValueError: unknown size or method, or a weight with categories along another axis than the first.
    """
    two, three = (_shapes(size, method, categories, options) for categories in (2, 3))
    found = {}
    for name, shape in two.items():
        if shape == three[name]:
            continue
        if shape[1:] != three[name][1:]:
            raise ValueError(f"{name} does not have its categories along its first axis")
        each = three[name][0] - shape[0]
        found[name] = CategoryRows(each, shape[0] - 2 * each)
    return found


def carry_rows(
    tensors: Mapping[str, Tensor],
    rows: Mapping[str, CategoryRows],
    vocabulary: Sequence[str],
    wanted: Sequence[str],
) -> dict[str, Tensor]:
    """Weights for another vocabulary: a category that both name keeps its rows to the bit, and background its own.

    A new category starts as the mean of all old ones. It is then as improbable on background, and as probable on an object,
    as they are on average, has a box that fits an object of any category, and disturbs nothing that is known.

    Args:
        tensors: by name; those that `rows` does not name stay.
        rows: from `category_rows`.
        vocabulary: names of the categories that the weights are for, in the order of their rows.
        wanted: names of the categories they should be for.
    """
    places = {name: place for place, name in enumerate(vocabulary)}
    carried = dict(tensors)
    for name in rows.keys() & tensors.keys():
        each, old = rows[name].each, tensors[name]
        of_categories = old[: each * len(vocabulary)].unflatten(0, (len(vocabulary), each))
        fresh = of_categories.mean(0)
        parts = [of_categories[places[category]] if category in places else fresh for category in wanted]
        carried[name] = torch.cat((*parts, old[each * len(vocabulary) :]))
    return carried


def told_carried(vocabulary: Sequence[str], wanted: Sequence[str]) -> str:
    """In words what becomes of each category; empty where nothing changes."""
    if tuple(vocabulary) == tuple(wanted):
        return ""
    parts = {
        "carried over": [name for name in wanted if name in vocabulary],
        "new": [name for name in wanted if name not in vocabulary],
        "left out": [name for name in vocabulary if name not in wanted],
    }
    return "; ".join(f"{len(names)} {what} ({', '.join(names)})" for what, names in parts.items() if names)


def _shapes(size: str, method: str, categories: int, options: Mapping[str, Any] | None) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        detector = build_detector(size, method, categories, options)
    return {name: tuple(tensor.shape) for name, tensor in detector.state_dict().items()}
