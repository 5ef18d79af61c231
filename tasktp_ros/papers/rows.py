# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""Out of records the cells of tables: means with their spread over seeds, frames per second, and what they are against dense."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tasktp_ros.papers.plan import ALL
from tasktp_ros.papers.records import Record, of_seeds

NOTHING = "-"
OTHER_RUN = "†"
"""Behind times that were not measured in turns with dense."""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; all columns but the first are numbers."""
    marks = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows))


def spread(values: Sequence[float], digits: int = 1, sign: bool = False) -> str:
    """A mean, with the standard deviation behind it where there are several values; of none a dash."""
    if not values:
        return NOTHING
    plus = "+" if sign else ""
    told = f"{statistics.mean(values):{plus}.{digits}f}"
    return told if len(values) == 1 else f"{told} ± {statistics.stdev(values):.{digits}f}"


def share(values: Sequence[float]) -> str:
    """A mean of shares in per cent."""
    return f"{statistics.mean(values):.0%}" if values else NOTHING


def number(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """A published number, or a dash."""
    return NOTHING if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


class Rows:
    """The records of one bench.

    Args:
        records: by the contender's name.
    """

    def __init__(self, records: Mapping[str, Record]) -> None:
        self.records = dict(records)

    def of(self, key: str) -> list[Record]:
        """A contender's records, one per seed."""
        return of_seeds(self.records, key)

    def scores(self, key: str, name: str, size: str = ALL, part: str = "accuracy") -> list[float]:
        """A number of a contender's accuracy under sets of a size, one per seed; what does not exist is left out."""
        rows = [(record.get(part) or {}).get(size, {}) for record in self.of(key)]
        return [row[name] for row in rows if row.get(name) is not None and row[name] >= 0]

    def above_dense(self, key: str, name: str, size: str, told: bool, part: str = "accuracy") -> list[float]:
        """Differences, one per seed, to the mean of dense trained on, on the same categories.

        Args:
            told: dense, too, is told the set and finds nothing else.
            part: of the contender's record.
        """
        dense = self.scores("dense", name, size, "restricted" if told else "accuracy")
        return [value - statistics.mean(dense) for value in self.scores(key, name, size, part)] if dense else []

    def times(self, key: str, name: str, label: str = ALL) -> list[float]:
        """A number of a contender's times, one per seed."""
        rows = [((record["times"] or {}).get("rows") or {}).get(label, {}) for record in self.of(key)]
        return [row[name] for row in rows if row.get(name) is not None]

    def fps(self, key: str, label: str = ALL, of: str = "milliseconds") -> str:
        """Frames per second, the mean over seeds; marked where dense was not timed in the same run."""
        milliseconds = self.times(key, of, label)
        if not milliseconds:
            return NOTHING
        mark = OTHER_RUN if self._run("dense") and self._run(key) != self._run("dense") else ""
        return f"{1000 / statistics.mean(milliseconds):.1f}{mark}"

    def speedup(self, key: str, label: str = ALL, of: str = "milliseconds") -> str:
        """Times as fast as dense with all categories in the same run."""
        own, dense = self.times(key, of, label), self.times("dense", of)
        if not own or not dense or self._run(key) != self._run("dense"):
            return NOTHING
        return f"{statistics.mean(dense) / statistics.mean(own):.2f}"

    def title(self, key: str, otherwise: str) -> str:
        """What a contender's row is called, with the number of its seeds where there are several."""
        found = self.of(key)
        return f"{otherwise} ({len(found)} seeds)" if len(found) > 1 else otherwise

    def any(self, read: Callable[[Record], Any]) -> Any:
        """Of the first record that has it."""
        return next((value for record in self.records.values() if (value := read(record))), None)

    def _run(self, key: str) -> set[str]:
        return {record["times"]["run"] for record in self.of(key) if record["times"]}
