# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Plain vision transformer parts: patch embedding, position embedding and the pre-norm block in both published namings.

A block is the unit every token reduction method runs, so it takes a token sequence of any length and, for training,
a mask of keys that may not be attended.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.vision.attention import attend_fused, fastest_attention
from tasktp_ros.vision.constants import hold

WINDOW = 14
"""Tokens of a window's side, where attention is cut into windows."""


class PatchEmbed(nn.Module):
    """16x16 patches to tokens: (B, 3, H, W) -> (B, H/16 * W/16, C), row-major."""

    def __init__(self, dim: int, patch: int = 16) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


def resize_position_embedding(pos_embed: Tensor, height: int, width: int) -> Tensor:
    """Bicubic resize of a square position embedding to a token grid.

    Args:
        pos_embed: (1, 1 + S * S, C); slot 0 belongs to a class token and is not used here.
        height, width: size of the token grid.

    Returns:
        (1, height * width, C), same dtype.
    """
    side = int((pos_embed.shape[1] - 1) ** 0.5)
    grid = pos_embed[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid.float(), size=(height, width), mode="bicubic", align_corners=False)
    return grid.flatten(2).transpose(1, 2).to(pos_embed.dtype)


class Positions:
    """Position embeddings of token grids, each resized once: of a backbone whose `pos_embed` no longer changes."""

    most = 16

    def __init__(self, backbone: nn.Module) -> None:
        self.backbone = backbone
        self._known: dict[tuple[int, int], Tensor] = {}

    def __call__(self, height: int, width: int) -> Tensor:
        """As :func:`resize_position_embedding`."""
        if (height, width) not in self._known:
            if len(self._known) == self.most:
                self._known.clear()
            with torch.inference_mode(False):
                self._known[height, width] = resize_position_embedding(
                    cast(Tensor, self.backbone.pos_embed), height, width
                )
        return hold(self._known[height, width])


