# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""ATS (Adaptive Token Sampling): how many tokens stay follows from how the class token's attention is spread over them.

Scores are attention times the length of the value; tokens are drawn at even steps of their cumulated scores, and those drawn
more than once collapse. Only the rows of drawn tokens leave the block. No parameters, no loss, nothing random.
"""

from collections.abc import Sequence
from math import ceil
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.reduction.class_token import ClassTokenReducer
from tasktp_ros.reduction.inside import add_attended, add_mlp, class_attention, mask_of, mix, project, put_rows
from tasktp_ros.reduction.registry import register
from tasktp_ros.reduction.schedule import FIRST, best_first, checked_bool, checked_share
from tasktp_ros.reduction.shortened import Shortened
from tasktp_ros.vision.reducer import ReductionState
from tasktp_ros.vision.stages import stage

LEAST = 8
"""Fewest levels that are drawn at, with the class token's, where there are so many tokens."""


@register("ats_remove", remove=True)
@register("ats")
class ATS(ClassTokenReducer):
    """Samples inside every block from the fourth on, between attention and MLP.

    Args:
        dim: token channels C.
        kept: largest share of the current tokens that a block keeps, 0 to 1; 1 leaves the number to the scores alone.
        remove: tokens left out become zero on the map; otherwise they keep their last value, that before the block.
    """

    static_shapes: ClassVar[bool] = False

    def __init__(self, dim: int, kept: float = 1.0, remove: bool = False) -> None:
        super().__init__(dim)
        self.kept = checked_share("kept", kept)
        self.remove = checked_bool("remove", remove)

    def __call__(self, blocks: Sequence[nn.Module], first: int, tokens: Tensor, state: ReductionState) -> Tensor:
        left = cast(Shortened, state.memory)
        with stage("blocks"):
            left.in_order()
            left.read(tokens)
            for number, block in enumerate(blocks, start=first):
                if number < FIRST:
                    run_on(block, left)
                    continue
                tokens = left.written(tokens)
                forced = None if state.forced_share is None else ceil(state.forced_share * tokens.shape[1])
                scores, index = sample_in_block(block, left, self.kept, forced)
                state.scores.append(put_rows(scores.new_zeros(*tokens.shape[:2], 1), index, scores[..., None])[..., 0])
                keep = left.kept()
                state.masks.append(keep)
                state.keep.append(keep)
            return left.written(torch.zeros_like(tokens) if self.remove else tokens)


def run_on(block: nn.Module, left: Shortened) -> None:
    """Run a whole block on what is left."""
    query, key, value = project(block, left.rows)
    left.rows = add_mlp(block, add_attended(block, left.rows, mix(query, key, value)))


def sample_in_block(
    block: nn.Module, left: Shortened, share: float, forced: int | None = None
) -> tuple[Tensor, Tensor]:
    """Run a block, which only sampled rows leave; the class token always does.

    Rows are computed by the plain softmax: the published one has a 1e-6 in its sum, which moves nothing by more than that.

    Args:
        share: see :func:`sample`.
        forced: for benchmarks: keep so many of the best scored in place of samples.

    Returns:
        Scores (B, L) of the rows that entered, at least float32, 0 for padding; and their places (B, L) int64.
    """
    places = left.index
    query, key, value = project(block, left.rows)
    seen = None if left.valid is None else F.pad(left.valid, (1, 0), value=True)
    scores = score(class_attention(query, key, seen).detach(), value.detach(), left.valid)
    if forced is None:
        picked = sample(scores, left.valid, share)
    else:
        picked = mask_of(best_first(scores, forced), scores.shape[1])
    counts = picked.sum(1, keepdim=True)
    most = int(counts.max())
    order = (~picked).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    left.choose(order)
    if len(order) > 1:
        left.valid = torch.arange(most, device=order.device) < counts
        left.index = left.index.masked_fill(~left.valid, left.places)
    leaving = F.pad(order + 1, (1, 0))
    queries = query.gather(2, leaving[:, None, :, None].expand(-1, query.shape[1], -1, query.shape[3]))
    mixed = mix(queries, key, value, None if seen is None else seen[:, None, None])
    left.rows = add_mlp(block, add_attended(block, left.rows, mixed))
    return scores, places


def score(attention: Tensor, value: Tensor, valid: Tensor | None) -> Tensor:
    """Share of each token in what the class token takes in, weighed by how long the values are.

    Args:
        attention: (B, heads, 1 + L) of the class token.
        value: (B, heads, 1 + L, D).
        valid: (B, L) bool; None = all.

    Returns:
        (B, L), rows sum to 1; 0 for padding.
    """
    length = value.to(attention.dtype).square().sum((1, 3)).sqrt()
    weight = (attention.sum(1) * length)[:, 1:]
    weight = weight if valid is None else weight * valid
    return weight / weight.sum(1, keepdim=True)


def sample(scores: Tensor, valid: Tensor | None, share: float) -> Tensor:
    """Inverse transform sampling at even steps, as in the code (the paper's levels lie half a step off).

    Scores are sorted and cumulated to 0..1; K - 1 levels lie evenly between the smallest entry above 0 and 1; each picks the entry
    nearest to it, of the K - 1 best scored tokens.

    Args:
        scores: (B, L).
        valid: (B, L) bool; None = all.
        share: K of the 1 + L tokens, at least `LEAST`.

    Returns:
        (B, L) bool, the picked ones.
    """
    total = scores.shape[1]
    real = torch.ones_like(scores, dtype=torch.bool) if valid is None else valid
    order = scores.masked_fill(~real, torch.inf).argsort(dim=1, stable=True)
    cumulated = scores.gather(1, order).cumsum(1)
    span = cumulated[:, -1:] - cumulated[:, :1]
    cumulated = (cumulated - cumulated[:, :1]) / span.clamp(min=torch.finfo(scores.dtype).tiny)
    tokens = 1 + real.sum(1, keepdim=True)
    drawn = torch.minimum((share * tokens).round().clamp(min=LEAST).long(), tokens)
    step = torch.arange(total, device=scores.device) / (drawn - 2).clamp(min=1)
    start = cumulated.masked_fill(cumulated == 0, 1.0).amin(1, keepdim=True)
    levels = start + (1.0 - start) * step.clamp(max=1.0)
    picks = torch.maximum(nearest(cumulated.contiguous(), levels), tokens - drawn)
    in_order = torch.zeros_like(real).scatter(1, picks, True)
    return torch.zeros_like(real).scatter(1, order, in_order)


def nearest(ascending: Tensor, values: Tensor) -> Tensor:
    """Indices of the entries of (B, L) nearest to (B, K) values, the first one among equals: (B, K) int64."""
    after = torch.searchsorted(ascending, values).clamp(max=ascending.shape[1] - 1)
    before = ascending.gather(1, (after - 1).clamp(min=0))
    closer = (values - before).abs() <= (ascending.gather(1, after) - values).abs()
    return torch.where(closer, torch.searchsorted(ascending, before), after)
