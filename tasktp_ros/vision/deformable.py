"""Multi-scale deformable attention in pure PyTorch (equation 3 of Deformable DETR), the adapter's cross attention."""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.sampling import linear_corners, sum_rows

Shapes = tuple[tuple[int, int], ...]


class DeformableAttention(nn.Module):
    """Each query reads a few learned points of every value level.

    Args:
        dim: channels C of queries, values and output.
        heads: attention heads; must divide C.
        levels: number of value levels.
        points: points per head and level.
    """

    def __init__(self, dim: int, heads: int, levels: int, points: int = 4) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"deformable attention needs heads that divide the channels, got {heads} and {dim}")
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(dim, heads * levels * points * 2)
        self.attention_weights = nn.Linear(dim, heads * levels * points)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
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

    def forward(self, query: Tensor, value: Tensor, query_shapes: Shapes, value_shapes: Shapes) -> Tensor:
        """Attend from the centre of every query cell.

        Args:
            query: (B, Q, C), the cells of all query maps one after the other, row-major.
            value: (B, V, C), likewise for the value maps.
            query_shapes, value_shapes: ((height, width), ...) of those maps.

        Returns:
            (B, Q, C).
        """
        projected = self.value_proj(value)
        offsets, weights = self.read_points(query)
        mixed = sample(projected, offsets, weights, query_shapes, value_shapes)
        return self.output_proj(mixed)

    def read_points(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets (B, Q, heads, levels, points, 2) in value pixels (x, y) and weights without the 2, at least float32."""
        batch, length, _ = query.shape
        layout = (batch, length, self.heads, self.levels, self.points)
        precise = torch.promote_types(query.dtype, torch.float32)
        offsets = self.sampling_offsets(query).to(precise).view(*layout, 2)
        weights = self.attention_weights(query).to(precise).view(batch, length, self.heads, -1).softmax(-1)
        return offsets, weights.view(layout)


def sample(value: Tensor, offsets: Tensor, weights: Tensor, query_shapes: Shapes, value_shapes: Shapes) -> Tensor:
    """Weighted bilinear samples, all levels and heads in one pass; same result as :func:`sample_by_grid`.

    Args:
        value: (B, V, C).
        offsets: (B, Q, heads, levels, points, 2) float, pixels of the value level, from the query cell's centre.
        weights: (B, Q, heads, levels, points) float.

    Returns:
        (B, Q, C), dtype of `value`.
    """
    batch, queries, heads = offsets.shape[:3]
    length, channels = value.shape[1:]
    centres, sizes, starts = (part.to(offsets.dtype) for part in _geometry(query_shapes, value_shapes, value.device))
    sizes = sizes[:, None, :]
    index, share = linear_corners(offsets + (centres[:, None, :, None, :] * sizes - 0.5), sizes)
    columns, lines = index.unbind(-2)
    rows = (starts[:, None, None, None] + lines.unsqueeze(-1) * sizes[..., :1, None] + columns.unsqueeze(-2))
    rows = rows.flatten(3).long()
    image_start = torch.arange(batch, device=value.device).view(batch, 1, 1, 1) * length
    head = torch.arange(heads, device=value.device).view(1, 1, heads, 1)
    rows = (rows + image_start) * heads + head
    shares = share[..., 1, :, None] * share[..., 0, None, :] * weights[..., None, None]
    bags = batch * queries * heads
    table = value.reshape(batch * length * heads, channels // heads)
    mixed = sum_rows(table, rows.view(bags, -1), shares.reshape(bags, -1))
    return mixed.view(batch, queries, channels)


def sample_by_grid(
    value: Tensor, offsets: Tensor, weights: Tensor, query_shapes: Shapes, value_shapes: Shapes
) -> Tensor:
    """Slow twin of :func:`sample`: one `grid_sample` per level, the textbook form."""
    batch, queries, heads, _, points, _ = offsets.shape
    channels = value.shape[2]
    centres, _, _ = _geometry(query_shapes, value_shapes, value.device)
    maps = value.split([height * width for height, width in value_shapes], dim=1)
    mixed = value.new_zeros(batch * heads, channels // heads, queries)
    for level, (height, width) in enumerate(value_shapes):
        size = torch.tensor([width, height], dtype=offsets.dtype, device=offsets.device)
        located = centres[None, :, None, level, None, :].to(offsets.dtype) + offsets[:, :, :, level] / size
        grid = (2 * located - 1).transpose(1, 2).flatten(0, 1)
        table = maps[level].unflatten(2, (heads, -1)).permute(0, 2, 3, 1).reshape(batch * heads, -1, height, width)
        samples = F.grid_sample(table, grid.to(table.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)
        share = weights[:, :, :, level].transpose(1, 2).reshape(batch * heads, 1, queries, points)
        mixed = mixed + (samples * share.to(samples.dtype)).sum(-1)
    return mixed.view(batch, heads, -1, queries).permute(0, 3, 1, 2).reshape(batch, queries, channels)


@lru_cache(maxsize=64)
def _geometry(query_shapes: Shapes, value_shapes: Shapes, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Query centres (Q, levels, 2) in [0, 1] as x, y; value sizes (levels, 2) as width, height; first rows (levels,)."""
    centres = torch.cat([_cell_centres(height, width, device) for height, width in query_shapes])
    sizes = torch.tensor([[width, height] for height, width in value_shapes], dtype=torch.float32, device=device)
    lengths = [height * width for height, width in value_shapes]
    starts = torch.tensor(_running_start(lengths), dtype=torch.float32, device=device)
    return centres[:, None, :].expand(-1, len(value_shapes), -1), sizes, starts


def _cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    lines = torch.linspace(0.5, height - 0.5, height, dtype=torch.float32, device=device) / height
    columns = torch.linspace(0.5, width - 0.5, width, dtype=torch.float32, device=device) / width
    y, x = torch.meshgrid(lines, columns, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), dim=-1)


def _running_start(lengths: Sequence[int]) -> list[int]:
    starts = [0]
    for length in lengths[:-1]:
        starts.append(starts[-1] + length)
    return starts
