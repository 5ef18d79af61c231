# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What went wrong while reading, in few sentences however much there was of it."""

import re
from collections.abc import Iterable

MOST_KINDS = 20
LONGEST = 500


class Problems(list[str]):
    """A list of sentences in which those that differ in numbers alone are one sentence with a count.

    A recording can have thousands of frames that cannot be read for one and the same reason. Beyond `MOST_KINDS` different sentences
    only their number is kept.
    """

    def __init__(self, sentences: Iterable[str] = ()) -> None:
        super().__init__()
        self._first: dict[str, tuple[int, str, int]] = {}
        self.extend(sentences)

    def append(self, sentence: str) -> None:
        """Add one sentence, or count it where one of its kind is there."""
        if len(sentence) > LONGEST:
            sentence = sentence[: LONGEST - 3] + "..."
        kind = re.sub(r"\d+", "0", sentence)
        if kind not in self._first and len(self._first) >= MOST_KINDS:
            kind, sentence = "", "other problems"
        place, first, count = self._first.get(kind, (len(self), sentence, 0))
        self._first[kind] = (place, first, count + 1)
        if count == 0:
            super().append(first)
        else:
            self[place] = f"{first} (and {count} more like it)"

    def extend(self, sentences: Iterable[str]) -> None:
        """Add several."""
        for sentence in sentences:
            self.append(sentence)

    def __iadd__(self, sentences: Iterable[str]) -> "Problems":  # type: ignore[override, misc]
        self.extend(sentences)
        return self
