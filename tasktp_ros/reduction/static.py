# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Blocks on a fixed number of token rows, so that no one has to know how many tokens are kept.

The rows are the kept tokens in their order, then pruned ones as padding, which attention does not see and which come back as
they were. Where more are kept than there are rows, the result is wrong; who set the capacity compares and runs the frame again.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tasktp_ros.vision.order import kept_first


def run_padded(blocks: Sequence[nn.Module], tokens: Tensor, keep: Tensor, capacity: int) -> Tensor:
    """As `gated.run_kept` up to rounding, in static shapes.

    Args:
        blocks: modules called as block(tokens, key_mask).
        tokens: (B, N, C).
        keep: (B, N) bool, at most `capacity` of each image.
        capacity: token rows that the blocks run on, at most N.

    Returns:
        (B, N, C); pruned tokens unchanged.
    """
    counts = keep.sum(1, keepdim=True)
    index = kept_first(keep)[:, :capacity, None].expand(-1, -1, tokens.shape[2])
    valid = torch.arange(capacity, device=tokens.device) < counts
    gathered = tokens.gather(1, index)
    # An image that keeps nothing still needs one key, or its rows would be a softmax over nothing.
    key_mask = valid | (counts == 0)
    rows = gathered
    for block in blocks:
        rows = block(rows, key_mask)
    rows = torch.where(valid[..., None], rows.to(tokens.dtype), gathered)
    return tokens.scatter(1, index, rows)
