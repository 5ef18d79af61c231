# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A resolver that knows household activities and the things they take, from BEHAVIOR-1K's table.

A sentence is compared with each activity by the stems they share, rare ones counting more. A verb alone is no activity: what is
compared must hold most of both.
"""

import math
from collections.abc import Iterable
from pathlib import Path

from tasktp_ros.tasks.words.answer import Match
from tasktp_ros.tasks.words.dictionary import stem
from tasktp_ros.tasks.words.reading import STOP_WORDS, Reading

TABLE = Path(__file__).parent / "data" / "activities.tsv"
LEAST_SHARED = 2
LEAST_LIKENESS = 0.6
NEARLY = 0.1
LEAST_SHARE = 0.5
CONFIDENCE = 0.8


def read_table(part: str | None = None) -> list[tuple[str, tuple[str, ...]]]:
    """Activities and their categories of COCO; those of one part (`table` or `held`), or all."""
    rows = (line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    next(rows)
    return [(title, tuple(names.split("; "))) for named, title, names in rows if part in (None, named)]


class ActivityResolver:
    """Answers "clear the table after breakfast" by what the most similar activities of the table take.

    Args:
        activities: in words, and the categories of each; default: all of BEHAVIOR.
    """

    name, slow = "activity", False

    def __init__(
        self, vocabulary: tuple[str, ...], activities: Iterable[tuple[str, tuple[str, ...]]] | None = None
    ) -> None:
        known = set(vocabulary)
        self._activities = []
        for title, names in read_table() if activities is None else activities:
            kept = tuple(name for name in names if name in known)
            if kept:
                self._activities.append((title, _stems(title.split()), kept))
        seen: dict[str, int] = {}
        for _, stems, _ in self._activities:
            for word in stems:
                seen[word] = seen.get(word, 0) + 1
        self._weight = {word: math.log(1 + len(self._activities) / count) for word, count in seen.items()}
        self._unseen = math.log(1 + len(self._activities))

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        """See `Resolver`."""
        said = _stems(word.text for word in reading.words if word.wanted and not word.place)
        if not _stems(reading.words[index].text for index in open_words) or len(said) < 2:
            return []
        alike = sorted(
            ((self._likeness(said, stems), title, names) for title, stems, names in self._activities), reverse=True
        )
        if not alike or alike[0][0] < LEAST_LIKENESS:
            return []
        best = alike[0][0]
        near = [(likeness, names) for likeness, _, names in alike if likeness >= best - NEARLY]
        total = sum(likeness for likeness, _ in near)
        shares: dict[str, float] = {}
        for likeness, names in near:
            for name in names:
                shares[name] = shares.get(name, 0.0) + likeness / total
        kept = {name: round(CONFIDENCE * best * share, 3) for name, share in shares.items() if share >= LEAST_SHARE}
        others = f" and {len(near) - 1} more" if len(near) > 1 else ""
        span = (0, len(reading.words))
        return [Match(span, kept, f"like the activity {alike[0][1]!r}{others}", self.name)] if kept else []

    def _likeness(self, said: frozenset[str], stems: frozenset[str]) -> float:
        """Cosine of the two as bags of weighted stems."""
        shared = said & stems
        if len(shared) < LEAST_SHARED and said != stems:
            return 0.0
        square = [sum(self._weight.get(word, self._unseen) ** 2 for word in bag) for bag in (shared, said, stems)]
        return square[0] / math.sqrt(square[1] * square[2])


def _stems(words: Iterable[str]) -> frozenset[str]:
    return frozenset(stem(word) for word in words if word not in STOP_WORDS)
