# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""SAM's image encoder with the published names: blocks that attend within windows, some that attend everywhere, and a neck.

Both kinds of attention know relative positions. Windows are padded BEFORE the projection to queries, keys and values, so a
padded position is a key and a value like any other (those of the bias); ViT-Adapter pads after it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.errors import InputError

PATCH = 16
CHANNELS = 256
"""Of the neck, the prompts and both decoders."""


class LayerNorm2d(nn.Module):
    """Normalises the channels of each position of a map (B, C, H, W); biased variance, eps 1e-6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        last = F.layer_norm(maps.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return last.permute(0, 3, 1, 2)


def neck(dim: int, channels: int) -> nn.Sequential:
    """Map (B, dim, H, W) -> (B, channels, H, W): 1x1 and 3x3 convolution without biases, each with a norm."""
    return nn.Sequential(
        nn.Conv2d(dim, channels, 1, bias=False),
        LayerNorm2d(channels),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        LayerNorm2d(channels),
    )


@dataclass(frozen=True)
class Places:
    """Where tokens lie: `rows` and `columns`, (B, N) or (1, N) int64, of the window or, in a global block, of the grid."""

    rows: Tensor
    columns: Tensor

    @classmethod
    def all(cls, height: int, width: int, device: torch.device) -> "Places":
        """Of every token of a grid, row-major: (1, height * width)."""
        index = torch.arange(height * width, device=device)[None]
        return cls(index // width, index % width)


def relative_rows(table: Tensor, queries: int, keys: int) -> Tensor:
    """Rows of a table of relative positions for every pair of positions along one axis.

    Args:
        table: (R, d); resized along its rows, linearly, where R is not 2 * max(queries, keys) - 1.
        queries, keys: positions along the axis.

    Returns:
        (queries, keys, d).
    """
    wanted = 2 * max(queries, keys) - 1
    if len(table) != wanted:
        table = F.interpolate(table.t()[None], size=wanted, mode="linear", align_corners=False)[0].t()
    stretch_queries, stretch_keys = max(keys / queries, 1.0), max(queries / keys, 1.0)
    of_query = torch.arange(queries, device=table.device)[:, None] * stretch_queries
    of_key = torch.arange(keys, device=table.device)[None, :] * stretch_keys
    return table[(of_query - of_key + (keys - 1) * stretch_keys).long()]


class RelativeAttention(nn.Module):
    """Multi-head attention of a square of `side` x `side` positions, whose logits know how far apart two positions are."""

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads, self.side = heads, side
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, places: Places, key_mask: Tensor | None = None) -> Tensor:
        """(B, N, C) -> (B, N, C); `key_mask` (B, N) bool, True = may be attended, no row all False; None = all."""
        query, key, value = self.split(self.qkv(tokens))
        return self.proj(self.attend(query, key, value, places, places, key_mask))

    def split(self, packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, 3C) -> queries, keys and values (B, heads, N, d)."""
        batch, length, channels = packed.shape
        parts = packed.view(batch, length, 3, self.heads, channels // (3 * self.heads)).permute(2, 0, 3, 1, 4)
        return parts[0], parts[1], parts[2]

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, at: Places, of: Places, key_mask: Tensor | None
    ) -> Tensor:
        """Queries (B, heads, N, d) at `at` read M keys and values at `of`: (B, N, C), before the last projection."""
        bias = self._distances(query, self.rel_pos_h, at.rows, of.rows)
        bias = bias + self._distances(query, self.rel_pos_w, at.columns, of.columns)
        if key_mask is not None:
            bias = bias.masked_fill(~key_mask[:, None, None, :], float("-inf"))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return mixed.transpose(1, 2).flatten(2)

    def _distances(self, query: Tensor, table: Tensor, at: Tensor, of: Tensor) -> Tensor:
        """(B, heads, N, M): each query, not scaled, times the table's row for its distance to each key along one axis."""
        rows = relative_rows(table, self.side, self.side)[at]
        to_line = torch.einsum("bhnd,bnsd->bhns", query, rows.to(query.dtype))
        batch, heads, length, _ = query.shape
        return to_line.gather(-1, of[:, None, None, :].expand(batch, heads, length, of.shape[1]))


class Mlp(nn.Module):
    """Two linear layers around an activation, with SAM's names; erf GELU in the encoder, ReLU in the decoders."""

    def __init__(self, dim: int, hidden: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden)
        self.lin2 = nn.Linear(hidden, dim)
        self.act = activation()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.lin2(self.act(self.lin1(tokens)))


