# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""TaskTP: gates that see what a token may be and what the task wants, before blocks 4, 7 and 10.

Each gate estimates the token's category probabilities, describes it by its most probable relevant and irrelevant
categories (equations 3 to 6 of the paper) and decides from that description alone (equation 7). The gate never sees
which categories the task set holds other than through this split, so one training serves every set.
"""

from math import ceil
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.reduction.gated import GatedReducer
from tasktp_ros.reduction.registry import register
from tasktp_ros.reduction.schedule import checked_bool, checked_share
from tasktp_ros.vision.lesson import LearningSettings, Lesson
from tasktp_ros.vision.reducer import ReductionState, of_task
from tasktp_ros.vision.vit import Mlp

KEEP = 1
"""Index of "keep" in the gate's two logits (SViT has it at 0)."""
SUREST = 10.0
"""Presence logits beyond this move no token further."""


class TaskGate(nn.Module):
    """Category logits per token, and a keep logit from the top categories inside and outside the task set.

    Args:
        dim: token channels C.
        num_classes: categories of the vocabulary; background is one more and never relevant.
        top: categories k taken from each half (table III of the paper: 2).
        embedding: a description says which categories they are (table IV of the paper), and not only how probable.
    """

    def __init__(self, dim: int, num_classes: int, top: int = 2, embedding: bool = True) -> None:
        super().__init__()
        hidden = dim // 4
        self.top = top
        self.mlp = Mlp(dim, hidden, num_classes + 1)
        self.category_embed = nn.Embedding(num_classes + 1, hidden) if embedding else None
        width = 2 * top * (hidden + 1 if embedding else 1)
        self.score_shift = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, 2))
        self.pre_norm = nn.LayerNorm(dim, eps=1e-5)

    def classify(self, tokens: Tensor, earlier: Tensor | None) -> Tensor:
        """Category logits (B, N, num_classes + 1), at least float32, added to those of the gate before (equation 2)."""
        logits = self.mlp(self.pre_norm(tokens))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return logits if earlier is None else logits + earlier

    def describe(self, class_logits: Tensor, relevant: Tensor) -> Tensor:
        """Feature f of every token (equations 3 to 6).

        Args:
            class_logits: (B, N, num_classes + 1).
            relevant: (B or 1, 1, num_classes + 1) bool, False for background.

        Returns:
            (B, N, 2k(C/4 + 1)): per half k embeddings, then k probabilities, descending; zeros for missing members. Without
            embeddings (B, N, 2k).
        """
        members = torch.stack((relevant, ~relevant))
        best, category = top_of_row(class_logits.softmax(-1).masked_fill(~members, -1.0), self.top)
        exists = best >= 0
        if self.category_embed is None:
            return torch.cat(tuple((best * exists).to(cast(nn.Linear, self.score_shift[0]).weight.dtype)), dim=-1)
        embedding = F.embedding(category, self.category_embed.weight) * exists[..., None]
        halves = torch.cat((embedding.flatten(-2), (best * exists).to(embedding.dtype)), dim=-1)
        return torch.cat(tuple(halves), dim=-1)

    def judge(self, features: Tensor) -> Tensor:
        """Two logits per token, index 1 = keep: (B, N, 2), at least float32."""
        logits = self.score_shift(features)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


