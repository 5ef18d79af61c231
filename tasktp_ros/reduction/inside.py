# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The parts of a block, for methods that reduce between its attention and its MLP or look at what attention sees."""

from typing import cast

import torch
from torch import Tensor, nn

from tasktp_ros.vision.attention import attend_fused, fastest_attention
from tasktp_ros.vision.vit import Attention, Block


def project(block: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of tokens (B, N, C), each (B, heads, N, D)."""
    attention = cast(Attention, block.attn)
    packed = attention.qkv(cast(Block, block).norm1(tokens))
    return packed.unflatten(-1, (3, attention.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def mix(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention of some queries to all keys.

    Args:
        query: (B, heads, Q, D).
        key, value: (B, heads, N, D).
        bias: (B, 1, 1, N) bool, True = may be attended, or of the query's dtype, added to the logits; None = all alike.

    Returns:
        (B, Q, C).
    """
    if (
        query.requires_grad and query.device.type == "cpu"
    ):  # the backward of the fused form is slow there, see `vit.attend`
        mixed = _weights(query, key, bias).to(value.dtype) @ value
    elif query.device.type == "cpu":
        mixed = fastest_attention(key.shape[2], key.shape[1], key.shape[3], key.dtype)(query, key, value, bias)
    else:
        mixed = attend_fused(query, key, value, bias)
    return mixed.transpose(1, 2).flatten(2)


def class_attention(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much the class token, which is first, attends to each token: (B, heads, N), at least float32, rows sum to 1.

    mask: (B, N) bool, True = may be attended.
    """
    return _weights(query[:, :, :1], key, None if mask is None else mask[:, None, None])[:, :, 0]


def _weights(query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if bias is not None and bias.dtype == torch.bool:
        logits = logits.masked_fill(~bias, float("-inf"))
    elif bias is not None:
        logits = logits + bias
    return logits.softmax(-1)


def add_attended(block: nn.Module, tokens: Tensor, mixed: Tensor) -> Tensor:
    """Tokens (B, N, C) plus the block's projection of what attention mixed (B, N, C)."""
    known = cast(Block, block)
    return tokens + known.branch(_scaled(known, "gamma1", known.attn.proj(mixed)))


def add_mlp(block: nn.Module, tokens: Tensor) -> Tensor:
    """Tokens (B, N, C) plus the block's MLP of them."""
    known = cast(Block, block)
    return tokens + known.branch(_scaled(known, "gamma2", known.mlp(known.norm2(tokens))))


def _scaled(block: Block, name: str, values: Tensor) -> Tensor:
    """What a branch adds, (B, N, C), under the layer scale of blocks that have one."""
    scale = getattr(block, name, None)
    return values if scale is None else values * scale


def rows_of(tokens: Tensor, index: Tensor) -> Tensor:
    """Tokens (B, N, C) at the places `index` (B, K) int64: (B, K, C)."""
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[2]))


def put_rows(tokens: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """Tokens (B, N, C) with `rows` (B, K, C) at the places `index` (B, K) int64; a row whose place is N is left out."""
    spare = torch.cat((tokens, tokens[:, :1]), dim=1)
    return spare.scatter(1, index[..., None].expand_as(rows), rows.to(tokens.dtype))[:, :-1]


def mask_of(index: Tensor, total: int) -> Tensor:
    """(B, total) bool, which places `index` (B, K) int64 names; `total` itself is no place."""
    mask = torch.zeros(len(index), total + 1, dtype=torch.bool, device=index.device)
    return mask.scatter(1, index, True)[:, :total]
