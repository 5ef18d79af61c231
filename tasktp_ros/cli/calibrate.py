# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Choose when gates may leave a frame that shows nothing of the task, and write it into the model's file."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError

MISSES = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp calibrate`."""
    parser.add_argument("model", help="a .safetensors file, or a shipped name whose file is then changed")
    parser.add_argument("--data", type=Path, required=True, help="data set in COCO's layout")
    parser.add_argument("--split", default="val", help="default: val")
    parser.add_argument("--images", type=options.whole(2), default=1_000_000,
                        help="use at most so many, evenly spread (default: all)")  # fmt: skip
    parser.add_argument("--miss", type=options.inner_share, default=0.01, metavar="SHARE",
                        help="share of the images with a category that may be left early (default: 0.01)")  # fmt: skip
    parser.add_argument("--threads", type=options.threads, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--output", type=options.file, help="write the curve with machine and command to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate; see `tasktp calibrate --help`."""
    from tqdm import tqdm

    from tasktp_ros.evaluation.accuracy import open_known
    from tasktp_ros.evaluation.detect_set import evenly
    from tasktp_ros.evaluation.early_stop import choose, halves, leaving_times, outcome, search_images
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.runtime.checkpoints import load_model, save_model
    from tasktp_ros.runtime.shipped import find_model
    from tasktp_ros.runtime.task_detector import TaskDetector
    from tasktp_ros.runtime.threads import use_threads

    file = find_model(arguments.model)
    if file is None:
        raise InputError(f"{arguments.model} has no file that could be written")
    use_threads(arguments.threads)
    detector = TaskDetector.load(file)
    if "presence" not in detector.network().backbone.reducer.published_modules():
        raise InputError(f"the gates of {arguments.model} do not estimate whether anything of the task is on the image")
    dataset = open_known(arguments.data, arguments.split, detector.vocabulary)
    indices = [int(index) for index in evenly(len(dataset), arguments.images)]
    if len(indices) < 2:
        raise InputError(f"calibration needs at least two images, and {dataset.file} has {len(dataset)}")
    times = leaving_times(detector, [dataset.picture(index) for index in indices[:50]])
    with tqdm(total=len(indices), unit="image", desc="calibrate", disable=None, leave=False) as bar:
        searches = search_images(detector, dataset, indices, lambda: bar.update())
    chosen_on, measured_on = halves(searches)
    curve = []
    for miss in sorted({*MISSES, arguments.miss}):
        thresholds = choose(chosen_on, times, miss)
        curve.append({"allowed": miss, "stop_below": thresholds} | outcome(measured_on, times, thresholds))
    taken = next(row for row in curve if row["allowed"] == arguments.miss)
    network, card = load_model(file)
    save_model(file, network, replace(card, reach="frame", stop_below=taken["stop_below"]))
    report = provenance() | {"model": card.name, "data": arguments.data.name, "split": arguments.split, "images": len(indices),
                             "searches": len(searches), "milliseconds_left_at_gate": times, "taken": taken, "curve": curve}  # fmt: skip
    hand_over(report, lambda: table(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def table(report: dict[str, Any]) -> str:
    """The curve as text: what may be missed, and what it saves."""
    lines = [
        f"{report['model']}: {report['searches']} searches on {report['images']} images; chosen on one half, measured on the other",
        "",
        f"{'allowed':>8} {'missed':>7} {'left':>6} {'ms with':>8} {'without':>8}  thresholds",
    ]
    for row in report["curve"]:
        mark = " <- taken" if row is report["taken"] else ""
        thresholds = " ".join(f"{threshold:.3g}" for threshold in row["stop_below"])
        lines.append(f"{row['allowed']:8.2%} {row['missed']:7.2%} {row['left']:6.1%} {row['milliseconds_shown']:8.1f} "
                     f"{row['milliseconds_absent']:8.1f}  {thresholds}{mark}")  # fmt: skip
    return "\n".join(lines)
