# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Where blocks are reduced, and how many tokens they keep: what the published methods have in common."""

from math import ceil

from torch import Tensor

from tasktp_ros.vision.reducer import ReductionState

DEPTH = 12
"""Blocks of every network, with those that nano's convolutions stand for."""
FIRST = 3
"""Index, from 0, of the first block that may be reduced: blocks 1 to 3 see all tokens."""
STAGES = (3, 6, 9)
"""Indices of blocks 4, 7 and 10, where methods of three stages reduce."""


def checked_share(name: str, value: float) -> float:
    """An option that is a share, as a float.

    Raises:
        ValueError: it is not a number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be a number from 0 to 1, got {value!r}")
    return float(value)


def checked_bool(name: str, value: bool) -> bool:
    """An option that is yes or no.

    Raises:
        ValueError: it is neither true nor false.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")
    return value


def share_of(kept: float, stage: int) -> float:
    """`kept` to the power of `stage`, as the papers write it: 0.49, not the float just below it."""
    return round(kept**stage, 9)


def count_or_forced(count: int, total: int, state: ReductionState) -> int:
    """The count a method's rule gives, or for benchmarks that of `ReductionState.forced_share` of `total`."""
    return count if state.forced_share is None else ceil(state.forced_share * total)


def best_first(scores: Tensor, count: int) -> Tensor:
    """Indices (B, count) int64 of the largest scores (B, N), descending, the lower index first among equals."""
    return scores.argsort(dim=1, descending=True, stable=True)[:, :count]
