# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Choose when gates may leave a frame that shows nothing of the task and what scores are worth; write both into the model's file."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import DataError, InputError

if TYPE_CHECKING:
    from tasktp_ros.datasets.coco import CocoDataset
    from tasktp_ros.runtime.score_map import ScoreMap
    from tasktp_ros.runtime.task_detector import TaskDetector

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
    from tasktp_ros.evaluation.model_facts import weights_mark
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
    dataset = open_known(arguments.data, arguments.split, detector.vocabulary)
    indices = [int(index) for index in evenly(len(dataset), arguments.images)]
    if len(indices) < 2:
        raise InputError(f"calibration needs at least two images, and {dataset.file} has {len(dataset)}")
    network, card = load_model(file)
    calibrated = card
    report = provenance() | {
        "model": card.name,
        "weights": weights_mark(file),
        "data": arguments.data.name,
        "split": arguments.split,
        "images": len(indices),
    }
    knows_presence = "presence" in detector.network().backbone.reducer.published_modules()
    with tqdm(
        total=len(indices) * (1 + knows_presence), unit="image", desc="calibrate", disable=None, leave=False
    ) as bar:
        if knows_presence:
            report |= leaving(detector, dataset, indices, arguments.miss, bar.update)
            calibrated = replace(calibrated, reach="frame", stop_below=tuple(report["taken"]["stop_below"]))
            detector.reach, detector.stop_below = calibrated.reach, calibrated.stop_below
        report["scores"], score_map = scores(detector, dataset, indices, bar.update)
    if score_map is not None:
        measured = calibrated.measured | {"balance": report["scores"]["balance"]}
        calibrated = replace(calibrated, score_map=score_map, measured=measured)
    if calibrated != card:
        save_model(file, network, calibrated)
    hand_over(report, lambda: table(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def leaving(
    detector: "TaskDetector",
    dataset: "CocoDataset",
    indices: Sequence[int],
    miss: float,
    on_image: Callable[[], object],
) -> dict[str, Any]:
    """The curve of what may be missed and what it saves, and the row `taken` of it."""
    from tasktp_ros.evaluation.early_stop import choose, halves, leaving_times, outcome, search_images

    times = leaving_times(detector, [dataset.picture(index) for index in indices[:50]])
    searches = search_images(detector, dataset, indices, on_image)
    chosen_on, measured_on = halves(searches)
    curve = []
    for allowed in sorted({*MISSES, miss}):
        thresholds = choose(chosen_on, times, allowed)
        curve.append({"allowed": allowed, "stop_below": thresholds} | outcome(measured_on, times, thresholds))
    taken = next(row for row in curve if row["allowed"] == miss)
    return {"searches": len(searches), "milliseconds_left_at_gate": times, "taken": taken, "curve": curve}


def scores(
    detector: "TaskDetector", dataset: "CocoDataset", indices: Sequence[int], on_image: Callable[[], object]
) -> tuple[dict[str, Any], "ScoreMap | None"]:
    """What the network's scores are worth before and, where they could be fitted, after; and the score map."""
    from tasktp_ros.evaluation.score_fit import balance, fit, judge_images, quality

    fitted_on, measured_on = judge_images(detector, dataset, indices, on_image)
    before = quality(measured_on)
    try:
        score_map = fit(fitted_on.scores, fitted_on.right)
    except DataError as error:
        return {"refused": str(error), "before": before}, None
    return {"score_map": asdict(score_map), "before": before, "after": quality(measured_on, score_map),
            "balance": balance(fitted_on, measured_on, score_map)}, score_map  # fmt: skip


def table(report: dict[str, Any]) -> str:
    """The report as text: when frames may be left, and what scores are worth."""
    first = leaving_table(report) if "curve" in report else [
        f"{report['model']}: its gates do not estimate whether anything of the task is on the image, so no frame is left early"]  # fmt: skip
    return "\n".join([*first, "", *score_table(report["scores"])])


def leaving_table(report: dict[str, Any]) -> list[str]:
    """Lines of the curve: what may be missed, and what it saves."""
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
    return lines


def score_table(report: dict[str, Any]) -> list[str]:
    """Lines on what scores are worth, before and after."""
    if "refused" in report:
        return [report["refused"]]
    before, after = report["before"], report["after"]
    return [
        "scores: sigmoid({scale:.3f} * logit(score) {shift:+.3f}), fitted on one half".format(**report["score_map"]),
        f"calibration error on the other half, {before['detections']} detections: {before['calibration_error']:.3f} -> "
        f"{after['calibration_error']:.3f}",
        "most right for what is claimed (highest F1) from {score:.2f} on: precision {precision:.1%}, recall {recall:.1%}".format(
            **report["balance"]
        ),
        "",
        f"{'at score 0.5':<16} {'objects':>7} {'precision':>16} {'recall':>16}",
        *(
            f"{name:<16} {one['objects']:7} {_change(one, other, 'precision')} {_change(one, other, 'recall')}"
            for name, one, other in [("all", before, after), *((name, row, after["of"][name]) for name, row in before["of"].items())]
        ),
    ]  # fmt: skip


def _change(before: dict[str, Any], after: dict[str, Any], key: str) -> str:
    """Two shares as `57.1% -> 41.0%`, or a line where there is nothing to count."""
    one, other = ("-" if row[key] is None else f"{row[key]:.1%}" for row in (before, after))
    return f"{one:>6} -> {other:>6}"
