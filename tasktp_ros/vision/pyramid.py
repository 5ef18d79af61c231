# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Feature pyramid network with mmdet's names: four backbone maps to five levels of equal channels."""

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn


class FeaturePyramid(nn.Module):
    """Lateral 1x1, top-down nearest addition, 3x3 smoothing; the fifth level is every second pixel of the fourth."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.lateral_convs = nn.ModuleList(ConvModule(dim, channels, 1) for _ in range(4))
        self.fpn_convs = nn.ModuleList(ConvModule(channels, channels, 3) for _ in range(4))

    def forward(self, maps: Sequence[Tensor], active: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Maps (B, dim, H/s, W/s), s = 4 .. 32, to levels (B, channels, H/s, W/s), s = 4 .. 64."""
        laterals = [conv(level) for conv, level in zip(self.lateral_convs, maps, strict=True)]
        for upper in range(len(laterals) - 1, 0, -1):
            size = laterals[upper - 1].shape[-2:]
            laterals[upper - 1] = laterals[upper - 1] + F.interpolate(laterals[upper], size=size, mode="nearest")
        levels = [conv(level) for conv, level in zip(self.fpn_convs, laterals, strict=True)]
        return [*levels, F.max_pool2d(levels[-1], 1, stride=2)]


class ConvModule(nn.Module):
    """A convolution under the extra name level `conv` that mmdet gives it."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(cast(Tensor, self.conv.bias))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)
