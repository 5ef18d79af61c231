# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Measure box and mask AP on category subsets, with the kept tokens beside it, against the dense model."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp eval`."""
    parser.add_argument("--model", required=True, help="a shipped name or a .safetensors file")
    parser.add_argument("--dense", default="", help="dense model to compare with")
    parser.add_argument("--data", type=Path, required=True, help="data set in COCO's layout")
    parser.add_argument("--split", default="val", help="default: val")
    parser.add_argument("--subsets", type=subset_size, nargs="+", default=["1", "10", "40", "all"], metavar="SIZE",
                        help="sizes of the category sets (default: 1 10 40 all; sizes the vocabulary lacks are left out)")  # fmt: skip
    parser.add_argument("--sets", type=options.whole(1), default=5, help="sets of each size (default: 5)")
    parser.add_argument("--seed", type=options.seed, default=0, help="of the sets (default: 0)")
    parser.add_argument(
        "--images", type=options.whole(1), default=1_000_000, help="use at most so many, evenly spread (default: all)"
    )
    parser.add_argument("--sweep", type=options.inner_share, nargs="*", default=[], metavar="THRESHOLD",
                        help="also with these gate thresholds, on the first set of each size (figure 2 of the paper)")  # fmt: skip
    parser.add_argument("--reach", type=options.reach, metavar="WORD", help=options.REACH_HELP)
    parser.add_argument("--workers", type=options.workers, default=2, help="processes (default: 2)")
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="default: auto")
    parser.add_argument("--parts", type=options.folder, help="keep finished passes in this folder and go on from them (default: with "
                        "--output, a folder beside it until the report is written)")  # fmt: skip
    parser.add_argument("--output", type=options.file, help="write the report with machine and command to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def subset_size(text: str) -> str:
    """A whole number of at least 1, or "all"; as text."""
    try:
        return text if text == "all" else str(options.whole(1)(text))
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"must be numbers or all; a number {error}") from None


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; see `tasktp eval --help`."""
    from tqdm import tqdm

    from tasktp_ros.evaluation.accuracy import Job, Plan, open_known, run_jobs, stamped
    from tasktp_ros.evaluation.accuracy_report import build_report
    from tasktp_ros.evaluation.detect_set import MOST_DETECTIONS, SCORE_THRESHOLD
    from tasktp_ros.evaluation.model_facts import weights_mark
    from tasktp_ros.evaluation.parts import kept_parts
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.runtime.models import open_model

    network, card = open_model(arguments.model)
    gated = bool(network.backbone.reducer.gated_blocks())
    if not gated and (arguments.sweep or arguments.reach):
        raise InputError(f"--sweep and --reach need gates, and {arguments.model} has none")
    dataset = open_known(arguments.data, arguments.split, card.vocabulary)
    lacking = [name for name in card.vocabulary if name not in dataset.vocabulary]
    if not len(dataset):
        raise InputError(f"{dataset.file} has no images to evaluate on")
    if arguments.dense and open_model(arguments.dense)[1].vocabulary != card.vocabulary:
        raise InputError(f"{arguments.dense} and {arguments.model} have different vocabularies and cannot be compared")
    images = min(arguments.images, len(dataset))
    method = stamped(Job(arguments.model, str(arguments.data), arguments.split, images, device=arguments.device,
                         precision=arguments.precision))  # fmt: skip
    dense = stamped(replace(method, model=arguments.dense)) if arguments.dense else None
    method = replace(method, reach=arguments.reach or card.reach)
    subsets = _subsets(arguments, dataset.vocabulary)
    plan = Plan(method, dense, subsets, dataset.vocabulary, len(card.vocabulary), tuple(arguments.sweep), gated)
    jobs = plan.jobs()
    with kept_parts(arguments.parts, arguments.output) as parts:
        with tqdm(total=len(set(jobs)) * images, unit="image", desc="evaluate", disable=None, leave=False) as bar:
            for _ in run_jobs(jobs, parts, arguments.workers):
                bar.update(images)
        report = build_report(plan, dataset, parts)
        report = provenance() | {"model": card.name, "weights": weights_mark(arguments.model), "method": card.method, "dense": arguments.dense,
                                 "data": arguments.data.name, "split": arguments.split, "seed": arguments.seed,
                                 "not_in_the_data": lacking,
                                 "setting": {"workers": arguments.workers, "device": arguments.device,
                                             "precision": arguments.precision, "score_threshold": SCORE_THRESHOLD,
                                             "max_detections": MOST_DETECTIONS,
                                             "reach": method.reach if gated else None}} | report  # fmt: skip
        hand_over(report, lambda: table(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def _subsets(arguments: argparse.Namespace, vocabulary: tuple[str, ...]) -> dict[str, list[tuple[str, ...]]]:
    from tasktp_ros.evaluation.subsets import draw_subsets

    found = {}
    for size in arguments.subsets:
        count = len(vocabulary) if size == "all" else int(size)
        if size == "all" or count < len(vocabulary):
            found[size] = draw_subsets(vocabulary, count, arguments.sets, arguments.seed)
    if not found:
        raise InputError(f"no subset is left: the vocabulary has {len(vocabulary)} categories; add all")
    return found


def table(report: dict[str, Any]) -> str:
    """Means per size as text."""
    lines = [
        f"{report['model']} ({report['method']}) on {report['images']} images of {report['data']} {report['split']}"
    ]
    if lacking := report["not_in_the_data"]:
        known = len(report["vocabulary"])
        lines.append(f"evaluated on {known} of the model's {known + len(lacking)} categories; the data set has no "
                     f"{', '.join(lacking)}")  # fmt: skip
    lines += ["", f"{'categories':>10}  {'model':16} {'box AP':>7} {'AP50':>6} {'mask AP':>8} {'kept':>6} {'with':>6} {'without':>8} "
             f"{'wrong':>6} {'GFLOPs':>7} {'ms':>6}"]  # fmt: skip
    for size, means in report["means"].items():
        for contender, title in (
            ("method", report["method"]),
            ("dense", "dense"),
            ("dense_restricted", "dense, restricted"),
        ):
            if contender in means:
                row = means[contender]
                wrong = means.get("kept_wrong_task") if contender == "method" else None
                shares = [row.get("kept"), row.get("kept_with_target"), row.get("kept_without_target"), wrong]
                cells = [f"{share:.0%}" if share is not None else "-" for share in shares]
                lines.append(f"{size:>10}  {title:16} {row['box_AP']:7.1f} {row['box_AP50']:6.1f} {row['mask_AP']:8.1f} "
                             f"{cells[0]:>6} {cells[1]:>6} {cells[2]:>8} {cells[3]:>6} {row['backbone_gflops']:7.2f} "
                             f"{row['milliseconds']:6.1f}")  # fmt: skip
    return "\n".join(lines)
