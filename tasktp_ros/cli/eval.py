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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasktp_ros.cli import options
from tasktp_ros.cli.model_list import add_methods, worn
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError

if TYPE_CHECKING:
    from tasktp_ros.datasets.coco import CocoDataset
    from tasktp_ros.evaluation.accuracy import Plan
    from tasktp_ros.runtime.checkpoints import ModelCard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp eval`."""
    parser.add_argument(
        "--model", required=True, nargs="+", help="shipped names or .safetensors files, compared in one run"
    )
    add_methods(parser)
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

    from tasktp_ros.evaluation.accuracy import run_jobs
    from tasktp_ros.evaluation.parts import MODELS, kept_parts
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.runtime.models import open_model

    if arguments.dense:
        open_model(arguments.dense)  # what is wrong with it is told before anything is made
    plans = [_planned(arguments, model) for model in arguments.model]
    with kept_parts(arguments.parts, arguments.output) as parts:
        plans += [_planned(arguments, model) for model in worn(arguments.model, arguments, parts / MODELS)]
        jobs = [job for planned in plans for job in planned.plan.jobs()]
        images = {job: job.images for job in jobs}
        with tqdm(total=sum(images.values()), unit="image", desc="evaluate", disable=None, leave=False) as bar:
            for job in run_jobs(jobs, parts, arguments.workers):
                bar.update(images[job])
        reports = [_report(arguments, planned, parts) for planned in plans]
        whole = provenance() | (reports[0] if len(reports) == 1 else {"models": reports})
        hand_over(whole, lambda: table(reports), as_json=arguments.json, files=(arguments.output,))
    return 0


class Planned(NamedTuple):
    """An evaluation of one model.

    Attributes:
        model: name or file.
        card: of it.
        plan: what is run.
        dataset: on what.
    """

    model: str
    card: "ModelCard"
    plan: "Plan"
    dataset: "CocoDataset"


def _planned(arguments: argparse.Namespace, model: str) -> Planned:
    """Everything that is run for a model.

    Raises:
        InputError: it cannot be evaluated as it was asked for.
    """
    from tasktp_ros.evaluation.accuracy import Job, Plan, open_known, stamped
    from tasktp_ros.runtime.models import open_model

    network, card = open_model(model)
    gated = bool(network.backbone.reducer.gated_blocks())
    if not gated and len(arguments.model) == 1 and not arguments.method and (arguments.sweep or arguments.reach):
        raise InputError(f"--sweep and --reach need gates, and {model} has none")
    dataset = open_known(arguments.data, arguments.split, card.vocabulary)
    if not len(dataset):
        raise InputError(f"{dataset.file} has no images to evaluate on")
    if arguments.dense and open_model(arguments.dense)[1].vocabulary != card.vocabulary:
        raise InputError(f"{arguments.dense} and {model} have different vocabularies and cannot be compared")
    images = min(arguments.images, len(dataset))
    method = stamped(Job(model, str(arguments.data), arguments.split, images, device=arguments.device,
                         precision=arguments.precision))  # fmt: skip
    dense = stamped(replace(method, model=arguments.dense)) if arguments.dense else None
    method = replace(method, reach=arguments.reach or card.reach) if gated else method
    sweep = tuple(arguments.sweep) if gated else ()
    subsets = _subsets(arguments, dataset.vocabulary)
    return Planned(
        model, card, Plan(method, dense, subsets, dataset.vocabulary, len(card.vocabulary), sweep, gated), dataset
    )


def _report(arguments: argparse.Namespace, planned: Planned, parts: Path) -> dict[str, Any]:
    """What a model's finished jobs say."""
    from tasktp_ros.evaluation.accuracy_report import build_report
    from tasktp_ros.evaluation.detect_set import MOST_DETECTIONS, SCORE_THRESHOLD
    from tasktp_ros.evaluation.model_facts import weights_mark

    model, card, plan, dataset = planned
    lacking = [name for name in card.vocabulary if name not in dataset.vocabulary]
    return {"model": card.name, "weights": weights_mark(model), "method": card.method, "dense": arguments.dense,
            "data": arguments.data.name, "split": arguments.split, "seed": arguments.seed,
            "not_in_the_data": lacking,
            "setting": {"workers": arguments.workers, "device": arguments.device,
                        "precision": arguments.precision, "score_threshold": SCORE_THRESHOLD,
                        "max_detections": MOST_DETECTIONS,
                        "reach": plan.method.reach if plan.gated else None}} | build_report(plan, dataset, parts)  # fmt: skip


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


def table(reports: Sequence[dict[str, Any]]) -> str:
    """Means per size as text; of several models those of one size below each other, with the dense one to compare with once."""
    lines = []
    for report in reports:
        lines.append(
            f"{report['model']} ({report['method']}) on {report['images']} images of {report['data']} {report['split']}"
        )
        if lacking := report["not_in_the_data"]:
            known = len(report["vocabulary"])
            lines.append(f"evaluated on {known} of the model's {known + len(lacking)} categories; the data set has no "
                         f"{', '.join(lacking)}")  # fmt: skip
    titles = [report["method"] if len(reports) == 1 else report["model"] for report in reports]
    width = max(16, *map(len, titles))
    lines += ["", f"{'categories':>10}  {'model':{width}} {'box AP':>7} {'AP50':>6} {'mask AP':>8} {'kept':>6} {'with':>6} {'without':>8} "
             f"{'wrong':>6} {'GFLOPs':>7} {'ms':>6}"]  # fmt: skip
    for size in dict.fromkeys(size for report in reports for size in report["means"]):
        means = [report["means"].get(size, {}) for report in reports]
        rows = [(title, each, "method") for title, each in zip(titles, means, strict=True)]
        rows += [("dense", means[0], "dense"), ("dense, restricted", means[0], "dense_restricted")]
        lines += [_line(size, f"{title:{width}}", each, which) for title, each, which in rows if which in each]
    return "\n".join(lines)


def _line(size: str, title: str, means: dict[str, Any], which: str) -> str:
    row = means[which]
    wrong = means.get("kept_wrong_task") if which == "method" else None
    shares = [row.get("kept"), row.get("kept_with_target"), row.get("kept_without_target"), wrong]
    cells = [f"{share:.0%}" if share is not None else "-" for share in shares]
    return (
        f"{size:>10}  {title} {row['box_AP']:7.1f} {row['box_AP50']:6.1f} {row['mask_AP']:8.1f} "
        f"{cells[0]:>6} {cells[1]:>6} {cells[2]:>8} {cells[3]:>6} {row['backbone_gflops']:7.2f} {row['milliseconds']:6.1f}"
    )