class EncoderBlock(nn.Module):
    """Pre-norm block (equation 5 of the VLTP paper), in windows of `window` or, where that is 0, over the grid."""

    def __init__(self, dim: int, heads: int, window: int, grid: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = RelativeAttention(dim, heads, window or grid)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, 4 * dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        tokens = tokens + self.attention(tokens)
        return tokens + self.mlp(self.norm2(tokens))

    def attention(self, tokens: Tensor, visible: Tensor | None = None) -> Tensor:
        """What attention adds to (B, H, W, C); of keys only those in `visible` (B, H, W) bool, and the windows' padding."""
        normed = self.norm1(tokens)
        height, width = tokens.shape[1:3]
        if not self.window:
            places = Places.all(height, width, tokens.device)
            mask = None if visible is None else _never_empty(visible.flatten(1))
            return self.attn(normed.flatten(1, 2), places, mask).view_as(tokens)
        windows = cut_windows(normed, self.window)
        places = Places.all(self.window, self.window, tokens.device)
        mask = None
        if visible is not None:
            hidden = cut_windows((~visible)[..., None].float(), self.window)[..., 0] > 0.5
            mask = _never_empty(~hidden)
        return join_windows(self.attn(windows, places, mask), self.window, height, width)


def _never_empty(mask: Tensor) -> Tensor:
    """Rows that see nothing see everything: a softmax over nothing would be NaN, and nobody reads their result."""
    return mask | ~mask.any(1, keepdim=True)


def cut_windows(tokens: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, window * window, C), zeros at the bottom and right up to whole windows; row-major."""
    batch, height, width, channels = tokens.shape
    padded = F.pad(tokens, (0, 0, 0, -width % window, 0, -height % window))
    down, across = padded.shape[1] // window, padded.shape[2] // window
    parts = padded.view(batch, down, window, across, window, channels).permute(0, 1, 3, 2, 4, 5)
    return parts.reshape(batch * down * across, window * window, channels)


def join_windows(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """The inverse of :func:`cut_windows`, without the padding: -> (B, height, width, C)."""
    down, across = -(-height // window), -(-width // window)
    parts = windows.view(-1, down, across, window, window, windows.shape[-1]).permute(0, 1, 3, 2, 4, 5)
    return parts.reshape(-1, down * window, across * window, windows.shape[-1])[:, :height, :width]


class PatchEmbed(nn.Module):
    """16x16 patches to tokens: (B, 3, H, W) -> (B, H/16, W/16, C)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, PATCH, PATCH)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).permute(0, 2, 3, 1)


class ImageEncoder(nn.Module):
    """Image (B, 3, S, S) to features (B, 256, S/16, S/16); S is one number, as position embeddings are not resized.

    Args:
        image_size: S px, a multiple of 16.
        dim, depth, heads: token channels, blocks, attention heads.
        global_blocks: indices from 0 of the blocks that attend everywhere.
        window: side of the others' windows, in tokens.
    """

    def __init__(
        self, image_size: int, dim: int, depth: int, heads: int, global_blocks: tuple[int, ...], window: int = 14
    ) -> None:
        super().__init__()
        self.img_size, self.grid = image_size, image_size // PATCH
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid, self.grid, dim))
        self.patch_embed = PatchEmbed(dim)
        self.blocks = nn.ModuleList(
            EncoderBlock(dim, heads, 0 if index in global_blocks else window, self.grid) for index in range(depth)
        )
        self.neck = neck(dim, CHANNELS)

    def forward(self, image: Tensor) -> Tensor:
        """Every token through every block. Raises InputError for another size of image."""
        tokens = self.embed(image)
        for block in self.blocks:
            tokens = block(tokens)
        return self.features(tokens)

    def embed(self, image: Tensor) -> Tensor:
        """Tokens (B, H, W, C) before the first block; raises InputError for another size of image."""
        if image.ndim != 4 or tuple(image.shape[1:]) != (3, self.img_size, self.img_size):
            raise InputError(
                f"the image encoder takes images of shape (B, 3, {self.img_size}, {self.img_size}), got {tuple(image.shape)}"
            )
        return self.patch_embed(image) + self.pos_embed

    def features(self, tokens: Tensor) -> Tensor:
        """What the neck makes of the tokens (B, H, W, C) after the last block."""
        return self.neck(tokens.permute(0, 3, 1, 2))
