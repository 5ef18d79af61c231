# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Bilinear samples as weighted sums of table rows.

Deformable attention and RoIAlign both read a few weighted bilinear samples of feature maps per output. Seen as a table
of pixels, each sample is four rows with four weights, and a whole output is one bag of rows: `embedding_bag` fetches
and adds them in a single pass over all levels, heads and images, with no intermediate samples in memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.vision.row_gradients import row_gradients_enabled, sum_rows_with_gradients


def linear_corners(position: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """The two pixels around each position along one axis, and the share each has in a linear interpolation.

    Args:
        position: float in pixels, any shape S, in [0, size - 1]; the first pixel's centre is 0.
        size: float, broadcastable to S: number of pixels along the axis.

    Returns:
        index: (*S, 2) float, whole numbers in [0, size).
        share: (*S, 2) float, which sum to one.
    """
    first = position.floor()
    after = position - first
    corners = torch.stack((first, first + 1), dim=-1)
    last = (size - 1).unsqueeze(-1)
    return corners.minimum(last), torch.stack((1 - after, after), dim=-1)


def sum_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of table rows per bag.

    Args:
        table: (R, D) float.
        rows: (K, M) int64 in [0, R).
        weights: (K, M) float.

    Returns:
        (K, D), dtype of the table: sum over M of weights * table[rows].
    """
    weights = weights.to(table.dtype)
    if row_gradients_enabled() and table.device.type == "cpu" and torch.is_grad_enabled():
        return sum_rows_with_gradients(table, rows, weights)
    return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)
