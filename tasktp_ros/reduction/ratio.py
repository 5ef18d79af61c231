# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The loss that holds gates to a share of tokens, where their number is learned and not set."""

from collections.abc import Sequence

import torch
from torch import Tensor

WEIGHT = 4.0
"""Lambda of SViT's equation 5."""


def ratio_loss(masks: Sequence[Tensor], targets: Sequence[float], per_image: bool = False) -> Tensor:
    """Mean over gates of the squared distance between kept and target share (equation 5, without its weight of 4).

    Args:
        masks: per gate (B, N) float keep decisions.
        targets: per gate share to keep.
        per_image: average each image first (the paper's "fixed" ablation) instead of the whole batch.
    """
    shares = [mask.mean(dim=1) if per_image else mask.mean() for mask in masks]
    return torch.stack([((target - share) ** 2).mean() for share, target in zip(shares, targets, strict=True)]).mean()
