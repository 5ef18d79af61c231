# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""EViT (Not All Patches Are What You Need): after attention, the tokens that the class token attends to least are left out.

On the map they keep their last value ("evit") or become zero ("evit_remove"); they never come back.
"""

from collections.abc import Sequence
from math import ceil
from typing import cast

import torch
from torch import Tensor, nn

from tasktp_ros.reduction.class_token import ClassTokenReducer
from tasktp_ros.reduction.inside import add_attended, add_mlp, class_attention, mix, project, put_rows
from tasktp_ros.reduction.registry import register
from tasktp_ros.reduction.schedule import (
    FIRST,
    STAGES,
    best_first,
    checked_bool,
    checked_share,
    count_or_forced,
)
from tasktp_ros.reduction.shortened import Shortened
from tasktp_ros.vision.reducer import ReductionState
from tasktp_ros.vision.stages import stage


@register("evit_remove", remove=True)
@register("evit")
class EViT(ClassTokenReducer):
    """Inside blocks 4, 7 and 10, between attention and MLP, ceil(kept * L) of the current L tokens stay.

    Args:
        dim: token channels C.
        kept: share of the current tokens that stay at each of the three stages, 0 to 1.
        fuse: the ones left out become one more token, their sum weighted by the class token's attention; it has no place on the map.
        remove: tokens left out become zero on the map; otherwise they keep their last value, that after the attention.
    """

    def __init__(self, dim: int, kept: float = 0.7, fuse: bool = False, remove: bool = False) -> None:
        super().__init__(dim)
        self.kept = checked_share("kept", kept)
        self.fuse, self.remove = checked_bool("fuse", fuse), checked_bool("remove", remove)

    def __call__(self, blocks: Sequence[nn.Module], first: int, tokens: Tensor, state: ReductionState) -> Tensor:
        left = cast(Shortened, state.memory)
        with stage("blocks"):
            left.in_order()
            left.read(tokens)
            for number, block in enumerate(blocks, start=first):
                left.rows, attention = attend(block, left.rows)
                if number in STAGES:
                    tokens = self._leave_out(left, attention, tokens, state)
                left.rows = add_mlp(block, left.rows)
                if number >= FIRST:
                    keep = left.kept()
                    state.masks.append(keep)
                    state.keep.append(keep)
            return left.written(torch.zeros_like(tokens) if self.remove else tokens)

    def _leave_out(self, left: Shortened, attention: Tensor, tokens: Tensor, state: ReductionState) -> Tensor:
        """Shorten the sequence; returns the map (B, N, C) with the last values of all."""
        current, total = attention.shape[1], tokens.shape[1]
        tokens = left.written(tokens)
        state.scores.append(
            put_rows(attention.new_zeros(len(tokens), total, 1), left.index, attention[..., None])[..., 0]
        )
        count = min(current, count_or_forced(ceil(self.kept * current), total, state))
        if count < current:
            rows, chosen = shorten(left.rows, attention, count, self.fuse)
            left.choose(chosen)
            left.rows = rows
            if self.fuse:
                left.index = torch.cat((left.index, torch.full_like(left.index[:, :1], total)), dim=1)
        return tokens


def attend(block: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (B, 1 + L, C) after a block's attention, and the class token's, averaged over heads: (B, L), at least float32."""
    query, key, value = project(block, rows)
    attention = class_attention(query, key).mean(1)[:, 1:]
    return add_attended(block, rows, mix(query, key, value)), attention


def shorten(rows: Tensor, attention: Tensor, count: int, fuse: bool) -> tuple[Tensor, Tensor]:
    """Keep the class token and the tokens it attends to most.

    Args:
        rows: (B, 1 + L, C).
        attention: (B, L).
        count: tokens to keep, fewer than L.
        fuse: append the sum of the others, each weighted by its attention as it is.

    Returns:
        rows (B, 1 + count (+ 1), C), by descending attention, and their positions among the L, (B, count) int64.
    """
    order = best_first(attention, rows.shape[1] - 1)
    chosen, others = order[:, :count], order[:, count:]
    patches = rows[:, 1:]
    parts = [rows[:, :1], patches.gather(1, chosen[..., None].expand(-1, -1, rows.shape[2]))]
    if fuse:
        weights = torch.zeros_like(attention).scatter(1, others, attention.gather(1, others))
        parts.append((weights[:, None].to(rows.dtype) @ patches).to(rows.dtype))
    return torch.cat(parts, dim=1), chosen