class PresenceHead(nn.Module):
    """Whether a category is anywhere on the image: how many tokens seem to be of it, and what kind of place the image shows.

    Tokens count by a power of their probability, or three hundred faint guesses would weigh as much as one small object.

    Args:
        dim: token channels C.
        num_classes: categories of the vocabulary.
    """

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-5)
        self.place = nn.Linear(dim, num_classes)
        self.scale = nn.Parameter(torch.ones(num_classes))
        self.sharpness = nn.Parameter(torch.full((num_classes,), 2.0))
        self.trust = nn.Parameter(torch.zeros(1))
        self.context = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, tokens: Tensor, class_logits: Tensor, counted: Tensor | None = None) -> Tensor:
        """Tokens (B, N, C) and their logits (B, N, num_classes + 1) -> logits (B, num_classes), at least float32.

        Args:
            counted: (B, N) bool, the tokens that there are; None = all. An image without any has no meaning.
        """
        if (
            counted is None and not torch.is_grad_enabled()
        ):  # the same in fewer steps, which need no gradient to be steady
            number_seen = class_logits.softmax(-1)[..., :-1].pow(self.sharpness).sum(1).clamp(min=1e-30).log()
            return self._combined(number_seen, tokens.mean(1))
        likely = class_logits.log_softmax(-1)[..., :-1] * self.sharpness
        mean = tokens.mean(1)
        if counted is not None:
            likely = likely.masked_fill(~counted[..., None], -torch.inf)
            number = counted.sum(1, keepdim=True).clamp(min=1)
            mean = (tokens * counted[..., None]).sum(1) / number.to(tokens.dtype)
        return self._combined(likely.logsumexp(1), mean)

    def in_context(self, class_logits: Tensor, presence: Tensor) -> Tensor:
        """Category logits of tokens (B, N, num_classes + 1) given what their image (B, num_classes) seems to hold, background unmoved.

        Alone a token cannot know that the image has no kitchen around it.
        """
        place = self.context * presence.detach().clamp(-SUREST, SUREST)
        return class_logits + F.pad(place, (0, 1))[:, None]

    def hint(self, presence: Tensor, relevant: Tensor | None) -> Tensor:
        """What its own estimate (B, num_classes) adds to the keep logits of an image's tokens under a task set: (B, 1).

        Where nothing of the task seems to be there, more is needed to be kept.
        """
        return self.trust * of_task(presence.detach(), relevant).amax(-1, keepdim=True).clamp(-SUREST, SUREST)

    def _combined(self, number_seen: Tensor, mean: Tensor) -> Tensor:
        return self.scale * number_seen + self.place(self.norm(mean)).to(number_seen.dtype)


