# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A learned table: a row per category, and the mean of its rows for a set of them. Needs no language model."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasktp_ros.errors import InputError
from tasktp_ros.guidance.source import LENGTH, Guidance, checked_sentence, checked_vector


class CategoryTable(nn.Module):
    """Rows of `num_classes` categories; trained with the segmenter and kept in its model file."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise InputError(f"a table of guidance needs at least one category, got {num_classes}")
        self.category_embed = nn.Embedding(num_classes, LENGTH)

    def forward(self, relevant: Tensor) -> Tensor:
        """Task sets (B, C) bool, none empty, to vectors (B, 256)."""
        shares = relevant.to(self.category_embed.weight.dtype)
        return (shares / shares.sum(1, keepdim=True).clamp(min=1)) @ self.category_embed.weight


class TableGuidance(Guidance):
    """A table behind the words of a goal.

    Args:
        table: rows in the order of `vocabulary`.
        vocabulary: category names.
        resolve: the categories that a sentence asks for; None = all. May raise TaskError. `GoalRules` has such a function.
    """

    def __init__(
        self, table: CategoryTable, vocabulary: Sequence[str], resolve: Callable[[str], Sequence[str] | None]
    ) -> None:
        rows = table.category_embed.num_embeddings
        if rows != len(vocabulary):
            raise InputError(f"a table of {rows} rows does not fit a vocabulary of {len(vocabulary)} names")
        self.table, self.vocabulary, self.resolve = table, tuple(vocabulary), resolve

    def vector(self, sentence: str, image: NDArray[np.uint8] | None = None) -> Tensor:
        return self.of_categories(self.resolve(checked_sentence(sentence)))

    @torch.no_grad()
    def of_categories(self, names: Sequence[str] | None) -> Tensor:
        """(256,) for a set of categories, None = all; raises InputError for an unknown name or an empty set."""
        names = self.vocabulary if names is None else names
        if unknown := [name for name in names if name not in self.vocabulary]:
            raise InputError(
                f"the table of guidance has no category {unknown[0]!r}; it has {', '.join(self.vocabulary[:8])}"
            )
        if not names:
            raise InputError("guidance needs at least one category")
        relevant = torch.tensor([[name in names for name in self.vocabulary]])
        device = self.table.category_embed.weight.device
        return checked_vector(self.table(relevant.to(device))[0], "the table of guidance")
