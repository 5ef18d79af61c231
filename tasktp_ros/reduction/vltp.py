# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's guidance for a detector: one prune decoder before blocks 4, 7 and 10 ranks tokens by what they have to do with the task.

In place of a language model's embedding stands the mean of learned category embeddings. Each time all tokens are scored,
so pruned ones, which keep their value, may come back; how many are kept is fixed. The paper prunes a segmenter
(`vision.pruned_encoding`); this is its rule under the detectors' frame (methods.md, card 9).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasktp_ros.reduction.gated import GatedReducer
from tasktp_ros.reduction.registry import register
from tasktp_ros.vision.lesson import Lesson
from tasktp_ros.vision.prune_decoder import PruneDecoder
from tasktp_ros.vision.pruned_encoding import keep_highest
from tasktp_ros.vision.reducer import ReductionState
from tasktp_ros.vision.sam_decoder import PositionalEncoding

CHANNELS = 64
"""Of guidance and prune decoder; SAM's 256 would cost a detector of nano's size more than its blocks."""
RATES = (0.5, 0.5, 0.5)
"""Share of the tokens that is pruned at each stage."""


class GuidedPruneDecoder(PruneDecoder):
    """A small prune decoder with the categories' embeddings and its own positions."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__(dim, CHANNELS, hidden=4 * CHANNELS)
        self.positions = PositionalEncoding(CHANNELS)
        self.category_embed = nn.Embedding(num_classes, CHANNELS)

    def guidance(self, relevant: Tensor | None, images: int) -> Tensor:
        """A vector per image (B, 64) from task sets (num_classes,) or (B, num_classes) bool; None = all categories."""
        weight = self.category_embed.weight
        if relevant is None:
            return weight.mean(0).expand(images, -1)
        shares = relevant.view(-1, len(weight)).to(weight.dtype)
        return ((shares / shares.sum(1, keepdim=True).clamp(min=1)) @ weight).expand(images, -1)


@register("vltp")
class VLTP(GatedReducer):
    """Three stages with one decoder; each decision holds for the three blocks up to the next.

    Args:
        dim: token channels C.
        num_classes: categories of the vocabulary.

    Attributes:
        rates: share pruned at each stage; may be changed, as in the paper's table 4.
    """

    task_aware = True

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__(blocks_per_gate=3)
        self.decoder = GuidedPruneDecoder(dim, num_classes)
        self.rates: Sequence[float] = RATES

    def published_modules(self) -> dict[str, nn.Module]:
        return {"prune_decoder": self.decoder}

    def select(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """Keep the N - floor(r N) best, by the logits; the threshold is not used.

        In training the gradient is the sigmoid's, and ends at the decoder, as the paper freezes what lies before it.
        """
        height, width = state.grid
        decoder, maps = self.decoder, tokens.detach().unflatten(1, (height, width))
        positions = decoder.positions(height, width)
        guidance = decoder.guidance(state.relevant, len(tokens))
        logits = decoder(maps, positions, positions.new_zeros(1, CHANNELS, 1, 1), guidance)
        ranked = logits if state.entering is None else logits.masked_fill(~state.entering, float("-inf"))
        best = keep_highest(ranked.detach(), self.rates[gate])
        kept = torch.zeros_like(logits, dtype=torch.bool).scatter(1, best, True)
        if state.straight_through:
            state.scores.append(logits)
            soft = logits.sigmoid()
            return kept.to(soft.dtype) - soft.detach() + soft
        return state.decide(ranked, kept)

    def losses(self, state: ReductionState, lesson: Lesson) -> dict[str, Tensor]:
        return lesson.prune_map_losses(state)

    def select_entering(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """The decoder's convolution needs the whole grid, so tokens that did not enter are looked at, and not kept."""
        kept = self.select(gate, tokens, state)
        return kept if state.entering is None else kept & state.entering
