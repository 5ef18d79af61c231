# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Look for categories along a walk, count the images they are found on, and draw some of these images on one sheet."""

import argparse
from pathlib import Path
from typing import Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.datasets.sample import OFFICE_WALK
from tasktp_ros.runtime.default import DEFAULT_MODEL

QUALITY = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp sheet`."""
    parser.add_argument("output", type=options.picture(), help="picture to write; its ending chooses the format")
    parser.add_argument(
        "--source",
        type=Path,
        default=OFFICE_WALK,
        help="any recording (default: the office walk that comes with the package)",
    )
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help=f"shipped name or .safetensors file (default: {DEFAULT_MODEL})"
    )
    parser.add_argument("--task", nargs="+", metavar="NAME", help="categories to look for (default: all)")
    parser.add_argument(
        "--score", type=options.share, default=0.5, help="detections score more than this (default: 0.5)"
    )
    parser.add_argument(
        "--frames", type=options.whole(1, 100), default=12, help="frames on the sheet, evenly spread (default: 12)"
    )
    parser.add_argument("--reach", type=options.reach, metavar="WORD", help=options.REACH_HELP)
    parser.add_argument("--threads", type=options.threads, default=0, help="CPU threads (default: all cores but one)")
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="default: auto")
    parser.add_argument("--results", type=options.file, help="write the counts with machine and command to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Detect, count and draw; see `tasktp sheet --help`."""
    from tqdm import tqdm

    from tasktp_ros import TaskDetector
    from tasktp_ros.datasets.frames import open_source
    from tasktp_ros.datasets.pictures import encode_picture
    from tasktp_ros.evaluation.model_facts import weights_mark
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.sheet import sheet, spread, walk
    from tasktp_ros.files import replacing
    from tasktp_ros.runtime.threads import use_threads

    use_threads(arguments.threads)
    detector = TaskDetector.load(arguments.model, arguments.device, arguments.precision)
    detector.set_task(arguments.task)
    detector.score_threshold, detector.reach = arguments.score, arguments.reach or detector.reach
    with open_source(arguments.source) as source:
        count = source.length or sum(1 for _ in source)
    with open_source(arguments.source) as source:
        images = (
            frame.image for frame in tqdm(source, total=count, unit="image", desc="look", disable=None, leave=False)
        )
        tiles, counts = walk(detector, images, spread(count, arguments.frames))
        if not tiles:
            raise source.nothing_readable()
    report = provenance() | {
        "model": detector.name, "weights": weights_mark(arguments.model), "picture": arguments.output.name, "source": arguments.source.name, "task": arguments.task, "score": arguments.score,
        "calibrated": detector.card.score_map is not None, "reach": detector.reach,
    } | counts  # fmt: skip
    with replacing(arguments.output) as beside:
        beside.write_bytes(encode_picture(sheet(tiles), arguments.output.suffix.lower(), QUALITY))
    hand_over(report, lambda: told(report), as_json=arguments.json, files=(arguments.results,))
    return 0


def told(report: dict[str, Any]) -> str:
    """The counts as lines."""
    kept = "" if report["kept"] is None else f", {report['kept']:.0%} of tokens kept"
    lines = [f"{report['model']} on {report['images']} images of {report['source']}: something on {report['with_any']} of them at score "
             f"{report['score']:g}; {report['milliseconds']:.1f} ms per image{kept}"]  # fmt: skip
    lines += [f"{row['images']:5} images, {row['detections']:5} found: {name}" for name, row in report["of"].items()]
    return "\n".join(lines)
