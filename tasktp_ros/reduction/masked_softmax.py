# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The softmax under a keep mask that DynamicViT and ATS share: other than hiding keys, it leaves each a trace and a gradient."""

import torch
from torch import Tensor

EPSILON = 1e-6


def masked_softmax(logits: Tensor, policy: Tensor) -> Tensor:
    """Softmax over kept keys; every token attends at least to itself.

    A_ij = (exp(a_ij - max_j a_ij) g_ij + e / N) / (sum_j exp(a_ij - max_j a_ij) g_ij + e), g_ij = policy_j, and 1 for i = j.

    Args:
        logits: (B, heads, N, N).
        policy: (B, N) float or bool keep decisions; a gradient reaches them.

    Returns:
        (B, heads, N, N), at least float32.
    """
    count = policy.shape[1]
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    own = torch.eye(count, dtype=logits.dtype, device=logits.device)
    allowed = policy.to(logits.dtype)[:, None, None, :]
    weights = (logits - logits.amax(-1, keepdim=True)).exp() * (allowed + (1.0 - allowed) * own)
    return (weights + EPSILON / count) / (weights.sum(-1, keepdim=True) + EPSILON)
