# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Measure what plans save along recorded walks: a set for each step, against one for all steps and against all categories."""

import argparse
from pathlib import Path

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError
from tasktp_ros.runtime.default import DEFAULT_MODEL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp plan`."""
    parser.add_argument(
        "data", type=Path, help="data set in ScanNet's layout (scans/ and scannetv2-labels.combined.tsv)"
    )
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help=f"a shipped name or a .safetensors file (default: {DEFAULT_MODEL})"
    )
    parser.add_argument("--reach", type=options.reach, metavar="WORD", help=options.REACH_HELP)
    parser.add_argument(
        "--walks", type=options.whole(1), default=options.MOST, help="only so many scans (default: all)"
    )
    parser.add_argument(
        "--every", type=options.whole(1, 100_000), default=30, help="frames between two images (default: 30)"
    )
    parser.add_argument("--steps", type=options.whole(1, 64), default=3, help="steps of each plan (default: 3)")
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=options.threads, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--output", type=options.file, help="write all numbers with machine and command to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Measure; see `tasktp plan --help`."""
    from tqdm import tqdm

    from tasktp_ros.datasets.scannet.labels import TABLE, read_label_map
    from tasktp_ros.datasets.scannet.scan import open_scans
    from tasktp_ros.evaluation.plans import summary, table, walk_plans
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.search.steps import unfit
    from tasktp_ros.runtime.task_detector import TaskDetector
    from tasktp_ros.runtime.threads import use_threads

    use_threads(arguments.threads)
    detector = TaskDetector.load(arguments.model, arguments.device)
    detector.reach = arguments.reach or detector.reach
    labels = read_label_map(arguments.data / TABLE, detector.card.vocabulary).of_grade("A")
    scans = [scan for scan in open_scans(arguments.data) if not unfit(scan)][: arguments.walks]
    done = list(tqdm(walk_plans(scans, labels, detector, arguments.every, arguments.steps), total=len(scans), desc="plans",
                     unit="walk", disable=None, leave=False))  # fmt: skip
    walks = [walk for walk in done if walk is not None]
    if not walks:
        raise InputError(
            f"in no scan of {arguments.data} do {arguments.steps} categories come into view one after the other"
        )
    report = provenance() | {
        "data": arguments.data.name, "model": arguments.model, "reach": detector.reach, "every": arguments.every,
        "steps": arguments.steps, "walks": len(walks), "left_out": len(done) - len(walks), "rows": summary(walks), "values": walks,
    }  # fmt: skip
    hand_over(report, lambda: table(report), as_json=arguments.json, files=(arguments.output,))
    return 0
