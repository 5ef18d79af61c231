# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Counts rounded up, so that a CPU meets few different shapes.

oneDNN builds a kernel for every shape it has not met yet, which takes several times as long as running it once, and every image
keeps another number of tokens.
"""

import torch
from torch import Tensor

LEAST = 16


def rounded(count: int, total: int) -> int:
    """The next of few numbers: at most an eighth or 15 above `count`, and never above `total`; 0 stays 0."""
    step = max(LEAST, (1 << count.bit_length()) // 16)
    return min(count + -count % step, total)


def padded(index: Tensor, total: int) -> Tensor:
    """Repeat the last of (K,) int64 indices until their number is one of few, at most an eighth or 15 above K.

    What is computed for the repeats equals what is computed for the last index, or has to be masked. Elsewhere than on a
    CPU, and where K is 0, nothing is added.

    Args:
        total: number of things that are indexed, which the result never exceeds.
    """
    count = len(index)
    if count == 0 or index.device.type != "cpu":
        return index
    return torch.cat((index, index[-1:].expand(rounded(count, total) - count)))
