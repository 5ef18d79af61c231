# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Measure which tokens gates keep: with the searched object in view, without it, and under a wrong set of categories."""

import argparse
from pathlib import Path
from typing import Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError
from tasktp_ros.runtime.default import DEFAULT_MODEL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp kept`."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help=f"a shipped name or a .safetensors file, with gates (default: {DEFAULT_MODEL})",
    )
    parser.add_argument("--data", type=Path, required=True, help="data set in COCO's layout")
    parser.add_argument("--split", default="val", help="default: val")
    parser.add_argument(
        "--images", type=options.whole(1), default=1_000_000, help="use at most so many, evenly spread (default: all)"
    )
    parser.add_argument("--most", type=options.whole(1), default=3, metavar="COUNT",
                        help="single categories that an image is searched for at most, of those it shows and of others (default: 3)")  # fmt: skip
    parser.add_argument("--wrong", type=options.whole(1), default=10, metavar="COUNT",
                        help="categories of a set of which nothing is on the image (default: 10)")  # fmt: skip
    parser.add_argument("--reach", type=options.reach, metavar="WORD", help=options.REACH_HELP)
    parser.add_argument(
        "--threshold",
        type=options.inner_share,
        default=0.5,
        help="tokens score more than this to be kept (default: 0.5)",
    )
    parser.add_argument("--threads", type=options.threads, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="default: auto")
    parser.add_argument("--output", type=options.file, help="write the report with machine and command to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Measure; see `tasktp kept --help`."""
    from tqdm import tqdm

    from tasktp_ros.evaluation.accuracy import open_known
    from tasktp_ros.evaluation.detect_set import evenly
    from tasktp_ros.evaluation.model_facts import weights_mark
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.selectivity import looks, summarise
    from tasktp_ros.runtime.task_detector import TaskDetector
    from tasktp_ros.runtime.threads import use_threads

    use_threads(arguments.threads)
    detector = TaskDetector.load(arguments.model, arguments.device, arguments.precision)
    if not detector.network().backbone.reducer.gated_blocks():
        raise InputError(f"{arguments.model} has no gates, so it keeps all tokens")
    detector.reach = arguments.reach or detector.reach
    dataset = open_known(arguments.data, arguments.split, detector.vocabulary)
    if not len(dataset):
        raise InputError(f"{dataset.file} has no images to look at")
    indices = [int(index) for index in evenly(len(dataset), arguments.images)]
    with tqdm(total=len(indices), unit="image", desc="look", disable=None, leave=False) as bar:
        found = looks(detector, dataset, indices, threshold=arguments.threshold, most=arguments.most, wrong_size=arguments.wrong,
                      on_image=bar.update)  # fmt: skip
    report = provenance() | {
        "model": detector.name, "weights": weights_mark(arguments.model), "data": arguments.data.name, "split": arguments.split,
        "images": len(indices), "reach": detector.reach, "threshold": arguments.threshold, "most": arguments.most, "wrong": arguments.wrong,
        "setting": {"threads": arguments.threads, "device": str(detector.device), "precision": detector.precision},
    } | summarise(found)  # fmt: skip
    hand_over(report, lambda: table(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def table(report: dict[str, Any]) -> str:
    """What was kept under each kind of task, as text."""
    from tasktp_ros.evaluation.selectivity import per_gate, title_of

    lines = [
        f"{report['model']}, reach {report['reach']}, on {report['images']} images of {report['data']} {report['split']}; shares of tokens",
        "",
        f"{'task':<46} {'looks':>6} {'kept':>6}  {'per gate':<20} {'of its objects':>14} {'left':>6} {'ms':>6} {'joules':>7}",
    ]
    for kind, row in report["kinds"].items():
        blocks = per_gate(row)
        own = "-" if row["own"] is None else f"{row['own']:.0%}"
        joules = "-" if row["joules"] is None else f"{row['joules']:.3f}"
        lines.append(f"{title_of(kind, report):<46} {row['looks']:>6} {row['kept']:>6.1%}  {blocks:<20} {own:>14} {row['left']:>6.0%} "
                     f"{row['milliseconds']:>6.1f} {joules:>7}")  # fmt: skip
    return "\n".join(lines)
