# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Nano's pyramid: the backbone's maps have mixed their scales already, so each level only needs to look around itself."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.cells import Levels, SparseLevels
from tasktp_ros.vision.pyramid import ConvModule, convs_of, only, with_fifth


class StemPyramid(nn.Module):
    """A 3x3 convolution on strides 8, 16 and 32. Stride 4, which only regions read, has what stride 8 then shows added to it.

    The fifth level is every second pixel of the fourth.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.convs = nn.ModuleList(ConvModule(channels, channels, 3) for _ in range(3))

    def forward(self, maps: Levels) -> Levels:
        """Maps (B, channels, H/s, W/s), s = 4 .. 32, to levels of the same channels, s = 4 .. 64; some cells to the same cells."""
        return self.on_cells(maps) if isinstance(maps, SparseLevels) else self.on_maps(maps)

    def on_cells(self, maps: SparseLevels) -> SparseLevels:
        """As :meth:`on_maps`, for some cells of five levels, of which the maps are the first four."""
        cells = maps.cells
        looked = F.relu(cells.convolve(maps.rows, list(convs_of(self.convs)), 1), inplace=True)
        finest = maps.rows[: cells.counts[0]] + looked.index_select(0, cells.rows_under(0))
        return with_fifth(cells, torch.cat((finest, looked)))

    def on_maps(self, maps: Sequence[Tensor], active: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Whole maps to whole levels; `active` as in `vision.pyramid.FeaturePyramid.on_maps`."""
        read = [only(level, active, number) for number, level in enumerate(maps)]
        looked = (F.relu(conv(level)) for conv, level in zip(self.convs, read[1:], strict=True))
        levels = [only(level, active, number) for number, level in enumerate(looked, 1)]
        finest = read[0] + F.interpolate(levels[0], size=read[0].shape[-2:], mode="nearest")
        return [only(finest, active, 0), *levels, F.max_pool2d(levels[-1], 1, stride=2)]
