# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's tables 3 to 7 on a data set in COCO's layout: mIoU and GFLOPs beside the paper's."""

import argparse
from pathlib import Path

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError

KINDS = ("dense", "prune", "half", "tuned")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp vltp`."""
    parser.add_argument("--table", type=options.whole(3, 7), required=True, help="the paper's number of it")
    said = {
        "dense": "a segmenter that was not trained for pruning (rooms-vltp-nano-dense)",
        "prune": "one whose prune decoder alone was trained (rooms-vltp-nano --freeze detector)",
        "half": "one with both decoders trained at half of the tokens",
        "tuned": "one that was then trained at fewer (rooms-vltp-nano)",
    }
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"{said[kind]}; rows of others are left out")
    parser.add_argument("--data", type=Path, required=True, help="data set in COCO's layout")
    parser.add_argument("--split", default="val", help="default: val")
    parser.add_argument("--images", type=options.whole(1), default=200, help="evenly chosen (default: 200)")
    parser.add_argument("--device", type=options.kind_of_device, default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", type=options.file, help="write the report with machine and command to this file")


def run(arguments: argparse.Namespace) -> int:
    """Measure a table; see `tasktp vltp --help`."""
    from tqdm import tqdm

    from tasktp_ros.cli.output import hand_over
    from tasktp_ros.datasets.coco import CocoDataset
    from tasktp_ros.evaluation.goal_iou import category_goals
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.vltp_tables import TABLES, measure
    from tasktp_ros.runtime.task_segmenter import TaskSegmenter

    files = {kind: getattr(arguments, kind) for kind in KINDS if getattr(arguments, kind)}
    rows = [row for row in TABLES[arguments.table] if row.model in files]
    if not rows:
        wanted = sorted({f"--{row.model}" for row in TABLES[arguments.table]})
        raise InputError(f"table {arguments.table} needs a model: {' or '.join(wanted)}")
    models = {kind: TaskSegmenter.load(path, device=arguments.device) for kind, path in files.items()}
    vocabulary = models[rows[0].model].card.vocabulary
    if any(model.card.vocabulary != vocabulary for model in models.values()):
        raise InputError("the models have different vocabularies and cannot be compared")
    dataset = CocoDataset.open(arguments.data, arguments.split, vocabulary)
    goals = category_goals(dataset, arguments.images)
    measured = [measure(row, models[row.model], goals) | {"model": models[row.model].card.name}
                for row in tqdm(rows, desc="rows", disable=None, leave=False)]  # fmt: skip
    report = provenance() | {"table": arguments.table, "data": arguments.data.name, "split": arguments.split,
                             "images": len(goals), "rows": measured}  # fmt: skip
    hand_over(report, lambda: as_text(measured), as_json=arguments.json, files=(arguments.output,))
    return 0


def as_text(rows: list[dict]) -> str:
    """The rows as a table."""
    lines = [f"{'':24} {'stages':28} {'GFLOPs':>8} {'mIoU':>6}   {'paper:':>8} {'':>6}"]
    for row in rows:
        stages = ", ".join(f"{after}: {rate:g}" for after, rate in row["stages"]) or "none"
        paper = row["paper"]
        lines.append(
            f"{row['label']:24} {stages:28} {row['gflops']:8.3f} {row['mIoU']:6.1f}   {paper['gflops']:8g} {paper['mIoU']:6.1f}"
        )
    return "\n".join(lines)
