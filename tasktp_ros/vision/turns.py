# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which of several ways takes less of this processor: measured where a choice is made, also on a machine that has other work."""

import time
from collections.abc import Callable, Sequence


def least_seconds(
    works: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Least time that each of some works took, which take turns; the first round is not counted.

    By default the time of the processor: beside other busy processes the time on the wall says which way was interrupted less, and
    a detector that was loaded then would run the slower way for as long as it lives.

    Args:
        rounds: that count.
        clock: seconds.
    """
    least = [float("inf")] * len(works)
    for number in range(rounds + 1):
        for which, work in enumerate(works):
            started = clock()
            work()
            spent = clock() - started
            if number:
                least[which] = min(least[which], spent)
    return least
