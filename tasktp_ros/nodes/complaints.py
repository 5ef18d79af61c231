# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Trouble said once and then counted: a thousand bad messages must not become a thousand lines."""

import re
import threading
import time
from collections.abc import Callable

PERIOD = 30.0
MOST_KINDS = 20
LONGEST = 1000

_NUMBER = re.compile(r"\d+")


class Complaints:
    """Writes sentences to a log, each kind once in 30 seconds; sentences that differ in numbers only are of one kind.

    Safe to use from several threads.

    Args:
        write: writes one entry to the log; a function of its own for each severity, since ROS allows one per line of code.
        clock: steady time in seconds.
    """

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def say(self, sentence: str, details: str = "") -> None:
        """Write a sentence, or count it.

        Args:
            sentence: what is wrong; cut after 1000 characters.
            details: further lines, such as a traceback, written below it.
        """
        sentence = sentence if len(sentence) <= LONGEST else sentence[:LONGEST] + "..."
        kind = _NUMBER.sub("#", sentence)
        with self._lock:
            now = self._clock()
            self._said = {said: since for said, since in self._said.items() if now - since < PERIOD}
            if kind in self._said or len(self._said) >= MOST_KINDS:
                counted = kind if kind in self._said else ""
                self._unsaid[counted] = self._unsaid.get(counted, 0) + 1
                return
            self._said[kind] = now
            again = self._unsaid.pop(kind, 0)
            others = sum(self._unsaid.pop(said) for said in list(self._unsaid) if said not in self._said)
        counts = [
            f"{again} more like it before" if again else "",
            f"{others} other complaints left out" if others else "",
        ]
        told = ", ".join(count for count in counts if count)
        self._write(sentence + (f" ({told})" if told else "") + (f"\n{details}" if details else ""))
