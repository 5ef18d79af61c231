# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""DynamicViT: predictors that see a token and the mean of those still kept leave a fixed share out before blocks 4, 7 and 10.

On the map those left out keep their last value ("dynamicvit") or become zero ("dynamicvit_remove"); they never come back.
"""

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.reduction.gated import GatedReducer
from tasktp_ros.reduction.inside import add_attended, add_mlp, mask_of, project, rows_of
from tasktp_ros.reduction.masked_softmax import masked_softmax
from tasktp_ros.reduction.predictor import Predictor
from tasktp_ros.reduction.ratio import WEIGHT, ratio_loss
from tasktp_ros.reduction.registry import register
from tasktp_ros.reduction.schedule import best_first, checked_bool, checked_share, count_or_forced, share_of
from tasktp_ros.vision.lesson import Lesson
from tasktp_ros.vision.reducer import ReductionState


@register("dynamicvit_remove", remove=True)
@register("dynamicvit")
class DynamicViT(GatedReducer):
    """Three predictors; the s-th keeps int(kept^s * N) of the tokens that the one before it kept. The threshold is not used.

    Args:
        dim: token channels C.
        kept: share of the tokens that each stage keeps of the ones before it, 0 to 1.
        remove: tokens left out become zero on the map; otherwise they keep their last value.
    """

    follows_streams = False

    def __init__(self, dim: int, kept: float = 0.7, remove: bool = False) -> None:
        super().__init__(blocks_per_gate=3)
        self.kept = checked_share("kept", kept)
        self.remove = checked_bool("remove", remove)
        self.predictors = nn.ModuleList(Predictor(dim) for _ in range(self.gate_count()))

    def published_modules(self) -> dict[str, nn.Module]:
        return {"score_predictor": self.predictors}

    def targets(self) -> tuple[float, ...]:
        """Share of all tokens that each predictor keeps."""
        return tuple(share_of(self.kept, number + 1) for number in range(self.gate_count()))

    def select(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """The best scored of the tokens kept before; in training, a sampled decision on each of them."""
        total, earlier = tokens.shape[1], cast(Tensor | None, state.memory)
        if state.straight_through:
            policy = state.masks[-1] if state.masks else None
            log_probabilities = self.predictors[gate](tokens, policy)
            state.keep_logits.append(log_probabilities)
            decided = F.gumbel_softmax(log_probabilities, hard=True)[..., 0]
            return decided if policy is None else decided * policy
        rows = tokens if earlier is None else rows_of(tokens, earlier)
        log_probabilities = self.predictors[gate](rows)
        state.keep_logits.append(log_probabilities)
        state.scores.append(log_probabilities[..., 0].exp())
        count = min(rows.shape[1], count_or_forced(int(self.targets()[gate] * total), total, state))
        chosen = best_first(log_probabilities[..., 0], count)
        # In the order of their places, so that the next predictor decides between equals by the place.
        state.memory = (chosen if earlier is None else earlier.gather(1, chosen)).sort(1).values
        return mask_of(state.memory, total)

    def run(self, blocks: Sequence[nn.Module], tokens: Tensor, keep: Tensor, state: ReductionState) -> Tensor:
        if state.straight_through:
            return run_under_policy(blocks, tokens, keep, self.remove)
        tokens = super().run(blocks, tokens, keep, state)
        return tokens * keep[..., None] if self.remove else tokens

    def losses(self, state: ReductionState, lesson: Lesson) -> dict[str, Tensor]:
        return {"loss_ratio": WEIGHT * ratio_loss(state.masks, self.targets(), per_image=True)}


def run_under_policy(blocks: Sequence[nn.Module], tokens: Tensor, policy: Tensor, remove: bool = False) -> Tensor:
    """Blocks as in training: every token runs, and the masked softmax hides those left out and carries their gradient.

    Args:
        tokens: (B, N, C).
        policy: (B, N) float, 0 or 1 in the forward pass.
        remove: tokens left out become zero; otherwise they stay as they were.
    """
    kept = policy[..., None].to(tokens.dtype)
    for block in blocks:
        after = policy_block(block, tokens, policy) * kept
        tokens = after if remove else after + tokens * (1 - kept)
    return tokens


def policy_block(block: nn.Module, tokens: Tensor, policy: Tensor) -> Tensor:
    """One block (B, N, C) -> (B, N, C) whose attention is :func:`masked_softmax` under `policy` (B, N)."""
    query, key, value = project(block, tokens)
    weights = masked_softmax((query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1), policy)
    mixed = (weights.to(value.dtype) @ value).transpose(1, 2).flatten(2)
    return add_mlp(block, add_attended(block, tokens, mixed))
