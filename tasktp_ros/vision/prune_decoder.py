# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's prune decoder, F_prune of equation (6): how much each image token has to do with the goal."""

import torch
from torch import Tensor, nn

from tasktp_ros.vision.sam_decoder import PositionalEncoding
from tasktp_ros.vision.sam_encoder import CHANNELS, neck
from tasktp_ros.vision.two_way import TwoWayTransformer


class PruneDecoder(nn.Module):
    """One for all stages; parameters are named as VLTP's code names its prune head.

    Args:
        dim: channels of the image tokens (D of the paper).
        channels: of the guidance (d).
        hidden: width of the transformer's MLPs.
        heads: attention heads.
    """

    def __init__(self, dim: int, channels: int = CHANNELS, hidden: int = 2048, heads: int = 8) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(channels, heads, hidden)
        self.mask_tokens = nn.Embedding(1, channels)
        self.input_neck = neck(dim, channels)
        # Scores are not scaled, so fresh ones would have a spread of sqrt(channels) and lie far out on the sigmoid.
        nn.init.constant_(self.transformer.norm_final_attn.weight, channels**-0.5)

    def forward(self, tokens: Tensor, positions: Tensor, no_mask: Tensor, guidance: Tensor) -> Tensor:
        """Equation (6): relation scores P_m, as logits.

        Scores are ranked by these and not by their sigmoid, which is exactly 1 for many tokens in float32.

        Args:
            tokens: (B, H, W, D).
            positions: (1, d, H, W) positional encoding of the grid.
            no_mask: (1, d, 1, 1) dense prompt.
            guidance: (B, d), each image's own.

        Returns:
            (B, H * W), row-major.
        """
        query, image = self.look(tokens, positions, no_mask, guidance)
        return relation_scores(image, query)

    def look(self, tokens: Tensor, positions: Tensor, no_mask: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """Equations (7) to (9): the learned query (B, d) and the image tokens (B, N, d) after both have seen each other."""
        image = (self.input_neck(tokens.permute(0, 3, 1, 2)) + no_mask).flatten(2).mT
        query = self.mask_tokens.weight.expand(len(tokens), 1, -1)
        queries = torch.cat((query, guidance[:, None].to(query.dtype)), 1)
        queries, image = self.transformer(queries, image, positions.flatten(2).mT)
        return queries[:, 0], image


class SlimPruneDecoder(PruneDecoder):
    """For small encoders: at SAM's 256 channels, scoring nano's tokens twice costs more than pruning them saves.

    It brings positions of its own width, and a layer that narrows the guidance.

    Args:
        dim: channels of the image tokens.
        channels: inside, a multiple of 16.
    """

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__(dim, channels, hidden=4 * channels)
        self.positions = PositionalEncoding(channels)
        self.reduce = nn.Linear(CHANNELS, channels)

    def look(self, tokens: Tensor, positions: Tensor, no_mask: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """As `PruneDecoder.look`, with its own positions, no dense prompt, and guidance (B, 256)."""
        own = self.positions(tokens.shape[1], tokens.shape[2])
        return super().look(tokens, own, own.new_zeros(1, 1, 1, 1), self.reduce(guidance))


def relation_scores(image: Tensor, query: Tensor) -> Tensor:
    """Equation (10): inner product of each image token (B, N, d) with the query (B, d): (B, N), at least float32.

    Half precision, in which training multiplies matrices, would make ties of most of them.
    """
    kind = torch.promote_types(image.dtype, torch.float32)
    return (image.to(kind) * query[:, None].to(kind)).sum(-1)
