# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""SViT (Revisiting Token Pruning for Object Detection and Instance Segmentation): a token MLP gates blocks 4 to 12.

Pruned tokens are preserved and may come back, and how many are kept depends on the image. The published detection code
samples Gumbel noise also at test time; here the gate is deterministic unless it is asked to be `sampled`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.reduction.gated import GatedReducer
from tasktp_ros.reduction.predictor import Predictor
from tasktp_ros.reduction.ratio import WEIGHT, ratio_loss
from tasktp_ros.reduction.registry import register
from tasktp_ros.reduction.schedule import checked_bool
from tasktp_ros.vision.lesson import LearningSettings, Lesson
from tasktp_ros.vision.reducer import ReductionState
from tasktp_ros.vision.vit import EncoderLayerBlock, Mlp

TARGET_SHARES = (0.7, 0.7, 0.7, 0.49, 0.49, 0.49, 0.343, 0.343, 0.343)
"""Trained keep share of each gated block (section 4 of the paper)."""


class TokenGate(nn.Module):
    """Log-probabilities (B, N, 2) of keep (index 0) and prune (index 1) from a token alone."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-5)
        self.mlp = Mlp(dim, dim // 4, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        logits = self.mlp(self.norm(tokens))
        return F.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))


@register("svit")
class SViT(GatedReducer):
    """Nine gates, one per block from the fourth on; or, where tokens may not come back, three.

    Args:
        dim: token channels C.
        reactivate: a token that one gate pruned may be kept by the next (table 3 of the paper); otherwise there are three gates,
            before blocks 4, 7 and 10.
        fixed_rate: training holds every image to the target share (table 3 of the paper), not the mean of the batch.
        sampled: gates decide by Gumbel noise when they are used, too, as the published detection code does.
        complex_gate: gates are DynamicViT's predictors (table 4 of the paper).
    """

    block_type = EncoderLayerBlock

    def __init__(
        self,
        dim: int,
        reactivate: bool = True,
        fixed_rate: bool = False,
        sampled: bool = False,
        complex_gate: bool = False,
    ) -> None:
        self.reactivate = checked_bool("reactivate", reactivate)
        self.fixed_rate, self.sampled = checked_bool("fixed_rate", fixed_rate), checked_bool("sampled", sampled)
        super().__init__(blocks_per_gate=1 if reactivate else 3)
        gate = Predictor if checked_bool("complex_gate", complex_gate) else TokenGate
        self.gates = nn.ModuleList(gate(dim) for _ in range(self.gate_count()))

    def published_modules(self) -> dict[str, nn.Module]:
        return {"selective_modules": self.gates}

    def select_entering(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        decided = super().select_entering(gate, tokens, state)
        return decided if self.reactivate or not state.masks else decided * state.masks[-1]

    def select(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """Keep where log-probability 0 exceeds log-probability 1; an exact tie prunes. The threshold is not used."""
        log_probabilities = self.gates[gate](tokens)
        state.keep_logits.append(log_probabilities)
        keep, prune = log_probabilities.unbind(-1)
        if state.sample_noise:
            return F.gumbel_softmax(log_probabilities, hard=True)[..., 0]
        if state.straight_through:
            return (keep > prune).to(keep.dtype) - keep.exp().detach() + keep.exp()
        kept = F.gumbel_softmax(log_probabilities, hard=True)[..., 0] > 0.5 if self.sampled else keep > prune
        return state.decide(keep.exp(), kept)

    def training_state(self, relevant: Tensor | None, settings: LearningSettings) -> ReductionState:
        state = super().training_state(relevant, settings)
        state.sample_noise = True
        return state

    def losses(self, state: ReductionState, lesson: Lesson) -> dict[str, Tensor]:
        targets = TARGET_SHARES[:: self.blocks_per_gate]
        return {"loss_ratio": WEIGHT * ratio_loss(state.masks, targets, self.fixed_rate)}
