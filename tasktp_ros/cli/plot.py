# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Draw results: training curves, the threshold sweep, or which tokens two tasks keep on one image."""

import argparse
from pathlib import Path

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp plot`."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="kind")
    training = kinds.add_parser("training", help="losses and precision over steps, from a training's log.csv")
    training.add_argument("source", type=Path)
    training.add_argument(
        "--recipe", metavar="NAME", help="the training's recipe: draws over image passes instead of steps"
    )
    sweep = kinds.add_parser(
        "sweep", help="AP and kept tokens over the threshold, from a report of tasktp eval --sweep"
    )
    sweep.add_argument("source", type=Path)
    tokens = kinds.add_parser("tokens", help="one image under several tasks: pruned tokens dark, detections drawn")
    tokens.add_argument("source", type=Path, help="the image, or with --frame a recording")
    tokens.add_argument("--frame", type=options.whole(0), help="number of the recording's frame, counted from 0")
    tokens.add_argument(
        "--score", type=options.share, default=0.5, help="detections score more than this (default: 0.5)"
    )
    tokens.add_argument("--model", required=True, help="a shipped name or a .safetensors file")
    tokens.add_argument(
        "--tasks",
        nargs="+",
        required=True,
        metavar="NAMES",
        help='category sets, such as "cup,bowl" couch; all = everything',
    )
    for kind in (training, sweep, tokens):
        kind.add_argument(
            "output", type=options.picture(options.FIGURES), help="picture to write; its ending chooses the format"
        )


def run(arguments: argparse.Namespace) -> int:
    """Draw; see `tasktp plot --help`."""
    from tasktp_ros.evaluation import plots

    if arguments.kind == "training":
        plots.plot_training(arguments.source, arguments.output, _batches(arguments.recipe))
    elif arguments.kind == "sweep":
        plots.plot_sweep(arguments.source, arguments.output)
    else:
        _tokens(arguments)
    print(arguments.output)
    return 0


def _batches(name: str | None) -> list[int]:
    """Images per step of each of a recipe's stages; none without a recipe."""
    from tasktp_ros.training.recipes import RECIPES

    if name is None:
        return []
    if name not in RECIPES:
        raise InputError(f"there is no recipe {name!r}; `tasktp train --list` shows them")
    return [stage.batch for stage in RECIPES[name].stages]


def _tokens(arguments: argparse.Namespace) -> None:
    import numpy as np

    from tasktp_ros.cli.detect import read_frame, read_image
    from tasktp_ros.evaluation.plots import plot_tokens
    from tasktp_ros.runtime.drawing import draw_overlay
    from tasktp_ros.runtime.task_detector import TaskDetector

    image = read_image(arguments.source) if arguments.frame is None else read_frame(arguments.source, arguments.frame)
    detector = TaskDetector.load(arguments.model)
    detector.score_threshold = arguments.score
    pictures = []
    for task in arguments.tasks:
        detector.set_task(None if task == "all" else [name.strip() for name in task.split(",")])
        found = detector.detect(image)
        kept = f", {np.mean(found.kept):.0%} of tokens kept" if found.kept else ""
        pictures.append((f"{task}{kept}", draw_overlay(image, found)))
    plot_tokens(pictures, arguments.output)
