# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""The papers' tables from results that are there, ours beside theirs; with --train, whatever is missing is trained and measured."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError, TrainingError

if TYPE_CHECKING:
    from tasktp_ros.papers.measure import Judge
    from tasktp_ros.papers.plan import Contender
    from tasktp_ros.papers.records import Bench
    from tasktp_ros.papers.train import Workshop

RECIPE = "coco-nano"
DENSE = "coco-nano-dense"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp tables`."""
    parser.add_argument(
        "--results",
        type=options.folder,
        default=Path("results/tables"),
        help="folder of results (default: results/tables)",
    )
    parser.add_argument(
        "--table", metavar="NAME", help="only this one, such as tasktp-1 or svit-5 (default: all, and what is missing)"
    )
    parser.add_argument(
        "--write", type=options.file, metavar="PAGE", help="make the tables within this Markdown page anew"
    )
    parser.add_argument("--list", action="store_true", help="print the plan: groups, contenders and their options")
    train = parser.add_argument_group("training what is missing")
    train.add_argument(
        "--train", action="store_true", help="train, evaluate and time what is missing; goes on after any stop"
    )
    train.add_argument(
        "--evaluate", action="store_true", help="only what needs no training: contenders on the dense weights"
    )
    train.add_argument(
        "--time", action="store_true", help="only time all contenders whose models are here anew, in turns of one run"
    )
    train.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="only these groups or contenders, see --list"
    )
    train.add_argument("--data", nargs="+", metavar="PATH[=WEIGHT]",
                       help="data sets in COCO's layout, as for tasktp train; the first is evaluated on")  # fmt: skip
    train.add_argument("--dense", default=DENSE, metavar="MODEL", help=f"that all start from (default: {DENSE})")
    train.add_argument("--recipe", default=RECIPE, help=f"whose stages are scaled to the budget (default: {RECIPE})")
    train.add_argument(
        "--passes", type=options.whole(1), default=8000, help="images that each is shown in training (default: 8000)"
    )
    train.add_argument("--teacher", type=Path, metavar="NANODET.json", help="learn from this finished detector, too")
    train.add_argument(
        "--runs",
        type=options.folder,
        default=Path("runs/tables"),
        help="folder of trainings and models (default: runs/tables)",
    )
    train.add_argument(
        "--walks", type=Path, metavar="DATA", help="then search along these walks for table II, see tasktp search"
    )
    train.add_argument("--split", default="val", help="evaluated on (default: val)")
    train.add_argument(
        "--images", type=options.whole(1), default=1_000_000, help="evaluate on at most so many (default: all)"
    )
    train.add_argument("--sets", type=options.whole(1), default=5, help="category sets of each size (default: 5)")
    train.add_argument(
        "--looks", type=options.whole(1), default=60, help="images on which gates are looked at (default: 60)"
    )
    train.add_argument("--timed", type=options.whole(1), default=30, help="images that are timed on (default: 30)")
    train.add_argument("--repeats", type=options.whole(1, 1000), default=3, help="detections per timed image, of which the median counts (default: 3)")  # fmt: skip
    train.add_argument("--threads", type=options.threads, default=1, help="CPU threads while timing (default: 1)")
    train.add_argument("--device", type=options.kind_of_device, default="auto", help="auto, cpu or cuda")
    train.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="at test (default: auto)")
    train.add_argument(
        "--train-precision",
        choices=("auto", "bf16-mixed", "16-mixed", "32-true"),
        default="auto",
        help="default: what is fast here",
    )
    train.add_argument(
        "--workers",
        type=options.whole(0, 1024),
        default=1,
        help="processes that load data, and that evaluate (default: 1)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print or make tables; see `tasktp tables --help`."""
    from tasktp_ros.papers.page import everything, one_table, renewed
    from tasktp_ros.papers.plan import GROUPS, chosen

    plan = chosen(arguments.only)
    if arguments.list:
        print("\n".join(f"{group}: {said}\n{_listed(group, plan)}" for group, said in GROUPS.items()))
        return 0
    if arguments.train or arguments.evaluate or arguments.time:
        return _work(arguments, plan)
    if arguments.write:
        from tasktp_ros.files import replacing

        text = renewed(_page(arguments.write), arguments.results)
        with replacing(arguments.write) as beside:
            beside.write_text(text)
        print(f"wrote {arguments.write}")
        return 0
    print(one_table(arguments.table, arguments.results) if arguments.table else everything(arguments.results))
    return 0


def _page(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--write names a page that cannot be read: {path}: {error}") from error


def _listed(group: str, plan: "Sequence[Contender]") -> str:
    rows = []
    for one in plan:
        if one.group == group:
            said = " ".join(f"{name}={value}" for name, value in one.options.items())
            how = f"seed {one.seed}" if one.trained else "not trained"
            rows.append(f"  {one.name:28} {one.method:18} {how:12} {said}".rstrip())
    return "\n".join(rows)


def _work(arguments: argparse.Namespace, plan: "Sequence[Contender]") -> int:
    try:
        import lightning_fabric  # noqa: F401
    except ImportError as error:
        raise InputError(f"training needs Lightning Fabric (pip install lightning-fabric): {error}") from error
    from tasktp_ros.papers.page import told_missing
    from tasktp_ros.papers.records import read_benches
    from tasktp_ros.papers.work import Timing, not_timed_together, time_what_is_here, work

    if arguments.data is None:
        raise InputError("--data is needed, the data set's folder")
    bench, shop, judge = _bench(arguments)
    results = arguments.results
    if arguments.evaluate:
        plan = [one for one in plan if not one.trained]
    print(f"bench {bench.name}: results in {results / bench.name}, models in {shop.runs / bench.name}", flush=True)
    failed = [] if arguments.time else work(plan, bench, shop, judge, results, _say)
    if arguments.time or not_timed_together(plan, bench, results):
        timing = Timing(arguments.timed, arguments.repeats, arguments.threads)
        from tasktp_ros.papers.plan import PLAN

        time_what_is_here(PLAN, bench, shop, judge, timing, results, _say)
    if arguments.walks:
        _search(arguments, bench, shop)
    print(f"\nMissing: {told_missing(bench, read_benches(results)[bench])}")
    if failed:
        raise TrainingError(f"{len(failed)} trainings failed: {'; '.join(failed)}")
    return 0


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _bench(arguments: argparse.Namespace) -> "tuple[Bench, Workshop, Judge]":
    """What is compared, and where and how it is made and measured.

    Raises:
        InputError: a model that is not dense or does not fit the recipe.
    """
    from tasktp_ros.cli.train import chosen_precision, weighted
    from tasktp_ros.datasets.mixed import Source
    from tasktp_ros.evaluation.model_facts import weights_mark
    from tasktp_ros.papers.measure import Judge
    from tasktp_ros.papers.records import Bench
    from tasktp_ros.papers.train import Workshop
    from tasktp_ros.runtime.models import open_model
    from tasktp_ros.training.nanodet import read_nanodet
    from tasktp_ros.training.recipes import recipe_named

    _, card = open_model(arguments.dense)
    recipe = recipe_named(arguments.recipe)
    if card.method != "dense":
        raise InputError(f"--dense must be a dense model, and {card.name} is of the method {card.method}")
    if card.vocabulary_name != recipe.vocabulary:
        raise InputError(
            f"recipe {recipe.name} is for the vocabulary {recipe.vocabulary}, and {card.name} knows {card.vocabulary_name}"
        )
    sources = [Source(path, weight) for path, weight in map(weighted, arguments.data)]
    judge = Judge(sources[0].path, arguments.split, arguments.images, arguments.looks, arguments.sets,
                  workers=max(1, arguments.workers), device=arguments.device, precision=arguments.precision)  # fmt: skip
    images = min(arguments.images, len(judge.open(card.vocabulary_name)))
    teacher = None if arguments.teacher is None else read_nanodet(arguments.teacher)
    names = tuple(
        source.path.resolve().name + ("" if source.weight == 1 else f"={source.weight:g}") for source in sources
    )
    bench = Bench(names, arguments.split, images, card.size, card.vocabulary_name, card.name, weights_mark(arguments.dense) or "random",
                  recipe.name, arguments.passes, "" if teacher is None else arguments.teacher.stem)  # fmt: skip
    shop = Workshop(
        arguments.dense,
        sources,
        arguments.runs,
        arguments.device,
        chosen_precision(arguments.train_precision, arguments.device),
        arguments.workers,
        teacher,
    )
    return bench, shop, judge


def _search(arguments: argparse.Namespace, bench: "Bench", shop: "Workshop") -> None:
    """Table II with the models that are here, all in one run."""
    from tasktp_ros.cli.main import main
    from tasktp_ros.papers.plan import chosen

    models = [path for one in chosen(["main"]) if (path := shop.model(bench, one)).is_file()]
    words = ["search", str(arguments.walks), "--output", str(arguments.results / bench.name / "search.json"), "--reach", "blocks",
             "--threads", str(arguments.threads), "--device", arguments.device, "--precision", arguments.precision,
             *(word for path in models for word in ("--model", str(path)))]  # fmt: skip
    if main(words):
        raise InputError("the search for table II failed, see above")
