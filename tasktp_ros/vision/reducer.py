# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A token reduction method answers one question: how are the blocks between two interactions run?

The backbone hands every method the same thing: a few blocks, the index of the first one, the tokens, and the state of
this forward pass. (Three blocks at a time rather than one, because TaskTP's mask holds for three blocks and its kept
tokens should be gathered and scattered once.) Dense is the method that just runs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tasktp_ros.vision.lesson import LearningSettings, Lesson
from tasktp_ros.vision.stages import stage
from tasktp_ros.vision.vit import Block, EncoderLayerBlock


class NothingRelevant(Exception):
    """No token of any image matters to the task, so there is nothing to detect; raised only where it was asked for."""


def of_task(presence: Tensor, relevant: Tensor | None) -> Tensor:
    """Presence logits (B, num_classes), -inf for categories outside the task set (num_classes,) or (B, num_classes) bool."""
    return presence if relevant is None else presence.masked_fill(~relevant, float("-inf"))


@dataclass
class ReductionState:
    """What one forward pass knows about its task and remembers about its tokens.

    Attributes:
        relevant: (num_classes,) or (B, num_classes) bool task set; None = all categories.
        threshold: a token is kept when its score exceeds this (equation 7 of the TaskTP paper); a tensor () where it lies on
            the device.
        forced_share: for benchmarks: keep this share of tokens, the best scored, whatever the threshold says.
        straight_through: decisions are floats, 0 or 1, whose gradient is that of the soft score, as in training.
        sample_noise: likewise, and gates decide by Gumbel noise.
        mask_only: run blocks on all tokens with pruned keys hidden, as in training; the slow twin of gathering.
        capacity: gated blocks run on exactly this many token rows, and nothing waits for the device; who sets it has to
            compare it with what was kept (see `reduction.static`). None = as many rows as tokens are kept.
        entering: (B, N) bool, tokens that enter the first block; the others are pruned for the whole frame, as if every gate had
            pruned them. None = all. Methods without gates prune nothing and take no notice.
        grid: height and width of the token map, as the backbone has found it.
        reach: one of `reach.REACHES`. "network" reads which tokens are kept, and "frame" what a gate thinks, which waits for the device.
        stop_below: under reach "frame", per gate the presence below which it takes the task for absent; gates beyond the list
            leave only where no token is kept.
        token_shape: (height, width) of the token map, set by the backbone; None where a method is run without one.
        keep: per gated block (B, N) bool, filled while the blocks run.
        scores: per gate (B, N) float keep score (the soft one in training), filled likewise.
        class_logits: per TaskTP gate (B, N, num_classes + 1) category logits; each includes those of the gate before.
        keep_logits: per gate (B, N, 2), without noise; which index means "keep" is the method's own. Of one image of which not all
            tokens enter, this, `scores` and `class_logits` hold rows of the K entering tokens only.
        masks: per gate (B, N) decision as it was applied to the blocks, with its gradient.
        presence: per gate (B, num_classes) logits of "this category is on the image", by methods that estimate it.
        left: under reach "frame" with a capacity: per gate () bool, whether it sees nothing of the task.
        groups: per merging step (B, N) int64, the group each original token is in, numbered by first appearance.
        everywhere: every place has what its token knows, though blocks saw fewer (merging); whatever the reach, what follows looks
            everywhere.
        memory: what the method itself carries from one group of blocks to the next.
    """

    relevant: Tensor | None = None
    threshold: float | Tensor = 0.5
    forced_share: float | None = None
    straight_through: bool = False
    sample_noise: bool = False
    mask_only: bool = False
    capacity: int | None = None
    entering: Tensor | None = None
    grid: tuple[int, int] = (0, 0)
    reach: str = "blocks"
    stop_below: tuple[float, ...] = ()
    token_shape: tuple[int, int] | None = None
    keep: list[Tensor] = field(default_factory=list)
    scores: list[Tensor] = field(default_factory=list)
    class_logits: list[Tensor] = field(default_factory=list)
    keep_logits: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)
    presence: list[Tensor] = field(default_factory=list)
    left: list[Tensor] = field(default_factory=list)
    groups: list[Tensor] = field(default_factory=list)
    everywhere: bool = False
    memory: Any = None

    @property
    def around_kept(self) -> bool:
        """Whether what comes now works around kept tokens only: some gate has decided, and the reach goes beyond blocks."""
        return self.reach != "blocks" and bool(self.keep) and not self.everywhere

    @property
    def followed(self) -> Tensor | None:
        """(B, N) bool tokens that what comes now works around; None = all of them: under reach "blocks", or where neither a gate
        nor `entering` has left any out.
        """
        if self.reach == "blocks" or self.everywhere:
            return None
        return self.keep[-1] if self.keep else self.entering

    def as_cells(self, batch: int) -> bool:
        """Whether the maps of a batch of this size come as the cells around kept tokens: one image, not in training, and where
        it may be asked how many cells these are.
        """
        return self.around_kept and batch == 1 and not self.mask_only and self.capacity is None

    def decide(self, score: Tensor, kept: Tensor) -> Tensor:
        """The method's own decision `kept` (B, N) bool, or else the `forced_share` best scored, lower index first."""
        self.scores.append(score)
        if self.forced_share is None:
            return kept
        count = ceil(self.forced_share * score.shape[1])
        order = score.argsort(dim=1, descending=True, stable=True)[:, :count]
        return torch.zeros_like(kept).scatter_(1, order, True)


