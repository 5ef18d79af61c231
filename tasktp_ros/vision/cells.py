# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The cells that are worked on, of several maps at once, as rows of a table: after a gate only those around kept tokens.

Cells elsewhere are nothing: they read as zero, so that a 3x3 convolution on rows equals the dense one on maps that are zero there.
A stage that takes maps or :class:`SparseLevels` gives on the latter what it gives on their :meth:`~SparseLevels.dense` maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.buckets import padded
from tasktp_ros.vision.constants import cached

Shapes = tuple[tuple[int, int], ...]
CHUNK = 512
"""Cells whose surroundings are put together at a time for a convolution."""
WHOLE_FROM = 0.75
"""Share of a map's cells from which on a convolution of the whole map takes less time (docs/performance.md)."""


@dataclass(frozen=True)
class Cells:
    """Some cells of maps of one image.

    Attributes:
        shapes: (height, width) of the maps.
        index: (K,) int64 into the maps' cells one after the other, row-major; map by map ascending, and each map's last one may
            be repeated (`buckets.padded`).
        counts: how many of the K belong to each map.
        distinct: how many of these come before the repeats.
        neighbours: (K, 9) int64: rows of the 3x3 cells around each, row-major; K where there is none.
        row_of: (sum h * w,) int64: the row of every cell; K where it has none.
    """

    shapes: Shapes
    index: Tensor
    counts: tuple[int, ...]
    distinct: tuple[int, ...]
    neighbours: Tensor
    row_of: Tensor

    def __len__(self) -> int:
        return len(self.index)

    @property
    def share(self) -> float:
        """How many of the maps' cells these are, 0..1."""
        return sum(self.distinct) / cell_count(self.shapes)

    @property
    def starts(self) -> list[tuple[int, int]]:
        """Per map the first of its rows and the first of its cells."""
        rows, cells = (accumulate(sizes, initial=0) for sizes in (self.counts, map(prod, self.shapes)))
        return list(zip(rows, cells, strict=True))[:-1]

    def of_map(self, number: int) -> Tensor:
        """Where the cells of one map lie in it: (counts[number],) int64, row-major."""
        row, cell = self.starts[number]
        return self.index[row : row + self.counts[number]] - cell

    def rows_under(self, number: int) -> Tensor:
        """For each cell of one map, the row of the cell it lies on in the next map, whose height and width are half as many.

        Returns:
            (counts[number],) int64, counted from the next map's first row; its number of rows where that cell has none.
        """
        width = self.shapes[number][1]
        place = self.of_map(number)
        row, cell = self.starts[number + 1]
        above = place // width // 2 * self.shapes[number + 1][1] + place % width // 2
        return (self.row_of[cell + above] - row).clamp(max=self.counts[number + 1])

    def rows_of_every_second(self, number: int) -> Tensor:
        """For each cell of a map that is every second pixel of the map before it, the row of that pixel: (counts[number],) int64."""
        width = self.shapes[number][1]
        place = self.of_map(number)
        below = place // width * 2 * self.shapes[number - 1][1] + place % width * 2
        return self.row_of[self.starts[number - 1][1] + below]

    def split(self, rows: Tensor, maps: int | None = None) -> tuple[Tensor, ...]:
        """Rows (R, ...) of the first `maps` maps to those of each; None = all maps."""
        return rows.split(self.counts[:maps])

    def table(self, rows: Tensor) -> Tensor:
        """Rows (R, C) of the first maps, and zeros for all others and for what reads cells that have none: (K + 1, C)."""
        return F.pad(rows, (0, 0, 0, len(self) + 1 - len(rows)))

    def gather(self, maps: Tensor) -> Tensor:
        """Rows (K, C) of maps that lie one after the other, (1, sum h * w, C) or (sum h * w, C)."""
        return maps.flatten(0, -2).index_select(0, self.index)

    def scatter(self, rows: Tensor) -> Tensor:
        """Maps (sum h * w, C) with these rows (R, C) of the first maps in their places and zeros elsewhere."""
        return rows.new_zeros(cell_count(self.shapes), rows.shape[1]).index_copy(0, self.index[: len(rows)], rows)

    def convolve(self, rows: Tensor, convs: Sequence[nn.Conv2d], first: int = 0) -> Tensor:
        """A 3x3 convolution of each of some maps, from `first` on: rows (R, in) of the first maps -> (k, out) of these.

        What each cell reads is put together a few hundred cells at a time, so that it stays in the processor's cache. Of a map of
        which most cells are known all is convolved.
        """
        table, parts = self.table(rows), []
        for number, conv in enumerate(convs, first):
            if self.distinct[number] >= WHOLE_FROM * prod(self.shapes[number]):
                parts.append(self._convolve_whole(rows, conv, number))
                continue
            for some in self.split(self.neighbours)[number].split(CHUNK):
                patches = table.index_select(0, some.flatten()).view(len(some), 9 * rows.shape[1])
                parts.append(convolve(patches, conv))
        return torch.cat(parts)

    def _convolve_whole(self, rows: Tensor, conv: nn.Conv2d, number: int) -> Tensor:
        """As :meth:`convolve` for one map, zeros and all."""
        (height, width), (first, _), place = self.shapes[number], self.starts[number], self.of_map(number)
        known = rows[first : first + len(place)]
        whole = known.new_zeros(height * width, known.shape[1]).index_copy(0, place, known)
        found = conv(whole.view(1, height, width, -1).permute(0, 3, 1, 2))
        return found.permute(0, 2, 3, 1).flatten(0, 2).index_select(0, place)


