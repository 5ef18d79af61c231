# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The transformer of SAM's mask decoder and of VLTP's prune decoder: a few query tokens and an image's tokens read each other.

Equations (7) to (9) of the VLTP paper are the three attentions of one layer, in this order.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.sam_encoder import Mlp


class SplitAttention(nn.Module):
    """Multi-head attention with four named projections, at `dim / downsample` channels inside."""

    def __init__(self, dim: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        self.heads, inner = heads, dim // downsample
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, N, C) reads (B, M, C): (B, N, C)."""
        parts = (self.q_proj(query), self.k_proj(key), self.v_proj(value))
        mixed = F.scaled_dot_product_attention(
            *(part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class TwoWayLayer(nn.Module):
    """One layer. `queries` (B, T, C) and `image` (B, N, C) come with their positional parts of the same shapes.

    Args:
        first: the self-attention sees no positional part, and replaces the queries instead of being added.
    """

    def __init__(self, dim: int, heads: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = SplitAttention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = SplitAttention(dim, heads, downsample=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, hidden, nn.ReLU)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = SplitAttention(dim, heads, downsample=2)

    def forward(self, queries: Tensor, image: Tensor, queries_at: Tensor, image_at: Tensor) -> tuple[Tensor, Tensor]:
        """New queries and image tokens."""
        queries = self.join_queries(queries, queries_at)
        queries = self.read_image(queries, image, queries_at, image_at)
        return queries, self.write_image(queries, image, queries_at, image_at)

    def join_queries(self, queries: Tensor, queries_at: Tensor) -> Tensor:
        """Equation (7): the queries, the guidance among them, read each other."""
        if self.first:
            return self.norm1(self.self_attn(queries, queries, queries))
        placed = queries + queries_at
        return self.norm1(queries + self.self_attn(placed, placed, queries))

    def read_image(self, queries: Tensor, image: Tensor, queries_at: Tensor, image_at: Tensor) -> Tensor:
        """Equation (8): the queries read the image."""
        read = self.cross_attn_token_to_image(queries + queries_at, image + image_at, image)
        queries = self.norm2(queries + read)
        return self.norm3(queries + self.mlp(queries))

    def write_image(self, queries: Tensor, image: Tensor, queries_at: Tensor, image_at: Tensor) -> Tensor:
        """Equation (9): the image's tokens read the queries."""
        written = self.cross_attn_image_to_token(image + image_at, queries + queries_at, queries)
        return self.norm4(image + written)


class TwoWayTransformer(nn.Module):
    """Two layers and a last look of the queries at the image.

    Args:
        dim, heads: channels and attention heads.
        hidden: width of the MLPs.
    """

    def __init__(self, dim: int, heads: int = 8, hidden: int = 2048) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(dim, heads, hidden, first=index == 0) for index in range(2))
        self.final_attn_token_to_image = SplitAttention(dim, heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, queries: Tensor, image: Tensor, image_at: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (B, T, C) and image tokens (B, N, C) that know of each other.

        Args:
            queries: (B, T, C); as they enter they are also their own positional part.
            image: (B, N, C).
            image_at: (1, N, C) positional encoding.
        """
        queries_at = queries
        for layer in self.layers:
            queries, image = layer(queries, image, queries_at, image_at)
        read = self.final_attn_token_to_image(queries + queries_at, image + image_at, image)
        return self.norm_final_attn(queries + read), image
