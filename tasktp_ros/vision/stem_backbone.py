# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Nano's backbone: convolutions first, then a transformer on what they make, and no second branch beside it.

Convolutions take the place of the first three blocks, which see every token anyway: trained from nothing they learn from a tenth
of the images, and they cost half as much (docs/performance.md). Whatever comes after them lies behind a gate. After the last block
tokens are resized and added to the convolutions' maps, one 1x1 convolution per level, as in DEIMv2's and EdgeCrafter's adapters.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.adapter import initialise_convolutions, to_sequence
from tasktp_ros.vision.backbone import Maps, resizing
from tasktp_ros.vision.cells import Cells, Levels, SparseLevels, level_cells_around
from tasktp_ros.vision.csp_stem import CspStem
from tasktp_ros.vision.image import token_shape
from tasktp_ros.vision.reducer import NothingRelevant, Reducer, ReductionState
from tasktp_ros.vision.sampling import sum_rows
from tasktp_ros.vision.stages import stage
from tasktp_ros.vision.vit import initialise_transformer, resize_position_embedding


class ConvStem(nn.Module):
    """Four 3x3 convolutions of stride 2, the last two followed by residual ones: strides 4 and 8 keep fine detail, 16 are tokens.

    Args:
        dim: token channels C.
        width: channels at stride 2; strides 4 and 8 have two and four times as many.
        residuals: residual pairs of convolutions at each of strides 8 and 16.
    """

    def __init__(self, dim: int, width: int, residuals: int = 2) -> None:
        super().__init__()
        self.channels = 2 * width, 4 * width
        self.stride2 = ConvNorm(3, width, 2)
        self.stride4 = ConvNorm(width, 2 * width, 2)
        self.stride8 = _stage(2 * width, 4 * width, residuals)
        self.stride16 = _stage(4 * width, dim, residuals)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) -> maps (B, 2 width, H/4, W/4), (B, 4 width, H/8, W/8) and tokens (B, C, H/16, W/16)."""
        stride4 = F.relu(self.stride4(F.relu(self.stride2(image))))
        stride8 = self.stride8(stride4)
        return stride4, stride8, self.stride16(stride8)


def _stage(channels_in: int, channels: int, residuals: int) -> nn.Sequential:
    """Half the resolution, then residual pairs."""
    return nn.Sequential(ConvNorm(channels_in, channels, 2), *(ResidualPair(channels) for _ in range(residuals)))


class ConvNorm(nn.Module):
    """3x3 convolution and batch norm."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class ResidualPair(nn.Module):
    """Two 3x3 convolutions on what they are added to, with nothing after the sum: tokens are not cut at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels)
        self.second = ConvNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class StemBackbone(nn.Module):
    """Image to four feature maps of strides 4, 8, 16 and 32, with `channels` each.

    Args:
        dim: token channels C.
        heads: attention heads.
        stem: image to maps of strides 4 and 8, with its `channels`, and tokens of `dim` channels.
        channels: of the maps.
        reducer: how the blocks are run; its gates are registered here.
        depth: number of blocks with those that convolutions stand for, a multiple of three.
    """

    pretrained_grid = 14
    blocks_per_group = 3
    first_block = 3
    """Number of blocks that convolutions stand for: `blocks` begins with this one, counted from 0."""

    def __init__(
        self, dim: int, heads: int, stem: ConvStem | CspStem, channels: int, reducer: Reducer, depth: int = 12
    ) -> None:
        super().__init__()
        self.reducer = reducer
        self.stem = stem
        self.pos_embed = nn.Parameter(torch.zeros(1, self.pretrained_grid**2 + 1, dim))
        self.blocks = nn.Sequential(*(reducer.block_type(dim, heads) for _ in range(self.first_block, depth)))
        reducer.register_into(self)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.lateral4 = nn.Conv2d(stem.channels[0], channels, 1)
        self.lateral8 = nn.Conv2d(stem.channels[1], channels, 1)
        self.lateral16 = nn.Linear(dim, channels)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        initialise_transformer(self)
        initialise_convolutions(self)

    def forward(self, image: Tensor, relevant: Tensor | None = None) -> Levels:
        """Feature maps for a task; arguments and result as `vision.backbone.Backbone.forward`."""
        return self.run(image, self.reducer.begin(relevant))

    def run(self, image: Tensor, state: ReductionState) -> Levels:
        """As :meth:`forward`, with the reduction's state given, which afterwards tells which tokens were kept.

        Beyond reach "blocks" the maps of one image come as the cells around what the last gate kept.

        Raises:
            ValueError: H or W is not a multiple of 32.
            NothingRelevant: under reach "frame", a gate sees nothing of the task; or the last gate kept nothing to work around.
        """
        shape = state.grid = token_shape(image)
        with stage("stem"):
            stride4, stride8, token_map = self.stem(image)
            tokens = to_sequence(token_map) + self.positions(*shape)
        self.reducer.enter(self, tokens, state)
        for first in range(0, len(self.blocks), self.blocks_per_group):
            blocks = list(self.blocks[first : first + self.blocks_per_group])
            tokens = self.reducer(blocks, self.first_block + first, tokens, state)
        with stage("pyramid"):
            if state.as_cells(len(image)):
                around = level_cells_around(state.keep[-1], shape)
                return self.assemble_cells(stride4, stride8, tokens, around)
            return self.assemble(stride4, stride8, tokens, shape)

    def positions(self, height: int, width: int) -> Tensor:
        """Position embedding (1, height * width, C) of a token grid."""
        return resize_position_embedding(self.pos_embed, height, width)

    def assemble(self, stride4: Tensor, stride8: Tensor, tokens: Tensor, shape: tuple[int, int]) -> Maps:
        """Tokens resized and added to the stem's map of stride 8: the four maps (B, channels, H/s, W/s), the finest without tokens."""
        stride16 = self.lateral16(self.norm(tokens)).unflatten(1, shape).permute(0, 3, 1, 2)
        doubled = F.interpolate(stride16, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.lateral4(stride4), self.lateral8(stride8) + doubled, stride16, F.avg_pool2d(stride16, 2)

    def assemble_cells(self, stride4: Tensor, stride8: Tensor, tokens: Tensor, cells: Cells) -> SparseLevels:
        """As :meth:`assemble`, for some cells of one image; the four maps are the first levels of the cells.

        Raises:
            NothingRelevant: there is none.
        """
        if len(cells) == 0:
            raise NothingRelevant
        finest, middle = cells.counts[:2]
        bags, shares = resizing(cells.shapes[:4], cells.shapes[2], tokens.device)
        coarser = cells.index[finest : sum(cells.counts[:4])]
        semantic = self.lateral16(self.norm(tokens))[0]
        rows = sum_rows(semantic, bags.index_select(0, coarser), shares.index_select(0, coarser))
        rows8 = rows[:middle] + _rows(self.lateral8, stride8, cells.of_map(1))
        rows4 = _rows(self.lateral4, stride4, cells.of_map(0))
        return SparseLevels(torch.cat((rows4, rows8, rows[middle:])), cells, 4)


def _rows(lateral: nn.Conv2d, level: Tensor, places: Tensor) -> Tensor:
    """A 1x1 convolution of some pixels `places` (K,) int64 of a map (1, C, h, w): (K, out)."""
    return F.linear(to_sequence(level)[0].index_select(0, places), lateral.weight.flatten(1), lateral.bias)
