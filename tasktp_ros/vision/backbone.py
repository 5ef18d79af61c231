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
)
from tasktp_ros.vision.deformable import DeformableAttention
from tasktp_ros.vision.reducer import Reducer, ReductionState
from tasktp_ros.vision.stages import stage
from tasktp_ros.vision.upsample import Upsample2x
from tasktp_ros.vision.vit import PatchEmbed, initialise_transformer, resize_position_embedding

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
    """

    pretrained_grid = 14

    def __init__(
        self, dim: int, heads: int, deformable_heads: int, stem_width: int, reducer: Reducer, depth: int = 12
    ) -> None:
        super().__init__()
        self.reducer = reducer
        self.blocks_per_interaction = depth // INTERACTIONS
        self.pos_embed = nn.Parameter(torch.zeros(1, self.pretrained_grid**2 + 1, dim))
        self.level_embed = nn.Parameter(torch.zeros(3, dim))
        self.patch_embed = PatchEmbed(dim)
        self.blocks = nn.Sequential(*(reducer.block_type(dim, heads) for _ in range(depth)))
        for name, module in reducer.published_modules().items():
            self.add_module(name, module)
        self.spm = SpatialPrior(dim, stem_width)
        last = INTERACTIONS - 1
        self.interactions = nn.Sequential(*(Interaction(dim, deformable_heads, i == last) for i in range(INTERACTIONS)))
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

    def forward(self, image: Tensor, relevant: Tensor | None = None) -> Maps:
        """Feature maps for a task.

        Args:
            image: (B, 3, H, W) float, normalised; H and W multiples of 32.
            relevant: (num_classes,) or (B, num_classes) bool, the task set; None = all.

        Returns:
            Four maps (B, C, H/s, W/s), s = 4, 8, 16, 32.
        """
        return self.run(image, self.reducer.begin(relevant))

    def run(self, image: Tensor, state: ReductionState) -> Maps:
        """As :meth:`forward`, with the reduction's state given, which afterwards tells which tokens were kept.

        Raises:
            ValueError: H or W is not a multiple of 32.
            NothingRelevant: under reach "frame", a gate sees nothing of the task.
        """
        height, width = image.shape[-2:]
        if height % 32 or width % 32:
            raise ValueError(f"the backbone needs height and width in multiples of 32, got {height} x {width}")
        token_shapes = ((height // 16, width // 16),)
        prior_shapes = ((height // 8, width // 8), *token_shapes, (height // 32, width // 32))
        with stage("spatial_prior"):
            stride4, prior = self.embed_prior(image)
            tokens = self.patch_embed(image) + resize_position_embedding(self.pos_embed, *token_shapes[0])
        for index, interaction in enumerate(cast(Iterable[Interaction], self.interactions)):
            with stage("injector"):
                tokens = interaction.injector(tokens, prior, token_shapes, prior_shapes)
            first = index * self.blocks_per_interaction
            blocks = list(self.blocks[first : first + self.blocks_per_interaction])
            tokens = self.reducer(blocks, first, tokens, state)
            with stage("extractor"):
                followed = state.followed
                cells = None if followed is None else cells_around(followed, token_shapes[0])
                prior = interaction.extract(prior, tokens, token_shapes, prior_shapes, cells)
        with stage("pyramid"):
            return self.assemble(stride4, split_scales(prior, prior_shapes), split_scales(tokens, token_shapes)[0])

    def embed_prior(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map c1 (B, C, H/4, W/4) and the sequence c (B, 21N/4, C) with its level embedding."""
        stride4, sequences = self.spm(image)
        leveled = [sequence + embedding for sequence, embedding in zip(sequences, self.level_embed, strict=True)]
        return stride4, torch.cat(leveled, dim=1)

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


def _resize(token_map: Tensor, factor: float) -> Tensor:
    return F.interpolate(token_map, scale_factor=factor, mode="bilinear", align_corners=False)
