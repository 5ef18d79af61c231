# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Gates between blocks: which tokens the next blocks see, decided from the tokens themselves.

Inference gathers the kept tokens, runs the blocks on them and scatters them back; training runs the blocks on all
tokens with the pruned ones hidden, which is also the slow twin the fast path is tested against.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from tasktp_ros.reduction.schedule import DEPTH, FIRST
from tasktp_ros.reduction.static import run_padded
from tasktp_ros.vision.buckets import padded
from tasktp_ros.vision.lesson import LearningSettings
from tasktp_ros.vision.reducer import NothingRelevant, Reducer, ReductionState, of_task
from tasktp_ros.vision.stages import stage


class GatedReducer(Reducer, ABC):
    """A gate before every `blocks_per_gate` blocks from `first_gated` on decides which tokens those blocks see.

    Pruned tokens keep their last value (preserve) and are scored again by the next gate (reactivate).
    """

    first_gated: ClassVar[int] = FIRST
    depth: ClassVar[int] = DEPTH
    follows_streams = True

    def __init__(self, blocks_per_gate: int) -> None:
        self.blocks_per_gate = blocks_per_gate

    def gate_count(self) -> int:
        """Gates of a network of 12 blocks."""
        return (self.depth - self.first_gated) // self.blocks_per_gate

    def gated_blocks(self) -> tuple[int, ...]:
        return tuple(range(self.first_gated, self.depth))

    def training_state(self, relevant: Tensor | None, settings: LearningSettings) -> ReductionState:
        state = super().training_state(relevant, settings)
        state.straight_through, state.sample_noise = True, settings.sample_noise
        return state

    @abstractmethod
    def select(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """Decision of one gate: (B, N, C) -> (B, N) bool; with noise (B, N) float 0 or 1 that carries a gradient."""

    def select_entering(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """As :meth:`select`; tokens that did not enter are not kept. In one image the gate does not even look at them."""
        if state.entering is None:
            return self.select(gate, tokens, state)
        if state.mask_only or tokens.shape[0] > 1:
            return self.select(gate, tokens, state) & state.entering
        index = state.entering[0].nonzero()[:, 0]
        if len(index) == 0:
            return torch.zeros_like(state.entering)
        # To the gate these are all tokens there are. The copy of the state shares the lists that the gate fills.
        decided = self.select(gate, tokens.index_select(1, index), replace(state, entering=None))
        return torch.zeros_like(state.entering).index_copy(1, index, decided)

    def nothing_relevant(self, state: ReductionState) -> Tensor:
        """Whether the last gate shows that no image holds anything of the task, () bool: it keeps no token at all, or takes the
        presence of every category of the task in every image for less probable than `state.stop_below`.
        """
        nothing = ~state.masks[-1].any()
        gate = len(state.presence) - 1
        if not 0 <= gate < len(state.stop_below):
            return nothing
        present = of_task(state.presence[gate], state.relevant).sigmoid() >= state.stop_below[gate]
        return nothing | ~present.any()

    def __call__(self, blocks: Sequence[nn.Module], first: int, tokens: Tensor, state: ReductionState) -> Tensor:
        if first < self.first_gated:
            if state.entering is None:
                return super().__call__(blocks, first, tokens, state)
            with stage("blocks"):
                return run_pruned(blocks, tokens, state.entering, state)
        for start in range(0, len(blocks), self.blocks_per_gate):
            group = blocks[start : start + self.blocks_per_gate]
            with stage("gates"):
                keep = self.select_entering((first + start - self.first_gated) // self.blocks_per_gate, tokens, state)
                state.masks.append(keep)
                if state.reach == "frame":
                    self.leave(self.nothing_relevant(state), state)
                state.keep.extend([keep.detach() > 0.5 if keep.is_floating_point() else keep] * len(group))
            with stage("blocks"):
                tokens = self.run(group, tokens, keep, state)
        return tokens

    def run(self, blocks: Sequence[nn.Module], tokens: Tensor, keep: Tensor, state: ReductionState) -> Tensor:
        """Run blocks on tokens (B, N, C), of which `keep` (B, N) says what :meth:`select` does."""
        return run_pruned(blocks, tokens, keep, state)

    def leave(self, nothing: Tensor, state: ReductionState) -> None:
        """Leave a frame in which a gate sees nothing of the task (() bool); with a capacity only remember it.

        Raises:
            NothingRelevant: it is left.
        """
        if state.capacity is not None:
            state.left.append(nothing)
        elif bool(nothing):
            raise NothingRelevant


def run_pruned(blocks: Sequence[nn.Module], tokens: Tensor, keep: Tensor, state: ReductionState) -> Tensor:
    """Run blocks on the tokens (B, N, C) that `keep` (B, N) names, the way the state asks for."""
    if state.mask_only:
        return run_masked(blocks, tokens, keep)
    return (
        run_kept(blocks, tokens, keep) if state.capacity is None else run_padded(blocks, tokens, keep, state.capacity)
    )


def run_kept(blocks: Sequence[nn.Module], tokens: Tensor, keep: Tensor) -> Tensor:
    """Gather the kept tokens, run the blocks on them, scatter them back; pruned tokens cost nothing.

    Args:
        blocks: modules called as block(tokens, key_mask).
        tokens: (B, N, C).
        keep: (B, N) bool; images may keep different numbers, also none.

    Returns:
        (B, N, C); pruned tokens unchanged. No block runs when no token is kept.
    """
    if tokens.shape[0] == 1:
        return _run_kept_of_one(blocks, tokens, keep[0].nonzero()[:, 0])
    counts = keep.sum(1)
    index = (~keep).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(counts.max())]
    valid = torch.arange(index.shape[1], device=tokens.device) < counts[:, None]
    if index.numel() == 0:
        return tokens
    gathered = tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[2]))
    # An image that keeps nothing still needs one key, or its padding rows would be a softmax over nothing.
    key_mask = valid | (counts == 0)[:, None]
    kept = gathered
    for block in blocks:
        kept = block(kept, key_mask)
    kept = torch.where(valid[..., None], kept.to(tokens.dtype), gathered)
    return tokens.scatter(1, index[..., None].expand_as(kept), kept)


def _run_kept_of_one(blocks: Sequence[nn.Module], tokens: Tensor, index: Tensor) -> Tensor:
    """:func:`run_kept` on one image (1, N, C), of which the tokens `index` (K,) are kept."""
    count = len(index)
    if count == 0:
        return tokens
    padded_index = padded(index, tokens.shape[1])
    more = len(padded_index) > count
    key_mask = (torch.arange(len(padded_index), device=tokens.device) < count)[None] if more else None
    kept = tokens.index_select(1, padded_index)
    for block in blocks:
        kept = block(kept, key_mask)
    return tokens.index_copy(1, index, kept[:, :count].to(tokens.dtype))


def run_masked(blocks: Sequence[nn.Module], tokens: Tensor, keep: Tensor) -> Tensor:
    """All tokens through the blocks with pruned keys hidden, blended by the mask: m * block(x, m) + (1 - m) * x.

    Args:
        keep: (B, N) bool, or float whose values are 0 or 1 in the forward pass and carry the gate's gradient.

    Returns:
        (B, N, C), the same as :func:`run_kept` up to rounding.
    """
    visible = keep > 0.5 if keep.is_floating_point() else keep
    key_mask = visible | ~visible.any(1, keepdim=True)
    mask = keep.to(tokens.dtype)[..., None]
    for block in blocks:
        tokens = mask * block(tokens, key_mask) + (1 - mask) * tokens
    return tokens
