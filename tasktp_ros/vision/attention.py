# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Attention over hundreds and thousands of tokens on a CPU: a few queries at a time, where that is measured to be faster than torch's own.

Torch's fused kernel multiplies small tiles of its own. Some processors run the library's whole products in bf16 so much faster that
writing the scores of a hundred queries into the cache and reading them back is worth it.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.vision.turns import least_seconds

LEAST = 128
"""Tokens from which on the difference is worth measuring."""
MOST = 1024
"""Tokens from which on the answer is the same."""
SCORES = 1 << 20
"""About how many scores are made at a time."""
ROUNDS = 4

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def attend_fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Torch's own: query, key and value (B, heads, N, D), mask (B, 1, 1, N) bool, True = may be attended, or of the
    query's dtype, added to the scores -> (B, heads, N, D)."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def attend_in_parts(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """As :func:`attend_fused`, for some queries of all heads at a time; the result lies as (B, N, heads, D) in memory."""
    batch, heads, length, width = query.shape
    query, value = query.contiguous(), value.contiguous()
    key = (key * width**-0.5).transpose(-2, -1).contiguous()
    mixed = query.new_empty(batch, length, heads, width).transpose(1, 2)
    count = max(1, SCORES // (batch * heads * length))
    for start in range(0, length, count):
        scores = query[:, :, start : start + count] @ key
        if mask is not None:
            scores = scores.masked_fill_(~mask, float("-inf")) if mask.dtype == torch.bool else scores.add_(mask)
        mixed[:, :, start : start + count] = scores.softmax(-1) @ value
    return mixed


def fastest_attention(length: int, heads: int, width: int, dtype: torch.dtype) -> Attention:
    """What is faster on this CPU for about this many tokens and heads of this width; measured once per process."""
    if length < LEAST or torch.jit.is_tracing():  # what is written down for elsewhere does not depend on this machine
        return attend_fused
    return _faster_at(min(MOST, 1 << (length.bit_length() - 1)), heads, width, dtype)


@lru_cache(maxsize=32)
def _faster_at(length: int, heads: int, width: int, dtype: torch.dtype) -> Attention:
    with torch.inference_mode():
        query, key, value = torch.ones(3, 1, heads, length, width, dtype=dtype)
        ways = (attend_fused, attend_in_parts)
        seconds = least_seconds([partial(way, query, key, value, None) for way in ways], ROUNDS)
    return ways[seconds.index(min(seconds))]
