# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Aligned RoIAlign over a feature pyramid: adaptive sampling as published, or a fixed grid read in a single pass."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import roi_align

from tasktp_ros.vision.boxes import STRIDES
from tasktp_ros.vision.cells import Levels, Shapes, SparseLevels
from tasktp_ros.vision.constants import constant
from tasktp_ros.vision.sampling import linear_corners, sum_rows

ROI_STRIDES = STRIDES[:4]
FINEST_SCALE = 56.0


def roi_levels(boxes: Tensor, finest_scale: float = FINEST_SCALE) -> Tensor:
    """Pyramid level (K,) int64 in 0..3 of each (K, 4) xyxy px box: equation 1 of the FPN paper, level 1 from twice `finest_scale` px."""
    scale = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    return (scale / finest_scale + 1e-6).log2().floor().clamp(0, len(ROI_STRIDES) - 1).long()


def pool_adaptive(
    levels: Levels, boxes: Tensor, image_index: Tensor, size: int, finest_scale: float = FINEST_SCALE
) -> Tensor:
    """RoIAlign with as many samples per bin as the box has pixels there (mmdet: sampling_ratio 0).

    Args:
        levels: at least four maps (B, C, h, w), strides 4, 8, 16, 32; or some cells of those of one image.
        boxes: (K, 4) float32 xyxy px.
        image_index: (K,) int64 in [0, B).
        size: output height and width.
        finest_scale: see :func:`roi_levels`.

    Returns:
        (K, C, size, size), dtype of the maps, channels last.
    """
    known = levels.rows if isinstance(levels, SparseLevels) else levels[0]
    if known.device.type == "cpu" and not known.requires_grad:
        return _pool_rows(levels, boxes, image_index, size, finest_scale)
    maps = levels.dense() if isinstance(levels, SparseLevels) else levels
    return pool_adaptive_by_level(maps, boxes, image_index, size, finest_scale)


def pool_adaptive_by_level(
    levels: Sequence[Tensor], boxes: Tensor, image_index: Tensor, size: int, finest_scale: float = FINEST_SCALE
) -> Tensor:
    """Slow twin of :func:`pool_adaptive`: torchvision's operator on each level, float32 inside; fast on a GPU."""
    rois = torch.cat((image_index[:, None].float(), boxes), dim=1)
    number = roi_levels(boxes, finest_scale)
    pooled = levels[0].new_zeros(len(boxes), levels[0].shape[1], size, size)
    for level, stride in enumerate(ROI_STRIDES):
        members = (number == level).nonzero()[:, 0]
        features = levels[level].to(torch.promote_types(levels[level].dtype, torch.float32))
        part = roi_align(features, rois[members].to(features.dtype), size, 1.0 / stride, sampling_ratio=0, aligned=True)
        pooled[members] = part.to(pooled.dtype)
    return pooled


def _pool_rows(levels: Levels, boxes: Tensor, image_index: Tensor, size: int, finest_scale: float) -> Tensor:
    """:func:`pool_adaptive` by weighted sums of table rows: each pixel a bin reads is read once, whatever samples need it.

    Boxes of one level and as many samples are pooled together, so that whole maps need not be put into one table.
    """
    number = roi_levels(boxes, finest_scale)
    scaled = boxes / constant(ROI_STRIDES, boxes.dtype, boxes.device)[number, None] - 0.5
    corners, bins = scaled[:, :2], (scaled[:, 2:] - scaled[:, :2]) / size
    kinds = torch.cat((number[:, None], bins.ceil().clamp(min=0).long()), dim=1)
    kinds, kind = kinds.unique(dim=0, return_inverse=True)
    groups = kind.argsort().split(kind.bincount().tolist())
    tables = _tables(levels)
    pooled = tables[0].rows.new_empty(len(boxes), size * size, tables[0].rows.shape[1])
    for (level, across, down), members in zip(kinds.tolist(), groups, strict=True):
        table = tables[level]
        columns, column_shares = _axis(corners[members, 0], bins[members, 0], table.width, across, size)
        lines, line_shares = _axis(corners[members, 1], bins[members, 1], table.height, down, size)
        lines = lines + image_index[members, None, None] * table.height
        rows = _outer(lines * table.width, columns, size, torch.add).long()
        if table.row_of is not None:
            rows = table.row_of.index_select(0, rows.flatten()).view_as(rows)
        part = sum_rows(table.rows, rows, _outer(line_shares, column_shares, size, torch.mul))
        pooled[members] = part.view(len(members), size * size, -1)
    return pooled.view(len(boxes), size, size, -1).permute(0, 3, 1, 2)


class _LevelTable(NamedTuple):
    """Pixels of a level as rows (R, C), and of each its row (h * w,) int64; None = image by image, row-major."""

    rows: Tensor
    row_of: Tensor | None
    height: int
    width: int


