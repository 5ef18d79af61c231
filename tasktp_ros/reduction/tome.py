# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""ToMe (Token Merging: Your ViT But Faster): every second token may merge into the most similar one of the others.

As in the detection set-up of the ATC paper, which TaskTP compares with: no class token, no parameters, no loss.
"""

import torch
from torch import Tensor

from tasktp_ros.reduction.merging import MergingReducer
from tasktp_ros.reduction.registry import register


@register("tome")
class ToMe(MergingReducer):
    """Bipartite soft matching. At most half of the tokens merge in one stage, so `kept` below 0.5 is as 0.5.

    Args:
        kept: share of the current tokens that stay at blocks 4, 7 and 10, 0 to 1 (0.5 in TaskTP's tables, 0.7 in ATC's code).
    """

    def __init__(self, kept: float = 0.5) -> None:
        super().__init__(kept)

    def most_merged(self, total: int) -> int:
        return total // 2

    def group(self, metric: Tensor, count: int) -> Tensor:
        return match(metric, metric.shape[1] - count)


def match(metric: Tensor, merged: int, class_token: bool = False) -> Tensor:
    """Bipartite soft matching: tokens at even positions are A, the others B; the `merged` A most similar to a B join it.

    Among equals the lower index is first, for the best B of an A as for the order of the A.

    Args:
        metric: (B, T, D) float, what tokens are compared by, up to its length.
        merged: at most T // 2.
        class_token: the first token is one and joins nothing; the rest of A then keeps its order.

    Returns:
        (B, T) int64 place of each token: first A that stay, by descending similarity, then B.
    """
    batch, total = metric.shape[:2]
    unit = metric / metric.norm(dim=-1, keepdim=True)
    similar = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
    if class_token:
        similar[:, 0] = -torch.inf
    if similar.shape[2] == 0:
        return torch.zeros(batch, total, dtype=torch.int64, device=metric.device)
    best, partner = similar.max(-1)
    order = best.argsort(dim=1, descending=True, stable=True)
    joins, stays = order[:, :merged], order[:, merged:]
    if class_token:
        stays = stays.sort(1).values
    place = torch.empty(batch, total, dtype=torch.int64, device=metric.device)
    of_b = torch.arange(similar.shape[2], device=metric.device) + stays.shape[1]
    place[:, 1::2] = of_b
    rank = torch.arange(stays.shape[1], device=metric.device).expand_as(stays)
    of_a = torch.empty_like(order).scatter_(1, stays, rank)
    of_a.scatter_(1, joins, partner.gather(1, joins) + stays.shape[1])
    place[:, ::2] = of_a
    return place
