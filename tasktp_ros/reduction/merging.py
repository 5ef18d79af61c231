# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Methods that merge similar tokens inside blocks 4, 7 and 10 instead of leaving some out.

Before an interaction every place gets a copy of the token it was merged into; after it the same groups are merged again.
Attention counts a merged token as often as it has members, by adding the logarithm of its size to its logits as a key.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from tasktp_ros.reduction.inside import add_attended, add_mlp, mix, project, rows_of
from tasktp_ros.reduction.schedule import DEPTH, FIRST, STAGES, checked_share, count_or_forced
from tasktp_ros.vision.reducer import Reducer, ReductionState
from tasktp_ros.vision.stages import stage


@dataclass
class Groups:
    """Which tokens were merged.

    Attributes:
        place: (B, N) int64, where in the shortened sequence each token of the map is.
        count: length T of that sequence.
        keep: (B, N) bool, the first member of each group: as many tokens as blocks run on.
    """

    place: Tensor
    count: int
    keep: Tensor


class MergingReducer(Reducer, ABC):
    """In blocks 4, 7 and 10, between attention and MLP, T tokens become int(kept * T).

    Args:
        kept: share of the current tokens that stay at each of the three stages, 0 to 1.
    """

    def __init__(self, kept: float) -> None:
        self.kept = checked_share("kept", kept)

    def gated_blocks(self) -> tuple[int, ...]:
        return tuple(range(FIRST, DEPTH))

    @abstractmethod
    def group(self, metric: Tensor, count: int) -> Tensor:
        """Put tokens together by what they are like.

        Args:
            metric: (B, T, D) float, keys averaged over heads.
            count: tokens that should be left.

        Returns:
            (B, T) int64, the place of each token in the new sequence; in all images the same number of places is used, from 0.
        """

    def __call__(self, blocks: Sequence[nn.Module], first: int, tokens: Tensor, state: ReductionState) -> Tensor:
        if first < FIRST:
            return super().__call__(blocks, first, tokens, state)
        state.everywhere = True
        groups = cast(Groups | None, state.memory)
        with stage("blocks"):
            merged, sizes = (tokens, None) if groups is None else merge(tokens, groups.place, groups.count)
            for number, block in enumerate(blocks, start=first):
                query, key, value = project(block, merged)
                bias = None if sizes is None else sizes.log().to(query.dtype)[:, None, None, :, 0]
                merged = add_attended(block, merged, mix(query, key, value, bias))
                if number in STAGES:
                    place, count = self._placed(key.mean(1), state)
                    merged, sizes = merge(merged, place, count, sizes)
                    groups = extended(groups, place, count)
                    state.memory = groups
                    state.groups.append(by_first_appearance(groups))
                merged = add_mlp(block, merged)
                state.masks.append(cast(Groups, groups).keep)
                state.keep.append(cast(Groups, groups).keep)
            return tokens if groups is None else rows_of(merged, groups.place)

    def _placed(self, metric: Tensor, state: ReductionState) -> tuple[Tensor, int]:
        total, whole = metric.shape[1], metric.shape[1] if state.memory is None else state.memory.place.shape[1]
        wanted = min(total, count_or_forced(int(self.kept * total), whole, state))
        count = max(1, wanted, total - self.most_merged(total))
        # In mixed precision, too, similarities of bf16 would put unlike tokens together.
        with torch.no_grad(), torch.autocast(metric.device.type, enabled=False):
            return self.group(metric.to(torch.promote_types(metric.dtype, torch.float32)), count), count

    def most_merged(self, total: int) -> int:
        """How many of `total` tokens one stage can merge into others."""
        return total - 1


def merge(tokens: Tensor, place: Tensor, count: int, sizes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean of the tokens at each place, weighted by their sizes.

    Args:
        tokens: (B, T, C).
        place: (B, T) int64 in [0, count).
        sizes: (B, T, 1), members of each token; None = one each.

    Returns:
        Tokens (B, count, C) and their sizes (B, count, 1), these at least float32.
    """
    exact = torch.promote_types(tokens.dtype, torch.float32)
    if sizes is None:
        sizes = torch.ones(*tokens.shape[:2], 1, dtype=exact, device=tokens.device)
    weighed = torch.cat((tokens.to(exact) * sizes, sizes), dim=-1)
    empty = weighed.new_zeros(len(tokens), count, weighed.shape[-1])
    sums = empty.scatter_add(1, place[..., None].expand_as(weighed), weighed)
    return (sums[..., :-1] / sums[..., -1:]).to(tokens.dtype), sums[..., -1:]


def extended(groups: Groups | None, place: Tensor, count: int) -> Groups:
    """Groups of the map's tokens after their groups were merged further: `place` (B, T) int64 of each group in the new sequence."""
    whole = place if groups is None else place.gather(1, groups.place)
    index = torch.arange(whole.shape[1], device=whole.device).expand_as(whole)
    first = torch.full((len(whole), count), whole.shape[1], device=whole.device)
    first = first.scatter_reduce(1, whole, index, "amin")
    keep = torch.zeros_like(whole, dtype=torch.bool).scatter(1, first, True)
    return Groups(whole, count, keep)


def by_first_appearance(groups: Groups) -> Tensor:
    """The group of each token (B, N) int64, in the order of their first members."""
    rank = groups.keep.cumsum(1) - 1
    number = torch.zeros(len(rank), groups.count, dtype=torch.int64, device=rank.device)
    number = number.scatter_reduce(1, groups.place, rank.masked_fill(~groups.keep, 0), "amax")
    return number.gather(1, groups.place)
