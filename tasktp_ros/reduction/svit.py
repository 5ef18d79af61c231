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
samples Gumbel noise also at test time; here the gate is deterministic unless `ReductionState.sample_noise` is set.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.reduction.gated import GatedReducer
from tasktp_ros.reduction.registry import register
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
    """Nine gates, one per block from the fourth on."""

    block_type = EncoderLayerBlock

    def __init__(self, dim: int) -> None:
        super().__init__(blocks_per_gate=1)
        self.gates = nn.ModuleList(TokenGate(dim) for _ in range(self.gate_count()))

    def published_modules(self) -> dict[str, nn.Module]:
        return {"selective_modules": self.gates}

    def select(self, gate: int, tokens: Tensor, state: ReductionState) -> Tensor:
        """Keep where log-probability 0 exceeds log-probability 1; an exact tie prunes. The threshold is not used."""
        log_probabilities = self.gates[gate](tokens)
        state.keep_logits.append(log_probabilities)
        if state.sample_noise:
            return F.gumbel_softmax(log_probabilities, hard=True)[..., 0]
        keep, prune = log_probabilities.unbind(-1)
        if state.straight_through:
            return (keep > prune).to(keep.dtype) - keep.exp().detach() + keep.exp()
        return state.decide(keep.exp(), keep > prune)


def ratio_loss(masks: Sequence[Tensor], targets: Sequence[float] = TARGET_SHARES, per_image: bool = False) -> Tensor:
    """Mean over gates of the squared distance between kept and target share (equation 5, without its weight of 4).

    Args:
        masks: per gate (B, N) float keep decisions.
        targets: per gate share to keep.
        per_image: average each image first (the paper's "fixed" ablation) instead of the whole batch.
    """
    shares = [mask.mean(dim=1) if per_image else mask.mean() for mask in masks]
    return torch.stack([((target - share) ** 2).mean() for share, target in zip(shares, targets, strict=True)]).mean()