def top_of_row(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest values of each row and their indices, descending, the lower index first among equals.

    For two or three of them repeated maxima are several times faster than `topk` on a CPU, whose order of equal
    values is also left to the backend.

    Args:
        values: (..., M) float, all above -2.

    Returns:
        values (..., count) and indices (..., count) int64; exhausted rows give -2.
    """
    found = [values.max(-1, keepdim=True)]
    while len(found) < count:
        values = values.scatter(-1, found[-1].indices, -2.0)
        found.append(values.max(-1, keepdim=True))
    return torch.cat([best.values for best in found], dim=-1), torch.cat([best.indices for best in found], dim=-1)


def keep_at_least(keep: Tensor, share: float) -> Tensor:
    """Add random tokens to images of which less than `share` is kept: (B, N) bool -> (B, N) bool."""
    missing = (keep.sum(1) < share * keep.shape[1])[:, None]
    drawn = torch.rand(keep.shape, device=keep.device).masked_fill(keep, 2.0)
    count = ceil(share * keep.shape[1])
    chosen = torch.zeros_like(keep).scatter_(1, drawn.topk(count, dim=1).indices, True)
    return keep | (chosen & missing)


@register("tasktp")
class TaskTP(GatedReducer):
    """Three gates by default; each mask holds for the three blocks up to the next interaction.

    Args:
        dim: token channels C.
        num_classes: categories of the vocabulary.
        blocks_per_gate: 3, or 1 for a gate before every block.
        presence: gates also estimate whether anything of the task is on the image, which the published ones do not.
        top: categories k taken from the task set, and as many from outside (table III of the paper).
        embedding: gates see which categories these are (table IV of the paper).
        early_rule: training also prunes what is already recognised (table V of the paper); None = as the recipe says.
        threshold: of the keep score, unless a task brings its own (figure 2 of the paper).

    Attributes:
        stop_gradient: the category head's loss does not reach the backbone; False in the second released training
            configuration (methods.md, card 1).
    """

    task_aware = True
    learns_at_gates = True
    least_kept: ClassVar[float] = 0.01
    """In training at least this share of an image's tokens is kept, or nothing could be learned from it."""

    def __init__(
        self,
        dim: int,
        num_classes: int,
        blocks_per_gate: int = 3,
        presence: bool = False,
        top: int = 2,
        embedding: bool = True,
        early_rule: bool | None = None,
        threshold: float = 0.5,
    ) -> None:
        if blocks_per_gate not in (1, 3):
            raise ValueError(f"blocks_per_gate must be 1 or 3, got {blocks_per_gate!r}")
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise ValueError(f"top must be a whole number from 1 on, got {top!r}")
        super().__init__(blocks_per_gate)
        self.num_classes = num_classes
        self.early_rule = None if early_rule is None else checked_bool("early_rule", early_rule)
        self.threshold = checked_share("threshold", threshold)
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"threshold must be between 0 and 1 (both excluded), got {threshold!r}")
        self.stop_gradient = True
        checked_bool("embedding", embedding)
        self.gates = nn.ModuleList(TaskGate(dim, num_classes, top, embedding) for _ in range(self.gate_count()))
        self.presence = nn.ModuleList(PresenceHead(dim, num_classes) for _ in self.gates if presence)

    def published_modules(self) -> dict[str, nn.Module]:
        named: dict[str, nn.Module] = {"selectors": self.gates, "presence": self.presence}
        return named if len(self.presence) else {"selectors": self.gates}

    def select(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """Keep where the keep probability exceeds the threshold; in training by a straight-through (Gumbel-)softmax.

        Gradients stop before the category head and between it and the judge, as published: the class loss never
        reaches the backbone and the pruning loss never reaches the class head.
        """
        module = cast(TaskGate, self.gates[gate])
        seen = tokens.detach() if self.stop_gradient else tokens
        class_logits = module.classify(seen, state.class_logits[-1] if state.class_logits else None)
        described = class_logits.detach()
        head = cast(PresenceHead, self.presence[gate]) if len(self.presence) else None
        if head is not None:
            state.presence.append(head(seen, class_logits, state.entering))
            described = head.in_context(described, state.presence[-1])
        logits = module.judge(module.describe(described, self.split(state.relevant, tokens)))
        if head is not None:
            hint = head.hint(state.presence[-1], state.relevant).to(logits.dtype)
            logits = torch.cat((logits[..., :KEEP], logits[..., KEEP:] + hint[..., None]), dim=-1)
        state.class_logits.append(class_logits)
        state.keep_logits.append(logits)
        if state.sample_noise or state.straight_through:
            log_probabilities = logits.log_softmax(-1)
            noisy = F.gumbel_softmax(log_probabilities, tau=1.0) if state.sample_noise else log_probabilities.exp()
            soft = noisy[..., KEEP]
            hard = keep_at_least(soft > state.threshold, self.least_kept)
            return hard.to(soft.dtype) - soft.detach() + soft
        score = logits.softmax(-1)[..., KEEP]
        return state.decide(score, score > state.threshold)

    def training_state(self, relevant: Tensor | None, settings: LearningSettings) -> ReductionState:
        self.stop_gradient = settings.stop_gradient
        return super().training_state(relevant, settings)

    def losses(self, state: ReductionState, lesson: Lesson) -> dict[str, Tensor]:
        return lesson.gate_losses(state, self.early_rule) | lesson.presence_losses(state)

    def split(self, relevant: Tensor | None, tokens: Tensor) -> Tensor:
        """Task set as (B or 1, 1, num_classes + 1) bool with background outside it."""
        if relevant is None:
            relevant = torch.ones(self.num_classes, dtype=torch.bool, device=tokens.device)
        relevant = relevant.view(-1, 1, self.num_classes)
        return F.pad(relevant, (0, 1), value=False)
