# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A sequence that gets shorter from block to block, and the map that injectors, extractors and heads see of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tasktp_ros.reduction.inside import mask_of, put_rows, rows_of


@dataclass
class Shortened:
    """What is left of the tokens of a map, in front of them the class token.

    Attributes:
        rows: (B, 1 + L, C).
        index: (B, L) int64, the place of each row on the map; N, which is none, for padding and for what has no place.
        places: N.
        valid: (B, L) bool, rows that are no padding; None = all.
    """

    rows: Tensor
    index: Tensor
    places: int
    valid: Tensor | None = None

    @classmethod
    def whole(cls, class_token: Tensor, tokens: Tensor) -> "Shortened":
        """Class token (B, 1, C) and all tokens (B, N, C) of a map."""
        index = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[:2])
        return cls(torch.cat((class_token, tokens), dim=1), index, tokens.shape[1])

    def read(self, tokens: Tensor) -> None:
        """Take the rows that have a place from the map (B, N, C)."""
        fresh = rows_of(tokens, self.index.clamp(max=self.places - 1))
        patches = torch.where((self.index < self.places)[..., None], fresh, self.rows[:, 1:])
        self.rows = torch.cat((self.rows[:, :1], patches), dim=1)

    def written(self, tokens: Tensor) -> Tensor:
        """The map (B, N, C) with the rows at their places."""
        return put_rows(tokens, self.index, self.rows[:, 1:])

    def kept(self) -> Tensor:
        """(B, N) bool, places of the map that have a row."""
        return mask_of(self.index, self.places)

    def in_order(self) -> None:
        """Sort the rows by their places, so that equal scores are decided by the place."""
        order = self.index.argsort(dim=1, stable=True)
        self.choose(order)

    def choose(self, order: Tensor) -> None:
        """Keep the class token and the rows at the positions `order` (B, K) int64."""
        self.rows = torch.cat((self.rows[:, :1], rows_of(self.rows[:, 1:], order)), dim=1)
        self.index = self.index.gather(1, order)
        self.valid = None if self.valid is None else self.valid.gather(1, order)
