# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How many token rows the next frame's blocks are given, decided without waiting for the frame.

A camera's next frame looks like its last ones, so their counts, which came with their results, are the estimate. One that is too
low costs a second run of the frame, one that is too high a few rows.
"""

from collections import deque
from collections.abc import Sequence

ROWS = 32
"""Capacities are multiples of this, which suits a GPU's tiles; all tokens are one as well."""
SHARES = (1 / 8, 1 / 4, 1 / 2)
REMEMBERED = 8
MARGIN = 1.1


def capacities(tokens: int) -> tuple[int, ...]:
    """The few capacities of a geometry, ascending; the last holds all `tokens`."""
    few = {-(-int(share * tokens) // ROWS) * ROWS for share in SHARES}
    return (*sorted(capacity for capacity in few if 0 < capacity < tokens), tokens)


class CapacityChooser:
    """Follows the counts of the last frames.

    Args:
        buckets: what may be chosen, ascending; from :func:`capacities`.
    """

    def __init__(self, buckets: Sequence[int]) -> None:
        self.buckets = tuple(buckets)
        self._counts: deque[int] = deque(maxlen=REMEMBERED)

    def choose(self) -> int:
        """Capacity for the next frame: the most that was kept lately and a tenth more; all tokens where nothing is known."""
        if not self._counts:
            return self.buckets[-1]
        return self.fitting(int(max(self._counts) * MARGIN))

    def fitting(self, count: int) -> int:
        """The smallest capacity that holds `count` tokens, or else the largest there is."""
        return next((capacity for capacity in self.buckets if capacity >= count), self.buckets[-1])

    def note(self, count: int) -> None:
        """Remember the most tokens that a gate kept of a frame, whether they fitted or not."""
        self._counts.append(count)

    def forget(self) -> None:
        """Nothing is known any more, as after a change of the task."""
        self._counts.clear()
