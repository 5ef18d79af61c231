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

import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.pyramid import ConvModule


class StemPyramid(nn.Module):
    """A 3x3 convolution on strides 8, 16 and 32; stride 4 is only read by regions and stays as it is.

    The fifth level is every second pixel of the fourth.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.convs = nn.ModuleList(ConvModule(channels, channels, 3) for _ in range(3))

    def forward(self, maps: Sequence[Tensor], active: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Maps (B, channels, H/s, W/s), s = 4 .. 32, to levels of the same channels, s = 4 .. 64.

        Args:
            active: per level (B, h, w) bool, cells that are worked on; others are zero before and after. None = all.
        """
        masks = [None] * 5 if active is None else [level[:, None] for level in active]
        read = [_hidden(level, mask) for level, mask in zip(maps, masks, strict=False)]
        looked = (F.relu(conv(level)) for conv, level in zip(self.convs, read[1:], strict=True))
        levels = [read[0], *(_hidden(level, mask) for level, mask in zip(looked, masks[1:], strict=False))]
        return [*levels, _hidden(F.max_pool2d(levels[-1], 1, stride=2), masks[4])]


def _hidden(level: Tensor, mask: Tensor | None) -> Tensor:
    return level if mask is None else level * mask
