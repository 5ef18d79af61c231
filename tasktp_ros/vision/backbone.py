# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The detector's backbone: a ViT whose blocks are run by a token reduction method, wrapped by the ViT-Adapter."""

from collections.abc import Iterable
from typing import TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.adapter import (
    INTERACTIONS,
    Interaction,
    SpatialPrior,
    cells_around,
    initialise_convolutions,
    split_scales,
    to_sequence,
    tokens_around,
)
from tasktp_ros.vision.cells import Cells, Levels, Shapes, SparseLevels, cell_count, level_cells_around
from tasktp_ros.vision.constants import cached
from tasktp_ros.vision.deformable import DeformableAttention
from tasktp_ros.vision.image import token_shape
from tasktp_ros.vision.reducer import NothingRelevant, Reducer, ReductionState
from tasktp_ros.vision.sampling import linear_corners, sum_rows
from tasktp_ros.vision.stages import stage
from tasktp_ros.vision.static_adapter import extract_around, inject_around
from tasktp_ros.vision.upsample import Upsample2x
from tasktp_ros.vision.vit import PatchEmbed, ScaledBlock, initialise_transformer, resize_position_embedding

Maps: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]


class Backbone(nn.Module):
    """Image to four feature maps of strides 4, 8, 16 and 32.

    Args:
        dim: token channels C.
        heads: attention heads of the blocks.
        deformable_heads: heads of the adapter's deformable attention.
        stem_width: channels of the spatial prior's stem.
        reducer: how the blocks are run; its gates are registered here under their published names.
        depth: number of blocks, a multiple of four.
        deformable_ratio: width of the deformable attention's values, as a share of C.
        layer_scale: blocks have it, as ViT-Adapter released them.
        pretrained_grid: tokens of a side of the position embedding.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        deformable_heads: int,
        stem_width: int,
        reducer: Reducer,
        *,
        depth: int = 12,
        deformable_ratio: float = 1.0,
        layer_scale: bool = False,
        pretrained_grid: int = 14,
    ) -> None:
        super().__init__()
        self.reducer = reducer
        self.blocks_per_interaction = depth // INTERACTIONS
        self.pos_embed = nn.Parameter(torch.zeros(1, pretrained_grid**2 + 1, dim))
        self.level_embed = nn.Parameter(torch.zeros(3, dim))
        self.patch_embed = PatchEmbed(dim)
        block_type = ScaledBlock if layer_scale else reducer.block_type
        self.blocks = nn.Sequential(*(block_type(dim, heads) for _ in range(depth)))
        reducer.register_into(self)
        self.spm = SpatialPrior(dim, stem_width)
        last = INTERACTIONS - 1
        self.interactions = nn.Sequential(
            *(Interaction(dim, deformable_heads, i == last, deformable_ratio) for i in range(INTERACTIONS))
        )
        self.up = Upsample2x(dim, dim)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.BatchNorm2d(dim) for _ in range(4))
        self.initialise()

    def initialise(self) -> None:
        """Fresh weights: DeiT's for the transformer, ViT-Adapter's for the rest."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.level_embed)
        initialise_transformer(self)
        initialise_convolutions(self)
        for part in self.interactions.modules():
            if isinstance(part, DeformableAttention):
                part.initialise()

    def forward(self, image: Tensor, relevant: Tensor | None = None) -> Levels:
        """Feature maps for a task.

        Args:
            image: (B, 3, H, W) float, normalised; H and W multiples of 32.
            relevant: (num_classes,) or (B, num_classes) bool, the task set; None = all.

        Returns:
            Four maps (B, C, H/s, W/s), s = 4, 8, 16, 32.
        """
        return self.run(image, self.reducer.begin(relevant))

    def run(self, image: Tensor, state: ReductionState) -> Levels:
        """As :meth:`forward`, with the reduction's state given, which afterwards tells which tokens were kept.

        Beyond reach "blocks", injectors and extractors after a gate work around kept tokens only; for one image, so does what
        follows, and the maps come as the cells around what the last gate kept.

        Raises:
            ValueError: H or W is not a multiple of 32.
            NothingRelevant: under reach "frame", a gate sees nothing of the task; or the last gate kept nothing to work around.
        """
        lines, columns = state.grid = token_shape(image)
        token_shapes = ((lines, columns),)
        state.token_shape = token_shapes[0]
        prior_shapes = ((2 * lines, 2 * columns), *token_shapes, (lines // 2, columns // 2))
        with stage("spatial_prior"):
            stride4, prior = self.embed_prior(image)
            tokens = self.patch_embed(image) + self.positions(*token_shapes[0])
        self.reducer.enter(self, tokens, state)
        for index, interaction in enumerate(cast(Iterable[Interaction], self.interactions)):
            tokens = self.inject(interaction, tokens, prior, token_shapes, prior_shapes, state)
            first = index * self.blocks_per_interaction
            blocks = list(self.blocks[first : first + self.blocks_per_interaction])
            tokens = self.reducer(blocks, first, tokens, state)
            prior = self.extract(interaction, prior, tokens, token_shapes, prior_shapes, state)
        with stage("pyramid"):
            if state.as_cells(len(image)):
                around = level_cells_around(state.keep[-1], token_shapes[0])
                return self.assemble_cells(stride4, prior, tokens, around)
            return self.assemble(stride4, split_scales(prior, prior_shapes), split_scales(tokens, token_shapes)[0])

    def inject(
        self,
        interaction: Interaction,
        tokens: Tensor,
        prior: Tensor,
        token_shapes: Shapes,
        prior_shapes: Shapes,
        state: ReductionState,
    ) -> Tensor:
        """Write the prior into the tokens (B, N, C), as far as the state reaches."""
        with stage("injector"):
            if state.around_kept and state.capacity is not None:
                return inject_around(interaction, tokens, prior, state.keep[-1], token_shapes, prior_shapes)
            near = None if state.followed is None else tokens_around(state.followed, token_shapes[0])
            return interaction.inject(tokens, prior, token_shapes, prior_shapes, near)

    def extract(
        self,
        interaction: Interaction,
        prior: Tensor,
        tokens: Tensor,
        token_shapes: Shapes,
        prior_shapes: Shapes,
        state: ReductionState,
    ) -> Tensor:
        """Read the tokens back into the prior (B, 21N/4, C), as far as the state reaches."""
        with stage("extractor"):
            if state.around_kept and state.capacity is not None:
                return extract_around(interaction, prior, tokens, state.keep[-1], token_shapes, prior_shapes)
            cells = None if state.followed is None else cells_around(state.followed, token_shapes[0])
            return interaction.extract(prior, tokens, token_shapes, prior_shapes, cells)

    def embed_prior(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map c1 (B, C, H/4, W/4) and the sequence c (B, 21N/4, C) with its level embedding."""
        stride4, sequences = self.spm(image)
        leveled = [sequence + embedding for sequence, embedding in zip(sequences, self.level_embed, strict=True)]
        return stride4, torch.cat(leveled, dim=1)

    def positions(self, height: int, width: int) -> Tensor:
        """Position embedding (1, height * width, C) of a token grid."""
        return resize_position_embedding(self.pos_embed, height, width)

    def assemble(self, stride4: Tensor, scales: list[Tensor], token_map: Tensor) -> Maps:
        """Add the resized token map to every scale and normalise: the four output maps."""
        stride8, stride16, stride32 = scales
        stride4 = self.up(stride8) + stride4
        return (
            self.norm1(stride4 + _resize(token_map, 4.0)),
            self.norm2(stride8 + _resize(token_map, 2.0)),
            self.norm3(stride16 + token_map),
            self.norm4(stride32 + _resize(token_map, 0.5)),
        )

    def assemble_cells(self, stride4: Tensor, prior: Tensor, tokens: Tensor, cells: Cells) -> SparseLevels:
        """As :meth:`assemble`, for some cells of one image; the four maps are the first levels of the cells.

        Raises:
            NothingRelevant: there is none.
        """
        if len(cells) == 0:
            raise NothingRelevant
        index = cells.index[: sum(cells.counts[:4])]
        finest, coarser = index.split([cells.counts[0], len(index) - cells.counts[0]])
        rows8, *others = prior[0].index_select(0, coarser - cell_count(cells.shapes[:1])).split(cells.counts[1:4])
        width = cells.shapes[0][1]
        corner = finest // width % 2 * 2 + finest % 2
        rows4 = self.up.quads(rows8[None, :, None].permute(0, 3, 1, 2)).flatten(0, -2)
        rows4 = rows4.index_select(0, cells.rows_under(0) * 4 + corner) + to_sequence(stride4)[0].index_select(
            0, finest
        )
        bags, shares = resizing(cells.shapes[:4], cells.shapes[2], tokens.device)
        resized = sum_rows(tokens[0], bags.index_select(0, index), shares.index_select(0, index))
        sums = cells.split(torch.cat((rows4, rows8, *others)) + resized, 4)
        norms = (self.norm1, self.norm2, self.norm3, self.norm4)
        rows = [norm(part[..., None, None]).flatten(1) for norm, part in zip(norms, sums, strict=True)]
        return SparseLevels(torch.cat(rows), cells, 4)


@cached
def resizing(shapes: Shapes, token_shape: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """What :func:`_resize` reads for each cell of these maps: four tokens (cells, 4) int64 and their shares, float32."""
    parts = []
    for shape in shapes:
        axes = []
        for size, tokens in zip(shape, token_shape, strict=True):
            position = (torch.arange(size, device=device) + 0.5) * (tokens / size) - 0.5
            axes.append(linear_corners(position.clamp(0, tokens - 1), torch.tensor(float(tokens), device=device)))
        (lines, above), (columns, left) = axes
        index = lines[:, None, :, None] * token_shape[1] + columns[None, :, None]
        share = above[:, None, :, None] * left[None, :, None]
        parts.append((index.reshape(-1, 4).long(), share.reshape(-1, 4)))
    bags, shares = zip(*parts, strict=True)
    return torch.cat(bags), torch.cat(shares)


def _resize(token_map: Tensor, factor: float) -> Tensor:
    return F.interpolate(token_map, scale_factor=factor, mode="bilinear", align_corners=False)
