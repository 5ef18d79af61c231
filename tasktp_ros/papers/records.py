# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""What is known of one contender: a JSON file of its own in a folder that belongs to one bench.

A bench is everything that contenders must share to be compared: data, network, dense model, budget. Its folder's name tells it from
others, every file in it repeats it, and tables never mix two.

A record is what `evaluation.results.provenance` gives (machine, versions, commit, command, date) and

* `bench`: see `Bench`; `contender`: key, title, method, options, trained, seed, gates, reach
* `model`: `weights` (twelve digits of them), `parameters`, `brings` (parameters that dense has not)
* `training`: `steps`, `image_passes`, `images`, `seconds`; None where there was none
* `sets`: per size the lists of categories; `accuracy`: per size box_AP, box_AP50, mask_AP, precision_at_0.5, recall_at_0.5 (per cent; -1 =
  nothing to be found), kept, kept_with_target, kept_without_target, kept_wrong_task (shares), backbone_gflops; means over its sets
* `restricted`: of dense, the same with only the set's categories allowed; `sweep`: per threshold of the gates as `accuracy`
* `kept`: what gates keep, see `evaluation.selectivity.summarise`; None without gates
* `times`: of one run in which all contenders took turns, see `papers.timing`; None = not timed yet
* `seconds`: what evaluating took
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.results import write_results
from tasktp_ros.papers.plan import Contender

Record: TypeAlias = dict[str, Any]
SCHEMA = "tasktp_ros table 1"
PARTS = ("bench", "contender", "model", "training", "accuracy", "times")


@dataclass(frozen=True)
class Bench:
    """What contenders share.

    Attributes:
        data: names of the data sets that are trained on, with their weights; the first is evaluated on.
        split: that is evaluated on.
        images: of it.
        size: of the network.
        vocabulary: its name.
        dense: name of the dense model that all start from.
        dense_weights: twelve digits of its weights.
        recipe: whose stages are scaled to the budget.
        passes: the budget, images shown in training.
        teacher: a detector of another kind that training also learns from; "" = none.
    """

    data: tuple[str, ...]
    split: str
    images: int
    size: str
    vocabulary: str
    dense: str
    dense_weights: str
    recipe: str
    passes: int
    teacher: str = ""

    @property
    def name(self) -> str:
        """Of its folders; differs where contenders must not be compared."""
        taught = f"-{self.teacher}" if self.teacher else ""
        return f"{self.data[0].split('=')[0]}-{self.size}-{self.dense_weights[:6]}-{self.passes}{taught}-{self.images}"


def describe(contender: Contender) -> dict[str, Any]:
    """A contender as records have it."""
    names = ("key", "title", "method", "options", "trained", "seed", "gates", "reach")
    return {name: asdict(contender)[name] for name in names}


def record_file(results: Path, bench: Bench, contender: Contender) -> Path:
    """Where a contender's record is."""
    return results / bench.name / f"{contender.name}.json"


def write_record(results: Path, bench: Bench, contender: Contender, record: Record) -> None:
    """Write a record, beside first."""
    whole = {"schema": SCHEMA, "bench": asdict(bench), "contender": describe(contender)} | record
    write_results(record_file(results, bench, contender), whole)


def read_record(file: Path) -> Record:
    """A record.

    Raises:
        DataError: it cannot be read, or is none.
    """
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise DataError(f"{file} is no record of a contender: expected the schema {SCHEMA!r}")
    if lacking := [part for part in PARTS if part not in record]:
        raise DataError(f"{file} lacks {lacking[0]!r}, which every record has")
    return record


def bench_of(record: Record) -> Bench:
    """The bench that a record belongs to."""
    return Bench(**{**record["bench"], "data": tuple(record["bench"]["data"])})


def read_benches(results: Path) -> dict[Bench, dict[str, Record]]:
    """All records in the folders of `results`, by bench and by the contender's name.

    Raises:
        DataError: a file that is no record, or lies in another bench's folder.
    """
    found: dict[Bench, dict[str, Record]] = {}
    for file in sorted(results.glob("*/*.json")):
        if file.name.startswith("search"):
            continue
        record = read_record(file)
        bench = bench_of(record)
        if bench.name != file.parent.name:
            raise DataError(f"{file} is of the bench {bench.name}, whose records lie in a folder of that name")
        found.setdefault(bench, {})[file.stem] = record
    if len({bench.name for bench in found}) != len(found):
        raise DataError(f"records below {results} of one folder are of different benches: they cannot be compared")
    return found


def read_search(results: Path, bench: Bench) -> Record | None:
    """The report of `tasktp search` with a bench's models; None where there is none."""
    file = results / bench.name / "search.json"
    return json.loads(file.read_text()) if file.is_file() else None


def of_seeds(records: dict[str, Record], key: str) -> list[Record]:
    """The records of a contender, one per seed."""
    return [record for record in records.values() if record["contender"]["key"] == key]


def is_current(record: Record, contender: Contender) -> bool:
    """Whether a record is of this contender as the plan has it now."""
    own = json.loads(json.dumps(describe(contender)))
    return all(record["contender"].get(name) == value for name, value in own.items() if name != "title")


def missing(records: dict[str, Record], plan: Sequence[Contender]) -> list[Contender]:
    """The contenders of the plan that have no record, or one of a contender that the plan has changed since."""
    return [one for one in plan if one.name not in records or not is_current(records[one.name], one)]
