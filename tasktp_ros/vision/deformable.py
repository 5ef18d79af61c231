# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Multi-scale deformable attention in pure PyTorch (equation 3 of Deformable DETR), the adapter's cross attention."""

import math
from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.constants import cached
from tasktp_ros.vision.sampling import sum_rows

Shapes = tuple[tuple[int, int], ...]


class DeformableAttention(nn.Module):
    """Each query reads a few learned points of every value level.

    Args:
        dim: channels C of queries, values and output.
        heads: attention heads.
        levels: number of value levels.
        points: points per head and level.
        ratio: width of the values, as a share of C; the heads must divide it.
    """

    def __init__(self, dim: int, heads: int, levels: int, points: int = 4, ratio: float = 1.0) -> None:
        super().__init__()
        width = int(dim * ratio)
        if width % heads:
            raise ValueError(f"deformable attention needs heads that divide the channels, got {heads} and {width}")
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(dim, heads * levels * points * 2)
        self.attention_weights = nn.Linear(dim, heads * levels * points)
        self.value_proj = nn.Linear(dim, width)
        self.output_proj = nn.Linear(width, dim)
        self.initialise()

    def initialise(self) -> None:
        """Start with heads that look in evenly spread directions, points at growing distance, equal weights."""
        angles = torch.arange(self.heads) * (2.0 * math.pi / self.heads)
        directions = torch.stack((angles.cos(), angles.sin()), dim=-1)
        directions = directions / directions.abs().amax(dim=-1, keepdim=True)
        distances = torch.arange(1, self.points + 1).view(1, 1, -1, 1)
        offsets = directions.view(self.heads, 1, 1, 2) * distances.expand(self.heads, self.levels, -1, 2)
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, query: Tensor, value: Tensor, query_shapes: Shapes, value_shapes: Shapes, cells: Tensor | None = None
    ) -> Tensor:
        """Attend from the centre of every query cell.

        Args:
            query: (B, Q, C), the cells of all query maps one after the other, row-major.
            value: (B, V, C), likewise for the value maps.
            query_shapes, value_shapes: ((height, width), ...) of those maps.
            cells: (Q,) int64, where `query` holds only these cells; None = all.

        Returns:
            (B, Q, C).
        """
        projected = self.value_proj(value)
        offsets, weights = self.read_points(query)
        if torch.jit.is_tracing() and cells is None:  # in operators that other runtimes have
            mixed = sample_by_grid(projected, offsets, weights, query_shapes, value_shapes)
        else:
            mixed = sample(projected, offsets, weights, query_shapes, value_shapes, cells)
        return self.output_proj(mixed)

    def read_points(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Where each query looks, with the queries in the last dimension, which is what makes this fast on a CPU.

        Returns:
            offsets: (B, heads, levels, points, 2, Q) in pixels of the value level, x then y, at least float32.
            weights: (B, heads, levels, points, Q), which sum to one over levels and points.
        """
        precise = torch.promote_types(query.dtype, torch.float32)
        offsets = _linear_queries_last(self.sampling_offsets, query).to(precise)
        weights = _linear_queries_last(self.attention_weights, query).to(precise)
        weights = weights.unflatten(1, (self.heads, -1)).softmax(2)
        shape = (self.levels, self.points)
        return offsets.unflatten(1, (self.heads, *shape, 2)), weights.unflatten(2, shape)


def sample(
    value: Tensor,
    offsets: Tensor,
    weights: Tensor,
    query_shapes: Shapes,
    value_shapes: Shapes,
    cells: Tensor | None = None,
) -> Tensor:
    """Weighted bilinear samples, all levels and heads in one pass; same result as :func:`sample_by_grid`.

    Every map gets a border of zero pixels and positions are clamped to it, so no corner needs a test.

    Args:
        value: (B, V, C).
        offsets: (B, heads, levels, points, 2, Q) float, pixels of the value level, from the query cell's centre.
        weights: (B, heads, levels, points, Q) float.
        cells: (Q,) int64, which of the query maps' cells the queries are; None = all of them.

    Returns:
        (B, Q, C), dtype of `value`.
    """
    batch, heads, queries, channels = *offsets.shape[:2], offsets.shape[-1], value.shape[2]
    plan = _plan(query_shapes, value_shapes, heads, batch, offsets.dtype, value.device)
    centres = plan.centres if cells is None else plan.centres.index_select(-1, cells)
    position = (offsets + centres).clamp(min=-1).minimum(plan.sizes)
    first = position.floor()
    after = position - first
    column, line = first.unbind(-2)
    row = (column * heads + line * plan.line_stride + plan.origin).int()
    rows = row + plan.corners
    right, lower = after.unbind(-2)
    below = weights * lower
    above = weights - below
    above_right, below_right = above * right, below * right
    shares = torch.stack((above - above_right, above_right, below - below_right, below_right))
    table = _with_border(value, value_shapes).reshape(-1, channels // heads)
    return sum_rows(table, _bags(rows), _bags(shares)).view(batch, queries, channels)


def sample_by_grid(
    value: Tensor, offsets: Tensor, weights: Tensor, query_shapes: Shapes, value_shapes: Shapes
) -> Tensor:
    """Slow twin of :func:`sample`: one `grid_sample` per level, the textbook form."""
    batch, heads, queries, channels = *offsets.shape[:2], offsets.shape[-1], value.shape[2]
    centres = torch.cat([_cell_centres(*shape, value.device) for shape in query_shapes], dim=1).to(offsets.dtype)
    maps = value.split([height * width for height, width in value_shapes], dim=1)
    mixed = value.new_zeros(batch * heads, channels // heads, queries)
    for level, (height, width) in enumerate(value_shapes):
        size = torch.tensor([[width], [height]], dtype=offsets.dtype, device=offsets.device)
        grid = 2 * (centres + offsets[:, :, level] / size) - 1
        grid = grid.flatten(0, 1).permute(0, 3, 1, 2).to(value.dtype)
        table = maps[level].unflatten(2, (heads, -1)).permute(0, 2, 3, 1).reshape(batch * heads, -1, height, width)
        samples = F.grid_sample(table, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        share = weights[:, :, level].flatten(0, 1).transpose(1, 2)[:, None]
        mixed = mixed + (samples * share.to(samples.dtype)).sum(-1)
    return mixed.view(batch, heads, -1, queries).permute(0, 3, 1, 2).reshape(batch, queries, channels)


class _Plan(NamedTuple):
    """Constants of one geometry; dimensions as in `offsets` without the x, y one unless said otherwise."""

    centres: Tensor  # (levels, 1, 2, Q): query centres in pixels of the level
    sizes: Tensor  # (levels, 1, 2, 1): width and height
    line_stride: Tensor  # (levels, 1, 1): table rows from one line of a bordered map to the next
    origin: Tensor  # (B, heads, levels, 1, 1): table row of each map's first pixel
    corners: Tensor  # (4, 1, 1, levels, 1, 1) int32: table rows from a pixel to itself, right, below, below right


@cached
def _plan(
    query_shapes: Shapes, value_shapes: Shapes, heads: int, batch: int, dtype: torch.dtype, device: torch.device
) -> _Plan:
    centres = torch.cat([_cell_centres(*shape, device) for shape in query_shapes], dim=1)
    sizes = torch.tensor([[width, height] for height, width in value_shapes], device=device)
    strides = sizes[:, 0] + 1
    lengths = [(height + 4) * (width + 1) for height, width in value_shapes]
    starts = torch.tensor([0, *accumulate(lengths)][:-1], device=device)
    image = torch.arange(batch, device=device).view(-1, 1, 1) * sum(lengths)
    origin = (image + starts + strides + 1) * heads + torch.arange(heads, device=device).view(-1, 1)
    steps = torch.stack((strides * 0, strides * 0 + 1, strides, strides + 1)) * heads
    return _Plan(
        centres=(centres.to(dtype) * sizes[:, None, :, None] - 0.5),
        sizes=sizes[:, None, :, None].to(dtype),
        line_stride=(strides * heads)[:, None, None].to(dtype),
        origin=origin[..., None, None].to(dtype),
        corners=steps[:, None, None, :, None, None].int(),
    )


def _cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """Centres (2, height * width) float32 of a map's cells, x then y in 0..1, row-major."""
    lines = torch.linspace(0.5, height - 0.5, height, dtype=torch.float32, device=device) / height
    columns = torch.linspace(0.5, width - 0.5, width, dtype=torch.float32, device=device) / width
    y, x = torch.meshgrid(lines, columns, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()))


def _with_border(value: Tensor, shapes: Shapes) -> Tensor:
    """Zero pixels around every map: one line above, three below, one column left, also the right one of the line
    before; with zero shares a corner may lie there. (B, V, C) -> (B, sum (h + 4)(w + 1), C)."""
    parts = value.split([height * width for height, width in shapes], dim=1)
    maps = (part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True))
    bordered = [F.pad(level, (0, 0, 1, 0, 1, 3)).flatten(1, 2) for level in maps]
    return bordered[0] if len(bordered) == 1 else torch.cat(bordered, dim=1)


def _bags(corners: Tensor) -> Tensor:
    """(4, B, heads, levels, points, Q) -> one line per output row: (B * Q * heads, levels * points * 4)."""
    _, batch, heads, levels, points, queries = corners.shape
    return corners.permute(1, 5, 2, 3, 4, 0).reshape(batch * queries * heads, levels * points * 4)


def _linear_queries_last(layer: nn.Linear, query: Tensor) -> Tensor:
    """The layer's output with its last two dimensions swapped: (B, Q, C) -> (B, out, Q)."""
    weight = layer.weight.expand(query.shape[0], -1, -1)
    return torch.baddbmm(layer.bias[None, :, None], weight, query.transpose(1, 2))
