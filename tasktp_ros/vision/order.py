# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Kept things first, in their order, without asking how many they are.

A list of the kept has a length that only the device knows; a permutation of everything has one that is known beforehand.
"""

import torch
from torch import Tensor


def kept_first(keep: Tensor) -> Tensor:
    """Indices of the kept, ascending, then of the others, ascending.

    Equal to a stable sort of `~keep`, by one running sum.

    Args:
        keep: (B, N) bool.

    Returns:
        (B, N) int64, a permutation of 0 .. N - 1 per row.
    """
    rank = keep.long().cumsum(1)  # ONNX sums no booleans
    index = torch.arange(keep.shape[1], device=keep.device).expand_as(rank)
    place = torch.where(keep, rank - 1, index - rank + rank[:, -1:])
    return torch.empty_like(rank).scatter_(1, place, index)