def _tables(levels: Levels) -> list[_LevelTable]:
    if isinstance(levels, SparseLevels):
        cells = levels.cells
        rows = cells.table(levels.rows)
        places = cells.row_of.split([height * width for height, width in cells.shapes])
        return [_LevelTable(rows, place, *shape) for place, shape in zip(places, cells.shapes, strict=True)]
    shapes = [(level.shape[2], level.shape[3]) for level in levels]
    rows_of = [level.permute(0, 2, 3, 1).flatten(0, 2) for level in levels]
    return [_LevelTable(rows, None, *shape) for rows, shape in zip(rows_of, shapes, strict=True)]


def _axis(corner: Tensor, bin_size: Tensor, limit: int, samples: int, size: int) -> tuple[Tensor, Tensor]:
    """What the bins of some boxes read along one axis, at `samples` points per bin.

    Args:
        corner, bin_size: (K,) float px of the level: where the box begins, a bin's side.
        limit: px of the map along this axis.

    Returns:
        pixels: (K, size, samples + 1) float, whole numbers in [0, limit).
        shares: likewise, which sum to one where no point lies outside the map.
    """
    steps = torch.arange(size, device=corner.device)[:, None] + (
        torch.arange(samples, device=corner.device) + 0.5
    ) / max(samples, 1)
    points = corner[:, None, None] + bin_size[:, None, None] * steps
    inside = (points >= -1) & (points <= limit)
    points = points.clamp(0, limit - 1)
    first = points[..., :1].floor() if samples else points.new_zeros(len(corner), size, 1)
    pixels = first + torch.arange(samples + 1, device=corner.device)
    shares = (1 - (points[..., None] - pixels[..., None, :]).abs()).clamp(min=0) * inside[..., None]
    return pixels.clamp(max=limit - 1), shares.sum(2) / max(samples, 1)


def pool_fixed(
    levels: Levels,
    boxes: Tensor,
    image_index: Tensor,
    size: int,
    samples: int,
    finest_scale: float = FINEST_SCALE,
) -> Tensor:
    """RoIAlign with `samples` x `samples` points per bin, all boxes and levels in one pass.

    Arguments and result as :func:`pool_adaptive`. Equal to torchvision's `roi_align(sampling_ratio=samples,
    aligned=True)` on each box's level, also for points up to one pixel outside the map (they read its border).
    """
    table, row_of, shapes, batch = _table(levels)
    number = roi_levels(boxes, finest_scale)
    map_sizes, start = _geometry(shapes, batch, number, image_index)
    scaled = boxes / constant(ROI_STRIDES, boxes.dtype, boxes.device)[number, None] - 0.5
    steps = (torch.arange(size * samples, device=boxes.device, dtype=boxes.dtype) + 0.5) / (size * samples)
    points = scaled[:, :2, None] + (scaled[:, 2:] - scaled[:, :2])[..., None] * steps
    limits = map_sizes[..., None]
    index, share = linear_corners(torch.minimum(points.clamp(min=0), limits - 1), limits)
    share = share * ((points >= -1) & (points <= limits))[..., None] / samples
    (columns, lines), (column_share, line_share) = index.unbind(1), share.unbind(1)
    lines = lines * map_sizes[:, 0, None, None] + start[:, None, None]
    rows = _outer(lines, columns, size, torch.add).long()
    rows = rows if row_of is None else row_of.index_select(0, rows.flatten()).view_as(rows)
    weights = _outer(line_share, column_share, size, torch.mul)
    pooled = sum_rows(table, rows, weights)
    return pooled.view(len(boxes), size, size, -1).permute(0, 3, 1, 2)


def _table(levels: Levels) -> tuple[Tensor, Tensor | None, Shapes, int]:
    """Pixels of all levels as rows, and what says where they are.

    Returns:
        table: (R, C).
        row_of: (sum h * w,) int64, the row of each pixel; None = they lie level by level, image by image, row-major.
        shapes: (height, width) of four levels.
        batch: number of images.
    """
    if isinstance(levels, SparseLevels):
        return levels.cells.table(levels.rows), levels.cells.row_of, levels.cells.shapes[:4], 1
    batch, channels = levels[0].shape[:2]
    shapes = tuple((level.shape[2], level.shape[3]) for level in levels[:4])
    return torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels) for level in levels[:4]]), None, shapes, batch


def _geometry(shapes: Shapes, batch: int, number: Tensor, image_index: Tensor) -> tuple[Tensor, Tensor]:
    """Per box (K, 2) float width and height of its map, and (K,) float the number of pixels before that map."""
    sizes = tuple((float(width), float(height)) for height, width in shapes)
    starts = tuple(batch * sum(width * height for width, height in sizes[:level]) for level in range(len(sizes)))
    map_sizes = constant(sizes, torch.float32, number.device)[number]
    start = constant(starts, torch.float32, number.device)[number]
    return map_sizes, start + image_index * map_sizes.prod(dim=1)


def _outer(lines: Tensor, columns: Tensor, size: int, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Combine (K, size * samples, 2) values of both axes into one bag per bin: (K * size * size, 4 * samples**2)."""
    lines = lines.reshape(len(lines), size, 1, -1, 1)
    columns = columns.reshape(len(columns), 1, size, 1, -1)
    return combine(lines, columns).reshape(len(lines) * size * size, -1)
