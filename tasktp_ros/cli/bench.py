# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Time a network stage by stage beside the dense one and torchvision's, and count its operations; or watch its memory.

With --table everything is compared: plain, dense, the method under four tasks, torchvision's detectors. Without, random
networks are forced to keep shares of their tokens.
"""

import argparse
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.errors import InputError, ProcessError

if TYPE_CHECKING:
    from tasktp_ros.evaluation.contenders import Source

DEFAULT = "tasktp"
KEEP = (1.0, 0.5, 0.25, 0.1)
SECONDS = 120.0
"""That counted rounds of --table may take, so that two of them end within ten minutes."""
MEMORY_FRAMES = 20
"""For the memory that --table shows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp bench`."""
    parser.add_argument("--size", default=["nano"], nargs="+", metavar="MODEL",
                        help="random weights: nano, deit_tiny, deit_small or deit_base; trained ones: a shipped model or "
                             ".safetensors path; several are timed in turns (default: nano)")  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--table", action="store_true",
                      help="compare everything, on the sample walk; gates of trained weights decide what they keep")  # fmt: skip
    what.add_argument("--memory", type=options.whole(1), metavar="FRAMES",
                      help="instead of times: memory, and its growth over so many frames of the sample walk")  # fmt: skip
    parser.add_argument("--method", nargs="+", default=[], metavar="NAME",
                        help="token reduction methods of random weights (default: tasktp), and those that a trained dense model's "
                             "weights are also run with")  # fmt: skip
    parser.add_argument("--option", type=options.of_method, nargs="+", default=[], metavar="NAME=VALUE",
                        help="of that method, such as kept=0.7 (docs/methods.md)")  # fmt: skip
    parser.add_argument("--reach", nargs="+", type=options.reach, metavar="WORD",
                        help="how far the task is followed: blocks (as published), network or frame (all the way); "
                             "default: blocks, with --table blocks and frame")  # fmt: skip
    parser.add_argument("--image", type=options.sides, metavar="HxW", help="size of the image in px (default: 480x640)")
    parser.add_argument("--input", type=options.sides, metavar="SHORTxLONG",
                        help="sides in px that it is scaled to (default: the size's)")  # fmt: skip
    parser.add_argument("--keep", type=options.share, nargs="+", metavar="SHARE",
                        help="shares of tokens to force the gates to (default: 1 0.5 0.25 0.1); with --table of random weights "
                             "three, for all, ten and one category (default: as measured of trained nano)")  # fmt: skip
    parser.add_argument("--rounds", type=options.whole(1), default=20, help="counted frames per row (default: 20; with "
                        f"--table fewer where they take over {SECONDS:.0f} s)")  # fmt: skip
    parser.add_argument("--detections", type=options.whole(0, 1000), default=20,
                        help="that random weights find (default: 20; with --table a quarter of ten categories, a tenth of one)")  # fmt: skip
    parser.add_argument("--device", type=options.device, default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=options.PRECISIONS, default="auto", help="default: auto")
    parser.add_argument("--threads", type=options.threads, help="CPU threads (default: torch's)")
    parser.add_argument("--no-peer", action="store_true", help="leave torchvision's detectors out")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", type=options.file, help="also write the JSON with machine and command to this file")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; see `tasktp bench --help`."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages, which say nothing here
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.memory and len(arguments.size) + len(arguments.method) > 2:
        raise InputError("--memory watches one model: name one with --size, and one --method")
    try:
        return _memory(arguments) if arguments.memory else _speed(arguments)
    except ValueError as error:
        raise InputError(str(error)) from error


def _speed(arguments: argparse.Namespace) -> int:
    import numpy as np
    import torch
    from tqdm import tqdm

    from tasktp_ros.evaluation.comparison import in_one_run, sample_images, shares, stage_contenders, table_contenders
    from tasktp_ros.evaluation.contenders import Ours
    from tasktp_ros.evaluation.matrix_rate import measure_rates
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.speed import DENSE, as_records, measure_speed
    from tasktp_ros.evaluation.speed_report import text

    sources = _sources(arguments)
    source = sources[0]
    asked = (arguments.detections, arguments.device, arguments.precision, not arguments.no_peer)
    forced = None
    if arguments.table:
        images = sample_images(arguments.image)
        forced = None if source.card.trained else shares(arguments.keep)
        images = images if source.card.trained else images[:1]
        reaches = arguments.reach or ("blocks", "frame")
        contenders = in_one_run(
            sources, lambda one, peer: table_contenders(one, images[0], forced, reaches, *asked[:3], peer and asked[3])
        )
    else:
        size = arguments.image or (480, 640)
        images = [np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)]
        kept, reaches = arguments.keep or KEEP, arguments.reach or ("blocks",)
        contenders = in_one_run(
            sources, lambda one, peer: stage_contenders(one, images[0], kept, reaches, *asked[:3], peer and asked[3])
        )
    dense = next(one for one in contenders if isinstance(one, Ours) and one.name == DENSE)
    rates = measure_rates(lambda: dense.run_network(images[0]), dense.device)
    with tqdm(total=arguments.rounds, desc="rounds", disable=None, leave=False) as progress:
        seconds = SECONDS if arguments.table else float("inf")
        rows, rounds = measure_speed(contenders, images, arguments.rounds, seconds, lambda: progress.update())
    again = measure_rates(lambda: dense.run_network(images[0]), dense.device)
    labels = list(dict.fromkeys(one.card.label for one in sources))
    setting = {"model": ", ".join(labels), "size": source.card.size, "image": list(images[0].shape[:2]), "input": list(dense.detector.input_size),
               "device": str(dense.device), "precision": dense.detector.precision, "threads": torch.get_num_threads(),
               "rounds": rounds, "images": len(images), "shares": str(forced) if forced else None}  # fmt: skip
    report: dict[str, Any] = provenance() | {
        "setting": setting,
        "matrix_rates": {name: max(rate, again[name]) for name, rate in rates.items()},
        "rows": as_records(rows),
    }
    if arguments.table:
        report["memory"] = _memory_apart(arguments)
    hand_over(report, lambda: text(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def _sources(arguments: argparse.Namespace) -> "list[Source]":
    """What is timed, in the order it was named: of random weights every method, of trained ones their own and those they can be given."""
    import tempfile
    from pathlib import Path

    from tasktp_ros.cli.model_list import worn
    from tasktp_ros.evaluation.contenders import open_source
    from tasktp_ros.runtime.models import open_model
    from tasktp_ros.vision.sizes import SIZES

    found = []
    chosen = dict(arguments.option)
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.size:
            if model in SIZES:
                found += [
                    open_source(model, method, arguments.input, chosen) for method in arguments.method or [DEFAULT]
                ]
                continue
            found.append(open_source(model, DEFAULT, arguments.input))
            if arguments.method and open_model(model)[1].method == "dense":
                found += [
                    open_source(path, DEFAULT, arguments.input) for path in worn([model], arguments, Path(folder))
                ]
    if len({one.card.trained for one in found}) > 1:
        raise InputError("--size names random and trained weights, whose gates cannot be compared: choose one kind")
    return found


def _memory(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from tasktp_ros.evaluation.comparison import TASKS, sample_images
    from tasktp_ros.evaluation.memory import measure_memory
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.speed_report import memory_text

    with tqdm(total=arguments.memory, desc="frames", disable=None, leave=False) as progress:
        memory = measure_memory(
            arguments.size[0], (arguments.method or [DEFAULT])[0], sample_images(arguments.image), [task for _, task in TASKS.values()],
            arguments.memory, arguments.device, arguments.precision, arguments.input, on_frame=lambda: progress.update(),
            options=dict(arguments.option),
        )  # fmt: skip
    report = provenance() | {"memory": memory}
    hand_over(report, lambda: memory_text(memory), as_json=arguments.json, files=(arguments.output,))
    return 0


def _memory_apart(arguments: argparse.Namespace) -> dict[str, Any]:
    """Memory as a process of its own has it."""
    import json

    import torch

    words = ["--memory", str(MEMORY_FRAMES), "--size", arguments.size[0], "--method", (arguments.method or [DEFAULT])[0], "--device", arguments.device,
             "--precision", arguments.precision, "--threads", str(torch.get_num_threads()), "--json"]  # fmt: skip
    words += (
        ["--option", *(f"{name}={json.dumps(value)}" for name, value in arguments.option)] if arguments.option else []
    )
    words += ["--input", "x".join(map(str, arguments.input))] if arguments.input else []
    done = subprocess.run(
        [sys.executable, "-m", "tasktp_ros.cli.main", "bench", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProcessError(f"the process that was to tell the memory failed: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout)["memory"]