@dataclass(frozen=True)
class SparseLevels:
    """Maps of one image of which some cells are known; all others are zero.

    Attributes:
        rows: (R, C) float, the known cells.
        cells: which they are.
        maps: how many of the cells' maps the rows are of, where the others are yet to be computed; None = all.
    """

    rows: Tensor
    cells: Cells
    maps: int | None = None

    def dense(self) -> list[Tensor]:
        """The maps (1, C, h, w), channels last."""
        parts = self.cells.scatter(self.rows).split([height * width for height, width in self.cells.shapes])
        maps = zip(parts[: self.maps], self.cells.shapes[: self.maps], strict=True)
        return [part.view(1, *shape, -1).permute(0, 3, 1, 2) for part, shape in maps]


Levels: TypeAlias = Sequence[Tensor] | SparseLevels
"""Maps (B, C, h, w), finest first; or of one image some cells of them."""


def cells_of(masks: Tensor, shapes: Shapes) -> Cells:
    """Cells of maps.

    Args:
        masks: (sum h * w,) bool, True = worked on, of all maps one after the other.
        shapes: (height, width) of the maps.
    """
    plan = _plan(shapes, masks.device)
    index = masks.nonzero()[:, 0]
    bounds = [0, *torch.searchsorted(index, plan.ends).tolist()]
    parts = [
        padded(index[first:last], height * width)
        for (first, last), (height, width) in zip(pairwise(bounds), shapes, strict=True)
    ]
    index = torch.cat(parts)
    rows = torch.full((plan.places,), len(index), dtype=torch.int64, device=masks.device)
    rows[plan.place[index]] = torch.arange(len(index), device=masks.device)
    counts, distinct = tuple(len(part) for part in parts), tuple(b - a for a, b in pairwise(bounds))
    return Cells(shapes, index, counts, distinct, rows[plan.around[index]], rows[plan.place])


def convolve(patches: Tensor, conv: nn.Conv2d) -> Tensor:
    """A 3x3 convolution on what it reads around each cell: (K, 9 * in) -> (K, out)."""
    weight = conv.weight.permute(0, 2, 3, 1).reshape(conv.out_channels, -1)
    return F.linear(patches, weight, cast(Tensor, conv.bias))


def masks_around(kept: Tensor, token_shape: tuple[int, int], strides: tuple[int, ...], margin: int = 1) -> list[Tensor]:
    """Per stride 4, 8, 16, 32 or 64 the cells on kept tokens and the tokens up to `margin` steps from them.

    Of a coarser map than the tokens' a cell counts when any of its tokens does.

    Args:
        kept: (B, N) bool.
        token_shape: (height, width) of the token map, whose stride is 16.

    Returns:
        Per stride (B, h, w) bool.
    """
    tokens = kept.view(-1, 1, *token_shape).float()
    around = F.max_pool2d(tokens, 2 * margin + 1, 1, margin) if margin else tokens
    masks = []
    for stride in strides:
        if stride < 16:
            times = 16 // stride
            scaled = around.repeat_interleave(times, 2).repeat_interleave(times, 3)
        else:
            scaled = F.max_pool2d(around, stride // 16, ceil_mode=True)
        masks.append(scaled[:, 0] > 0)
    return masks


def level_masks_around(kept: Tensor, token_shape: tuple[int, int]) -> list[Tensor]:
    """As :func:`masks_around` for the levels of a pyramid, strides 4 to 64, of which the last is every second pixel of the one before."""
    masks = masks_around(kept, token_shape, (4, 8, 16, 32))
    return [*masks, masks[-1][:, ::2, ::2]]


def level_cells_around(kept: Tensor, token_shape: tuple[int, int]) -> Cells:
    """The cells of :func:`level_masks_around` of one image, kept (1, N) bool."""
    masks = level_masks_around(kept, token_shape)
    shapes = tuple((mask.shape[1], mask.shape[2]) for mask in masks)
    return cells_of(torch.cat([mask.flatten() for mask in masks]), shapes)


def cell_count(shapes: Shapes) -> int:
    """Cells of maps of these (height, width)."""
    return sum(height * width for height, width in shapes)


@dataclass(frozen=True)
class _Plan:
    """Constants of one geometry: cells are also places of maps with a border of one cell, which are never filled."""

    ends: Tensor  # (maps,): number of cells up to the end of each map
    places: int
    place: Tensor  # (cells,)
    around: Tensor  # (cells, 9): places of the 3x3 cells around each


@cached
def _plan(shapes: Shapes, device: torch.device) -> _Plan:
    places, parts, arounds = 0, [], []
    ends: list[int] = []
    for height, width in shapes:
        line = torch.arange(1, height + 1, device=device)[:, None]
        place = (places + line * (width + 2) + torch.arange(1, width + 1, device=device)).flatten()
        steps = torch.tensor([-1, 0, 1], device=device)
        arounds.append(place[:, None] + (steps[:, None] * (width + 2) + steps).flatten())
        parts.append(place)
        ends.append((ends[-1] if ends else 0) + height * width)
        places += (height + 2) * (width + 2)
    return _Plan(torch.tensor(ends, device=device), places, torch.cat(parts), torch.cat(arounds))