def attend(packed: Tensor, heads: int, key_mask: Tensor | None) -> Tensor:
    """Multi-head attention on packed projections.

    Args:
        packed: (B, N, 3C), queries, keys and values one after the other.
        key_mask: (B, N) bool, True = may be attended; None = all. A row must not be all False.

    Returns:
        (B, N, C).
    """
    batch, length, channels = packed.shape
    query, key, value = packed.view(batch, length, 3, heads, channels // (3 * heads)).permute(2, 0, 3, 1, 4)
    mask = None if key_mask is None else key_mask[:, None, None, :]
    if packed.requires_grad and packed.device.type == "cpu":
        mixed = _attend_step_by_step(query, key, value, mask)
    elif packed.device.type == "cpu":
        mixed = fastest_attention(length, heads, query.shape[-1], query.dtype)(query, key, value, mask)
    else:
        mixed = attend_fused(query, key, value, mask)
    return mixed.transpose(1, 2).reshape(batch, length, channels // 3)


def _attend_step_by_step(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """The fused attention's textbook form: on a CPU its backward is several times faster at a few hundred tokens."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1).to(value.dtype) @ value


def attend_in_windows(packed: Tensor, heads: int, grid: tuple[int, int], side: int = WINDOW) -> Tensor:
    """:func:`attend` within windows of `side` x `side` tokens, cut from the top left corner and not shifted.

    The packed projections are padded with zeros at the bottom and on the right up to whole windows, and the padding is
    not masked: each padded position is a key of zeros, which takes exp(0) of the softmax, as in the published code.

    Args:
        packed: (B, N, 3C), queries, keys and values one after the other.
        grid: (height, width) of the token map, height * width = N, row-major.

    Returns:
        (B, N, C).
    """
    batch, _, channels = packed.shape
    height, width = grid
    padded = F.pad(packed.unflatten(1, grid), (0, 0, 0, -width % side, 0, -height % side))
    lines, columns = padded.shape[1] // side, padded.shape[2] // side
    windows = (
        padded.view(batch, lines, side, columns, side, channels).transpose(2, 3).reshape(-1, side * side, channels)
    )
    mixed = attend(windows, heads, None).view(batch, lines, columns, side, side, -1).transpose(2, 3)
    return mixed.reshape(batch, lines * side, columns * side, -1)[:, :height, :width].flatten(1, 2)


def drop_path(branch: Tensor, rate: float) -> Tensor:
    """Stochastic depth: leave a residual branch (B, N, C) out for whole images with probability `rate`."""
    alive = torch.rand(len(branch), 1, 1, device=branch.device) >= rate
    return branch * alive / (1.0 - rate)


class Residual(nn.Module):
    """A block's residual branches, left out at random in training when `drop_rate` is set."""

    drop_rate: float = 0.0

    def branch(self, values: Tensor) -> Tensor:
        """What is added to the tokens, (B, N, C)."""
        return drop_path(values, self.drop_rate) if self.training and self.drop_rate else values


class Attention(nn.Module):
    """Multi-head self-attention with timm's parameter names."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, key_mask: Tensor | None = None, windows: tuple[int, int] | None = None) -> Tensor:
        """(B, N, C) -> (B, N, C); `windows` as in :meth:`ScaledBlock.forward`."""
        packed = self.qkv(tokens)
        mixed = (
            attend(packed, self.heads, key_mask) if windows is None else attend_in_windows(packed, self.heads, windows)
        )
        return self.proj(mixed)


class Mlp(nn.Module):
    """Two linear layers around an erf GELU; also the head of every gate."""

    def __init__(self, dim: int, hidden: int, out: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim if out is None else out)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens)))


class Block(Residual):
    """Pre-norm transformer block with timm's names; norm eps 1e-6 as in DeiT."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, tokens: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Run the block: (B, N, C) -> (B, N, C); `key_mask` as in :func:`attend`."""
        tokens = tokens + self.branch(self.attn(self.norm1(tokens), key_mask))
        return tokens + self.branch(self.mlp(self.norm2(tokens)))


class ScaledBlock(Block):
    """The block with layer scale, as ViT-Adapter released it: each branch is multiplied channel by channel before it is added.

    Its gammas come first in the state dict, as published.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__(dim, heads, mlp_ratio)
        self.gamma1 = nn.Parameter(torch.ones(dim))
        self.gamma2 = nn.Parameter(torch.ones(dim))

    def forward(self, tokens: Tensor, key_mask: Tensor | None = None, windows: tuple[int, int] | None = None) -> Tensor:
        """Run the block: (B, N, C) -> (B, N, C); `key_mask` as in :func:`attend`.

        Args:
            windows: (height, width) of the token map, to attend within windows (see `vision.windows`); None = globally.
        """
        attended = self.attn(self.norm1(tokens), key_mask, windows)
        tokens = tokens + self.branch(self.gamma1 * attended)
        return tokens + self.branch(self.gamma2 * self.mlp(self.norm2(tokens)))


class EncoderLayerBlock(nn.Module):
    """The same block with the names and the norm eps (1e-5) of torch's encoder layer, as SViT published it."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.TransformerEncoderLayer = _EncoderLayer(dim, heads, int(dim * mlp_ratio))

    def forward(self, tokens: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Run the block: (B, N, C) -> (B, N, C); `key_mask` as in :func:`attend`."""
        return self.TransformerEncoderLayer(tokens, key_mask)


class _EncoderLayer(Residual):
    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = _PackedAttention(dim, heads)
        self.linear1 = nn.Linear(dim, hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.norm1 = nn.LayerNorm(dim, eps=1e-5)
        self.norm2 = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, tokens: Tensor, key_mask: Tensor | None) -> Tensor:
        tokens = tokens + self.branch(self.self_attn(self.norm1(tokens), key_mask))
        return tokens + self.branch(self.linear2(F.gelu(self.linear1(self.norm2(tokens)))))


class _PackedAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, key_mask: Tensor | None) -> Tensor:
        packed = F.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        return self.out_proj(attend(packed, self.heads, key_mask))


def initialise_transformer(module: nn.Module) -> None:
    """DeiT's start for a fresh network: truncated normal 0.02 for linear weights, zero biases, unit norms."""
    for child in module.modules():
        if isinstance(child, nn.Linear):
            nn.init.trunc_normal_(child.weight, std=0.02)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, _PackedAttention):
            nn.init.trunc_normal_(child.in_proj_weight, std=0.02)
