# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Seeded category subsets to evaluate on; the lists are written into every report."""

from collections.abc import Sequence

import numpy as np

SETS = 5


def draw_subsets(vocabulary: Sequence[str], size: int, count: int = SETS, seed: int = 0) -> list[tuple[str, ...]]:
    """Random subsets in vocabulary order.

    Single categories are all different. A size at or above the vocabulary's gives the whole of it, once.
    """
    if size >= len(vocabulary):
        return [tuple(vocabulary)]
    random = np.random.default_rng((seed, size))
    if size == 1:
        return [(vocabulary[i],) for i in random.permutation(len(vocabulary))[:count]]
    return [
        tuple(vocabulary[i] for i in sorted(random.choice(len(vocabulary), size, replace=False))) for _ in range(count)
    ]


def wrong_set(vocabulary: Sequence[str], present: set[str], size: int, seed: tuple[int, ...]) -> tuple[str, ...]:
    """`size` categories, or as many as there are, of which none is on the image."""
    absent = [name for name in vocabulary if name not in present] or list(vocabulary)
    chosen = np.random.default_rng(seed).permutation(len(absent))[:size]
    return tuple(absent[i] for i in sorted(chosen))
