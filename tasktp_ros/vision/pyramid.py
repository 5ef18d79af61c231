# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Feature pyramid network with mmdet's names: four backbone maps to five levels of equal channels."""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.cells import Cells, Levels, SparseLevels


class FeaturePyramid(nn.Module):
    """Lateral 1x1, top-down nearest addition, 3x3 smoothing; the fifth level is every second pixel of the fourth."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.lateral_convs = nn.ModuleList(ConvModule(dim, channels, 1) for _ in range(4))
        self.fpn_convs = nn.ModuleList(ConvModule(channels, channels, 3) for _ in range(4))

    def forward(self, maps: Levels) -> Levels:
        """Maps (B, dim, H/s, W/s), s = 4 .. 32, to levels (B, channels, H/s, W/s), s = 4 .. 64; some cells to the same cells."""
        return self.on_cells(maps) if isinstance(maps, SparseLevels) else self.on_maps(maps)

    def on_cells(self, maps: SparseLevels) -> SparseLevels:
        """As :meth:`on_maps`, for some cells of five levels, of which the maps are the first four."""
        cells = maps.cells
        laterals = [
            F.linear(rows, conv.weight.flatten(1), conv.bias)
            for conv, rows in zip(convs_of(self.lateral_convs), cells.split(maps.rows, 4), strict=True)
        ]
        for upper in range(len(laterals) - 1, 0, -1):
            above = F.pad(laterals[upper], (0, 0, 0, 1)).index_select(0, cells.rows_under(upper - 1))
            laterals[upper - 1] = laterals[upper - 1] + above
        smooth = cells.convolve(torch.cat(laterals), list(convs_of(self.fpn_convs)))
        return with_fifth(cells, smooth)

    def on_maps(self, maps: Sequence[Tensor], active: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Whole maps to whole levels.

        Args:
            active: per level of strides 4 to 64 the cells (B, h, w) bool that are worked on, others are zero: what
                :meth:`on_cells` computes, for a batch. None = all.
        """
        laterals = [conv(level) for conv, level in zip(self.lateral_convs, maps, strict=True)]
        for upper in range(len(laterals) - 1, 0, -1):
            size = laterals[upper - 1].shape[-2:]
            laterals[upper] = only(laterals[upper], active, upper)
            laterals[upper - 1] = laterals[upper - 1] + F.interpolate(laterals[upper], size=size, mode="nearest")
        laterals[0] = only(laterals[0], active, 0)
        smooth = (conv(level) for conv, level in zip(self.fpn_convs, laterals, strict=True))
        levels = [only(level, active, number) for number, level in enumerate(smooth)]
        return [*levels, F.max_pool2d(levels[-1], 1, stride=2)]


def only(level: Tensor, active: Sequence[Tensor] | None, number: int) -> Tensor:
    """A level (B, C, h, w) that is zero outside the cells `active[number]` (B, h, w) bool; as it is without `active`."""
    return level if active is None else level * active[number][:, None]


def with_fifth(cells: Cells, rows: Tensor) -> SparseLevels:
    """Rows (R, C) of four levels, and the fifth, which is every second pixel of the fourth."""
    return SparseLevels(torch.cat((rows, rows.index_select(0, cells.rows_of_every_second(4)))), cells)


def convs_of(modules: nn.ModuleList) -> Iterable[nn.Conv2d]:
    """The convolutions inside a list of :class:`ConvModule`."""
    return (cast(ConvModule, module).conv for module in modules)


class ConvModule(nn.Module):
    """A convolution under the extra name level `conv` that mmdet gives it."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(cast(Tensor, self.conv.bias))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)
