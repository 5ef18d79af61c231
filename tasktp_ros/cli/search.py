# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Search for objects along recorded walks: images and milliseconds until each is found, method beside method."""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasktp_ros.cli import options
from tasktp_ros.cli.model_list import add_methods, worn
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError
from tasktp_ros.runtime.default import DEFAULT_DENSE, DEFAULT_MODEL
from tasktp_ros.vision.reach import REACH_TITLES

if TYPE_CHECKING:
    from tasktp_ros.datasets.scannet.labels import LabelMap
    from tasktp_ros.datasets.scannet.scan import Scan
    from tasktp_ros.evaluation.search.measure import Method, Settings
    from tasktp_ros.evaluation.search.queries import Query

DEFAULT_MODELS = (DEFAULT_DENSE, DEFAULT_MODEL)
DEFAULT_REACHES = ("blocks", "frame")
Drawn = dict[int, list["Query"]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp search`."""
    parser.add_argument(
        "data", type=Path, help="data set in ScanNet's layout (scans/ and scannetv2-labels.combined.tsv)"
    )
    parser.add_argument("--model", action="append", default=[], metavar="MODEL",
                        help="a shipped name or a .safetensors file; again for each further model. The first is compared with. "
                        "A dense model runs twice: with all categories, and restricted to the searched one "
                        f"(default: {', '.join(DEFAULT_MODELS)})")  # fmt: skip
    add_methods(parser)
    parser.add_argument("--reach", type=options.reach, nargs="+", metavar="WORD",
                        help="how far a tasktp model follows its task, a row for each word: blocks (as published), network, frame (all "
                        "the way); default: blocks frame. A search by --ros takes the last word, or else the model's own")  # fmt: skip
    parser.add_argument("--split", default="", metavar="FILE", help="list of scans in DATA (default: all scans)")
    parser.add_argument("--queries", type=Path, help="search for what this file says (default: draw)")
    parser.add_argument("--write-queries", type=options.file, help="write what was drawn to this file")
    parser.add_argument("--seeds", type=options.seed, nargs="+", default=[0, 1, 2, 3, 4], help="default: 0 1 2 3 4")
    parser.add_argument("--count", type=options.whole(1), default=20, help="searches per seed (default: 20)")
    parser.add_argument(
        "--repeats",
        type=options.whole(1, 1000),
        default=3,
        help="detections per image, of which the median counts (default: 3)",
    )
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="default: auto")
    parser.add_argument("--threads", type=options.threads, default=0, help="CPU threads (default: all cores but one)")
    parser.add_argument(
        "--criterion", choices=("verified", "claimed", "lenient"), default="verified", help="of the table"
    )
    parser.add_argument("--ros", nargs=2, metavar=("SCAN", "TARGET"),
                        help="search once, through the ROS graph: perception, task manager, player and searcher")  # fmt: skip
    parser.add_argument("--times", nargs="+", metavar="CATEGORY",
                        help="only time the search for these along DATA, any recording without labels (folder, bag, video, .sens)")  # fmt: skip
    parser.add_argument(
        "--logs",
        type=options.folder,
        default=Path("search_logs"),
        help="the nodes' logs of --ros (default: search_logs)",
    )
    parser.add_argument("--output", type=options.file, help="write all numbers with machine and command to this file")
    parser.add_argument(
        "--plot",
        type=options.picture(options.FIGURES),
        help="draw images until found, and images that missed the object, per search",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Search; see `tasktp search --help`."""
    from tasktp_ros.datasets.scannet.labels import TABLE, read_label_map
    from tasktp_ros.evaluation.parts import MODELS, kept_parts
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.search.plots import plot_searches
    from tasktp_ros.evaluation.search.queries import write_queries
    from tasktp_ros.evaluation.search.report import over_seeds, seed_report, table
    from tasktp_ros.runtime.models import open_model

    if arguments.plot:
        import matplotlib.figure  # noqa: F401  (missing, it would be missed after the search)
    cards = {model: open_model(model)[1] for model in arguments.model or DEFAULT_MODELS}
    if arguments.ros:
        return _search_in_ros(arguments, cards)
    vocabulary, categories = _shared_vocabulary(cards)
    if arguments.times:
        return _time(arguments, cards, categories)
    labels = read_label_map(arguments.data / TABLE, categories).of_grade("A")
    scans, drawn, set_aside = _queries(arguments, vocabulary, categories, labels)
    if arguments.write_queries:
        write_queries(arguments.write_queries, vocabulary, drawn)
    with kept_parts(None, arguments.output) as parts:
        methods = _methods(arguments, _with_worn(arguments, cards, parts / MODELS))
        steps = _measure(arguments, methods, scans, drawn, labels, parts)
        seeds = {str(seed): seed_report(queries, steps[seed]) for seed, queries in drawn.items()}
        report = provenance() | {
            "data": arguments.data.name, "vocabulary": vocabulary, "scans": len(scans), "set_aside": set_aside,
            "methods": {method.label: vars(method) for method in methods}, "seeds": seeds, "over_seeds": over_seeds(seeds),
            "setting": {"repeats": arguments.repeats, "device": arguments.device, "precision": arguments.precision,
                        "threads": arguments.threads},
            "searches": {str(seed): _searches(queries, steps[seed]) for seed, queries in drawn.items()},
        }  # fmt: skip
        hand_over(report, lambda: table(report, arguments.criterion), as_json=arguments.json, files=(arguments.output,))
    if arguments.plot:
        plot_searches(report, arguments.plot)
    return 0


def _shared_vocabulary(cards: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """What the models' vocabularies are called, and the categories that all of them have, in the first one's order."""
    name = " and ".join(sorted({card.vocabulary_name for card in cards.values()}))
    first, *others = (card.vocabulary for card in cards.values())
    shared = tuple(category for category in first if all(category in other for other in others))
    if not shared:
        raise InputError(f"the models have no category in common (vocabularies {name}) and cannot be compared")
    return name, shared


def _queries(
    arguments: argparse.Namespace, vocabulary: str, categories: tuple[str, ...], labels: "LabelMap"
) -> "tuple[dict[str, Scan], Drawn, dict[str, str]]":
    """The scans that are searched in, what is searched for per seed, and why the other scans are set aside."""
    from tqdm import tqdm

    from tasktp_ros.datasets.scannet.scan import open_scans
    from tasktp_ros.evaluation.search.queries import draw_queries, read_queries
    from tasktp_ros.evaluation.search.steps import seen_in, unfit

    scans = {scan.name: scan for scan in open_scans(arguments.data, arguments.split)}
    if arguments.queries:
        drawn = read_queries(arguments.queries)[1]
        asked = {query.category for queries in drawn.values() for query in queries}
        if not asked:
            raise InputError(f"{arguments.queries} searches for nothing")
        if unknown := sorted(asked.difference(categories)):
            raise InputError(
                f"{arguments.queries} searches for {unknown[0]!r}, which not all of the models know ({vocabulary})"
            )
        wanted = {query.scan for queries in drawn.values() for query in queries}
        absent = sorted(wanted - set(scans))
        if absent:
            raise InputError(f"{arguments.queries} searches in scans that {arguments.data} lacks, such as {absent[0]}")
        return {name: scans[name] for name in wanted}, drawn, {}
    set_aside = {name: reason for name, scan in scans.items() if (reason := unfit(scan))}
    fit = {name: scan for name, scan in scans.items() if name not in set_aside}
    if not fit:
        name, reason = next(iter(set_aside.items()))
        raise InputError(f"no scan in {arguments.data} can be searched in: {name} is set aside since {reason}")
    seen = {
        name: seen_in(scan, labels)
        for name, scan in tqdm(fit.items(), desc="look", unit="scan", disable=None, leave=False)
    }
    drawn = {seed: draw_queries(seen, seed, arguments.count) for seed in arguments.seeds}
    if not any(drawn.values()):
        raise InputError(f"no category of the vocabulary {vocabulary!r} ever becomes visible in {arguments.data}")
    return fit, drawn, set_aside


def _methods(arguments: argparse.Namespace, cards: dict[str, Any]) -> "list[Method]":
    from tasktp_ros.evaluation.search.measure import Method
    from tasktp_ros.reduction import is_task_aware

    methods = []
    for model, card in cards.items():
        if is_task_aware(card.method):
            methods += [
                Method(f"{card.name}, {REACH_TITLES[reach]}", model, narrowed=True, reach=reach)
                for reach in dict.fromkeys(arguments.reach or DEFAULT_REACHES)
            ]
            continue
        methods.append(Method(card.name, model, narrowed=False))
        if card.method == "dense":
            methods.append(Method(f"{card.name}, one class", model, narrowed=True))
    return methods


def _with_worn(arguments: argparse.Namespace, cards: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The models and, written to `folder`, the dense ones' weights with the methods that were asked for."""
    from tasktp_ros.runtime.models import open_model

    return cards | {path: open_model(path)[1] for path in worn(list(cards), arguments, folder)}


def _settings(arguments: argparse.Namespace) -> "Settings":
    from tasktp_ros.evaluation.search.measure import Settings

    return Settings(arguments.device, arguments.precision, arguments.threads, arguments.repeats)


def _measure(
    arguments: argparse.Namespace,
    methods: "list[Method]",
    scans: "dict[str, Scan]",
    drawn: "Drawn",
    labels: "LabelMap",
    parts: Path,
) -> dict[int, Any]:
    """Per seed and method, for every query the steps of its walk."""
    from tqdm import tqdm

    from tasktp_ros.evaluation.search.measure import Measurement

    wanted: dict[str, set[str]] = {}
    for queries in drawn.values():
        for query in queries:
            wanted.setdefault(query.scan, set()).add(query.category)
    measurement = Measurement(parts, labels, _settings(arguments))
    with tqdm(total=len(wanted), desc="search", unit="scan", disable=None, leave=False) as bar:
        for done in measurement.run(methods, scans, wanted):
            bar.set_postfix_str(done)
            bar.update()
    found = {
        method.label: {name: measurement.result(method, scans[name], wanted[name]) for name in wanted}
        for method in methods
    }
    return {
        seed: {label: [rows[query.scan][query.category] for query in queries] for label, rows in found.items()}
        for seed, queries in drawn.items()
    }


def _searches(queries: "list[Query]", steps: Any) -> list[dict[str, Any]]:
    """Per query what each method needed: raw values of the report."""
    from tasktp_ros.evaluation.search.protocol import follow
    from tasktp_ros.evaluation.search.report import missed

    missing = {label: missed(walks) for label, walks in steps.items()}
    return [
        {"scan": query.scan, "category": query.category, "oracle": query.oracle, "steps": query.steps,
         "methods": {label: vars(follow(walks[i], "verified")) | {"missed": missing[label][i]} for label, walks in steps.items()}}
        for i, query in enumerate(queries)
    ]  # fmt: skip


def _time(arguments: argparse.Namespace, cards: dict[str, Any], vocabulary: tuple[str, ...]) -> int:
    """Milliseconds per image along a recording without labels."""
    from tasktp_ros.datasets.frames import open_source
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.search.times import time_walk
    from tasktp_ros.tasks.vocabulary import resolve_categories

    categories = resolve_categories(arguments.times, vocabulary) or ()
    with open_source(arguments.data) as source, tempfile.TemporaryDirectory() as folder:
        methods = _methods(arguments, _with_worn(arguments, cards, Path(folder)))
        report = time_walk(source, methods, categories, _settings(arguments))
    report = provenance() | {"data": arguments.data.name, "categories": list(categories)} | report
    hand_over(report, lambda: _times_table(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def _times_table(report: dict[str, Any]) -> str:
    lines = [f"{report['images']} images, one per three seconds, searched for {', '.join(report['categories'])}; without labels "
             f"nobody knows what is there\n\n{'method':<42}  ms/run   kept  claims"]  # fmt: skip
    for label, row in report["rows"].items():
        kept = "-" if row["kept"] is None else f"{row['kept']:.0%}"
        lines.append(f"{label:<42}  {row['milliseconds_per_run']:6.1f}  {kept:>5}  {row['claims']:6}")
    return "\n".join(lines)


def _search_in_ros(arguments: argparse.Namespace, cards: dict[str, Any]) -> int:
    """One search by the last of the models, whose task is the target if it can make use of it."""
    from tasktp_ros.datasets.scannet.labels import TABLE, read_label_map
    from tasktp_ros.datasets.scannet.scan import open_scans
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.search.ros import search_in_ros
    from tasktp_ros.reduction import is_task_aware
    from tasktp_ros.runtime.vocabularies import name_of_vocabulary

    name, target = arguments.ros
    model, card = list(cards.items())[-1]
    scan = next((scan for scan in open_scans(arguments.data) if scan.name == name), None)
    if scan is None:
        raise InputError(f"{arguments.data} has no scan {name!r}")
    if target not in card.vocabulary:
        raise InputError(
            f"{target!r} is no category of the vocabulary {card.vocabulary_name!r}, such as {card.vocabulary[0]}"
        )
    if scan.missing:
        raise InputError(f"{name} cannot be searched in: it lacks {', '.join(scan.missing)}")
    table = arguments.data / TABLE
    read_label_map(table, card.vocabulary)
    vocabulary = name_of_vocabulary(model)
    reach = arguments.reach[-1] if arguments.reach else card.reach
    perception = {"model": model, "reach": reach}
    found = search_in_ros(
        scan, table, target, perception, vocabulary, is_task_aware(card.method), arguments.criterion, arguments.logs
    )
    report = provenance() | {"data": arguments.data.name, "model": card.name, "reach": reach} | found
    hand_over(
        report,
        lambda: f"{target} in {name} by {card.name}: {_told(report)}",
        as_json=arguments.json,
        files=(arguments.output,),
    )
    return 0


def _told(report: dict[str, Any]) -> str:
    where = (
        f"on image {report['runs']}, frame {report['located_frame']}"
        if report["found"]
        else f"not on {report['runs']} images"
    )
    return (
        f"{where}, {report['false_alarms']} false alarms, {report['milliseconds']:.1f} ms detecting; image to detections "
        f"between nodes {report['latency_milliseconds']['median']} ms (median)"
    )
