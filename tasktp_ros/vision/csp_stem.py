# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The trunk of a small convolutional detector in the place of nano's own stem, so that what was learned from many photos can be its start.

Layers and order are those of NanoDet-g (github.com/RangiLyu/nanodet, Apache-2.0) up to stride 16, with batch norms folded: cross stage
partial (CSP) stages of plain 3x3 convolutions. They take fewer operations than `ConvStem` (docs/performance.md).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1


class ConvLeaky(nn.Conv2d):
    """Convolution that keeps the size, or halves it with stride 2, and leaky ReLU."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(channels_in, channels, kernel, stride, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(super().forward(x), SLOPE)


class HalvedPair(nn.Module):
    """Two convolutions to half the channels, the second on the first; both results beside each other, the last one first."""

    def __init__(self, channels: int, channels_in: int | None = None) -> None:
        super().__init__()
        self.first = ConvLeaky(channels_in or channels, channels // 2)
        self.second = ConvLeaky(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return torch.cat((self.second(first), first), dim=1)


class CspStage(nn.Module):
    """A convolution, pairs and a convolution on it, and what went into them beside what came out: (B, C, h, w) to (B, 2C, h/s, w/s)."""

    def __init__(self, channels: int, pairs: int, stride: int = 2) -> None:
        super().__init__()
        self.entry = ConvLeaky(channels, channels, stride)
        self.pairs = nn.Sequential(*(HalvedPair(channels) for _ in range(pairs)))
        self.exit = ConvLeaky(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        entered = self.entry(x)
        return torch.cat((self.exit(self.pairs(entered)), entered), dim=1)


class CspTrunk(nn.Module):
    """Maps of strides 4, 8 and 16 with 64, 128 and 256 channels."""

    channels = (64, 128, 256)

    def __init__(self) -> None:
        super().__init__()
        self.entry = ConvLeaky(3, 32, 2)
        self.stride4 = CspStage(32, 1, 1)
        self.stride8 = CspStage(64, 2)
        self.stride16 = CspStage(128, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image (B, 3, H, W), normalised, RGB, to maps (B, C, H/s, W/s)."""
        stride4 = self.stride4(F.max_pool2d(self.entry(image), 3, 2, 1))
        stride8 = self.stride8(stride4)
        return stride4, stride8, self.stride16(stride8)


class CspStem(nn.Module):
    """:class:`CspTrunk`, and tokens of `dim` channels from its coarsest map."""

    channels = CspTrunk.channels[:2]

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.trunk = CspTrunk()
        self.tokens = nn.Conv2d(CspTrunk.channels[2], dim, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`tasktp_ros.vision.stem_backbone.ConvStem.forward`."""
        stride4, stride8, stride16 = self.trunk(image)
        return stride4, stride8, self.tokens(stride16)
