# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's tables 3 to 8 on a data set in COCO's layout: mIoU and GFLOPs beside the paper's."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError
from tasktp_ros.evaluation.vltp_tables import MODELS, PAPER_8, TABLES

if TYPE_CHECKING:
    from tasktp_ros.runtime.task_segmenter import TaskSegmenter

GOALS = ("categories", "common", "uncommon")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp vltp`."""
    parser.add_argument("--table", type=options.whole(3, 8), required=True, help="the paper's number of it")
    for kind, said in MODELS.items():
        parser.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"{said}; rows of others are left out")
    parser.add_argument("--data", type=Path, required=True, help="data set in COCO's layout")
    parser.add_argument("--split", default="val", help="default: val")
    parser.add_argument("--images", type=options.whole(1), default=200, help="evenly chosen (default: 200)")
    parser.add_argument("--goals", choices=GOALS, help="each category on an image, or the rooms' common or uncommon tasks in "
                                                       "words (default: categories; table 8: all)")  # fmt: skip
    parser.add_argument("--device", type=options.kind_of_device, default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", type=options.file, help="write the report with machine and command to this file")


def run(arguments: argparse.Namespace) -> int:
    """Measure a table; see `tasktp vltp --help`."""
    from tqdm import tqdm

    from tasktp_ros.cli.output import hand_over
    from tasktp_ros.datasets.coco import CocoDataset
    from tasktp_ros.evaluation.goal_iou import CategoryGoals, SentenceGoals
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.vltp_measure import contenders, measure
    from tasktp_ros.runtime.task_segmenter import TaskSegmenter

    rows = TABLES[arguments.table]
    files = {kind: getattr(arguments, kind) for kind in MODELS if getattr(arguments, kind)}
    models = {row.model: TaskSegmenter.load(files[row.model], device=arguments.device)
              for row in {row.model: row for row in rows if row.model in files}.values()}  # fmt: skip
    if not models:
        wanted = dict.fromkeys(f"--{row.model}" for row in rows)
        raise InputError(f"table {arguments.table} needs a model: {' or '.join(wanted)}")
    vocabulary = next(iter(models.values())).card.vocabulary
    if any(model.card.vocabulary != vocabulary for model in models.values()):
        raise InputError("the models have different vocabularies and cannot be compared")
    dataset = CocoDataset.open(arguments.data, arguments.split, vocabulary)
    entries = contenders(rows, models)
    kinds = [arguments.goals] if arguments.goals else list(GOALS if arguments.table == 8 else GOALS[:1])
    if kinds != ["categories"]:
        understand(models.values(), vocabulary)
    measured: list[dict[str, Any]] = []
    for kind in kinds:
        images = (
            CategoryGoals(dataset, arguments.images)
            if kind == "categories"
            else SentenceGoals(dataset, arguments.images, kind)
        )
        found = measure(entries, tqdm(images, desc=kind, disable=None, leave=False))
        measured += [_with_goals(row, kind) for row in found]
    report = provenance() | {"table": arguments.table, "data": arguments.data.name, "split": arguments.split,
                             "images": min(arguments.images, len(dataset)), "rows": measured}  # fmt: skip
    hand_over(report, lambda: as_text(measured), as_json=arguments.json, files=(arguments.output,))
    return 0


def _with_goals(row: dict[str, Any], kind: str) -> dict[str, Any]:
    """A row that says what goals it is of; the paper's mIoU is of RIO's test set of the same name."""
    paper = dict(row["paper"])
    if kind == "uncommon":
        paper["mIoU"] = PAPER_8.get(row["label"], {}).get(kind)
    return row | {"goals": kind, "paper": paper}


def understand(models: "Iterable[TaskSegmenter]", vocabulary: tuple[str, ...]) -> None:
    """Let segmenters take sentences by the chain of resolvers that answer at once."""
    from tasktp_ros.tasks.words.build import NO_ENCODER, build_chain, shipped_rules

    chain = build_chain(shipped_rules(vocabulary), encoder=NO_ENCODER)
    for model in models:
        model.understand(lambda sentence: chain.resolve("", sentence, ()))


def as_text(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    lines = [f"{'':24} {'goals':11} {'stages':42} {'GFLOPs':>8} {'mIoU':>6}   {'paper:':>8} {'':>6}"]
    for row in rows:
        stages = ", ".join(f"{after}: {rate:.2g}" for after, rate in row["stages"]) or "none"
        label = f"{row['label']} as {row['budget']}" if row["budget"] else row["label"]
        paper = row["paper"]
        cost = "" if paper["gflops"] is None else f"{paper['gflops']:g}"
        score = "" if paper["mIoU"] is None else f"{paper['mIoU']:.1f}"
        lines.append(
            f"{label:24} {row['goals']:11} {stages:42} {row['gflops']:8.3f} {row['mIoU']:6.1f}   {cost:>8} {score:>6}"
        )
    return "\n".join(lines)
