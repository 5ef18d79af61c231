# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""DynamicViT's predictor, a gate that sees the whole image: its own method's, and SViT's complex one."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Predictor(nn.Module):
    """Log-probabilities (B, N, 2) of keep (index 0) and prune (index 1), from half a token's features and half their mean.

    Args:
        dim: token channels C, a multiple of four.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.in_conv = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU())
        self.out_conv = nn.Sequential(
            nn.Linear(dim, dim // 2), nn.GELU(), nn.Linear(dim // 2, dim // 4), nn.GELU(), nn.Linear(dim // 4, 2)
        )

    def forward(self, tokens: Tensor, policy: Tensor | None = None) -> Tensor:
        """Tokens (B, N, C); `policy` (B, N) bool or float 0 or 1, the tokens the mean is over; None = all."""
        features = self.in_conv(tokens)
        local, shared = features.tensor_split(2, dim=-1)
        if policy is None:
            mean = shared.mean(1, keepdim=True)
        else:
            weight = policy.to(shared.dtype)[..., None]
            mean = (shared * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1e-6)
        logits = self.out_conv(torch.cat((local, mean.expand_as(shared)), dim=-1))
        return F.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