class Reducer:
    """Dense: every block sees every token. Base of all methods.

    A reducer is no module: its gates belong to the backbone, under the names they were published with.

    Attributes:
        task_aware: what is kept depends on the task set; training draws one per image.
        learns_at_gates: its losses stop at its gates, so that these can learn on a finished detector without a gradient through it.
        follows_streams: it takes notice of `ReductionState.entering`.
        static_shapes: it can run without asking the device how many tokens there are, as CUDA graphs need.
        threshold: of keep scores, unless a task brings its own.
    """

    block_type: ClassVar[type[Block] | type[EncoderLayerBlock]] = Block
    task_aware: ClassVar[bool] = False
    learns_at_gates: ClassVar[bool] = False
    follows_streams: ClassVar[bool] = False
    static_shapes: ClassVar[bool] = True
    threshold: float = 0.5

    def published_modules(self) -> dict[str, nn.Module]:
        """Modules with parameters by their name in the backbone's state dict."""
        return {}

    def published_parameters(self) -> dict[str, nn.Parameter]:
        """Single parameters, made anew,, such as a class token, by their name in the backbone's state dict."""
        return {}

    def register_into(self, backbone: nn.Module) -> None:
        """Make what is published a part of the backbone."""
        for name, module in self.published_modules().items():
            backbone.add_module(name, module)
        for name, parameter in self.published_parameters().items():
            backbone.register_parameter(name, parameter)

    def learned_names(self) -> tuple[str, ...]:
        """Names in the backbone of what only this method has."""
        return (*self.published_modules(), *self.published_parameters())

    def gated_blocks(self) -> tuple[int, ...]:
        """Indices (from 0) of the blocks that see only kept tokens, in the order of `ReductionState.keep`."""
        return ()

    def begin(self, relevant: Tensor | None = None, threshold: float | None = None) -> ReductionState:
        """A fresh state for one forward pass; the method's own threshold where none is given."""
        return ReductionState(relevant=relevant, threshold=self.threshold if threshold is None else threshold)

    def training_state(self, relevant: Tensor | None, settings: LearningSettings) -> ReductionState:
        """A fresh state for one training step: as :meth:`begin`, with decisions made as they are learned.

        A method that knows no task is not followed beyond the blocks.
        """
        state = self.begin(relevant)
        state.mask_only = bool(self.gated_blocks())
        state.reach = settings.reach if self.task_aware else "blocks"
        return state

    def losses(self, state: ReductionState, lesson: Lesson) -> dict[str, Tensor]:
        """What the method learns from beside the detector's own losses, from what a step left in its state.

        Returns:
            Losses to be added up, () each, by names that begin with "loss_".
        """
        return {}

    def enter(self, backbone: nn.Module, tokens: Tensor, state: ReductionState) -> None:
        """Called once, before the first block, with the tokens (B, N, C) it will be given.

        Args:
            backbone: that owns what is published, and `pos_embed` (1, 1 + S * S, C) with a class token's position first.
        """

    def __call__(self, blocks: Sequence[nn.Module], first: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """Run `blocks`, of which the first has index `first` (from 0): (B, N, C) -> (B, N, C)."""
        with stage("blocks"):
            for block in blocks:
                tokens = block(tokens)
        return tokens
