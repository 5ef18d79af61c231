# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""Works through the plan: trains, evaluates and times what is missing; whatever is stopped goes on with the same command."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasktp_ros.errors import DataError, TrainingError
from tasktp_ros.evaluation.detect_set import evenly
from tasktp_ros.evaluation.model_facts import weights_mark
from tasktp_ros.evaluation.results import write_results
from tasktp_ros.papers.measure import Judge, measure
from tasktp_ros.papers.plan import SIZES, Contender
from tasktp_ros.papers.records import Bench, is_current, read_record, record_file, write_record
from tasktp_ros.papers.timing import time_all
from tasktp_ros.papers.train import Workshop, make_model

Say = Callable[[str], None]


@dataclass(frozen=True)
class Timing:
    """How contenders are timed.

    Attributes:
        images: evenly spread over the data set.
        repeats: detections per image.
        threads: of the CPU.
    """

    images: int = 30
    repeats: int = 3
    threads: int = 1


def work(
    plan: Sequence[Contender], bench: Bench, shop: Workshop, judge: Judge, results: Path, say: Say = print
) -> list[str]:
    """Train and evaluate what of the plan is missing.

    Returns:
        A sentence for each contender whose training failed; the others were gone on with.

    Raises:
        TrainingError: a stop was asked for.
    """
    failed = []
    for number, contender in enumerate(plan, 1):
        if not to_do(contender, bench, shop, results):
            continue
        say(f"{number} of {len(plan)}: {contender.name} ({contender.title})")
        try:
            training = make_model(contender, bench, shop)
        except TrainingError as error:
            if "not finite" not in str(error):
                raise
            failed.append(str(error))
            continue
        record = measure(contender, shop.model(bench, contender), judge)
        write_record(results, bench, contender, record | {"training": training})
    return failed


def to_do(contender: Contender, bench: Bench, shop: Workshop, results: Path) -> bool:
    """Whether a contender has no record, or one of other weights than those of its model here."""
    file = record_file(results, bench, contender)
    if not file.is_file():
        return True
    record, model = read_record(file), shop.model(bench, contender)
    return not is_current(record, contender) or (model.is_file() and weights_mark(model) != record["model"]["weights"])


def time_what_is_here(
    plan: Sequence[Contender],
    bench: Bench,
    shop: Workshop,
    judge: Judge,
    timing: Timing,
    results: Path,
    say: Say = print,
) -> None:
    """Time all contenders that have a record and a model, in one run, and write it into their records.

    Raises:
        DataError: there is none.
    """
    here: list[tuple[Contender, Path]] = []
    for contender in plan:
        model = shop.model(bench, contender)
        if model.is_file() and record_file(results, bench, contender).is_file():
            here.append((contender, model))
    if not here:
        raise DataError(f"no contender of {bench.name} has a model in {shop.runs} that could be timed")
    dataset = judge.open(bench.vocabulary)
    images = [dataset.picture(int(index)) for index in evenly(len(dataset), timing.images)]
    say(f"{len(here)} contenders in turns on {len(images)} images")
    times = time_all(here, images, judge.drawn(dataset, SIZES), repeats=timing.repeats, threads=timing.threads,
                     device=judge.device, precision=judge.precision)  # fmt: skip
    for contender, _ in here:
        file = record_file(results, bench, contender)
        write_results(file, read_record(file) | {"times": times[contender.name]})


def not_timed_together(plan: Sequence[Contender], bench: Bench, results: Path) -> bool:
    """Whether some of the plan's records have no times, or times of different runs."""
    files = [record_file(results, bench, contender) for contender in plan]
    runs = {(read_record(file)["times"] or {}).get("run") for file in files if file.is_file()}
    return None in runs or len(runs) > 1
