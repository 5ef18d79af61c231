# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a camera's stream saves along recorded walks, and what it costs: time, precision, frames until something new is found."""

import argparse
from pathlib import Path
from typing import Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError
from tasktp_ros.runtime.default import DEFAULT_MODEL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp stream`."""
    parser.add_argument(
        "data", type=Path, help="data set in ScanNet's layout (scans/ and scannetv2-labels.combined.tsv)"
    )
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help=f"a shipped name or a .safetensors file, with gates (default: {DEFAULT_MODEL})",
    )
    parser.add_argument("--reach", type=options.reach, metavar="WORD", help=options.REACH_HELP)
    parser.add_argument("--walks", type=options.whole(1), default=6, help="only so many scans (default: 6)")
    parser.add_argument(
        "--frames", type=options.whole(2), default=541, help="of each scan from its beginning (default: 541)"
    )
    parser.add_argument("--categories", type=options.whole(0, 100), default=2,
                        help="categories searched for in each scan, one at a time, beside all of them (default: 2)")  # fmt: skip
    parser.add_argument("--seed", type=options.seed, default=0, help="draws these categories (default: 0)")
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="default: auto")
    parser.add_argument("--threads", type=options.threads, default=0, help="CPU threads (default: all cores but one)")
    parser.add_argument("--output", type=options.file, help="write all numbers with machine and command to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Measure; see `tasktp stream --help`."""
    from dataclasses import asdict

    from tqdm import tqdm

    from tasktp_ros.datasets.scannet.labels import TABLE, read_label_map
    from tasktp_ros.datasets.scannet.scan import open_scans
    from tasktp_ros.evaluation.parts import kept_parts
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.search.steps import unfit
    from tasktp_ros.evaluation.streams.measure import METHODS, Settings, measure_walks
    from tasktp_ros.evaluation.streams.report import stream_report, stream_table
    from tasktp_ros.runtime.models import open_model

    network, card = open_model(arguments.model)
    if not network.backbone.reducer.follows_streams:
        raise InputError(f"{card.name} has no gates: a stream follows what gates keep")
    labels = read_label_map(arguments.data / TABLE, card.vocabulary).of_grade("A")
    scans = [scan for scan in open_scans(arguments.data) if not unfit(scan)][: arguments.walks]
    if not scans:
        raise InputError(f"no scan in {arguments.data} has labels, known poses and 270 frames")
    settings = Settings(arguments.model, arguments.reach or card.reach, arguments.device, arguments.precision, arguments.threads,
                        arguments.categories, arguments.frames, arguments.seed)  # fmt: skip
    with kept_parts(None, arguments.output) as parts:
        walks = list(tqdm(measure_walks(scans, labels, settings, parts), total=len(scans), desc="stream", unit="walk",
                          disable=None, leave=False))  # fmt: skip
        report: dict[str, Any] = provenance() | {
            "data": arguments.data.name, "model": card.name, "walks": len(walks), "setting": asdict(settings),
            "methods": {method.label: asdict(method) for method in METHODS},
            "rates": stream_report(walks, [method.label for method in METHODS], parts),
        }  # fmt: skip
        hand_over(report, lambda: stream_table(report), as_json=arguments.json, files=(arguments.output,))
    return 0
