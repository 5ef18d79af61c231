# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Measure how old results are when they leave the perception node, at several camera rates, frame times and numbers of cameras."""

import argparse
import itertools
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasktp_ros.cli import options
from tasktp_ros.cli.output import hand_over
from tasktp_ros.datasets.sample import SAMPLE
from tasktp_ros.runtime.default import DEFAULT_MODEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasktp_ros.evaluation.latency import Answer
    from tasktp_ros.evaluation.processes import Nodes
    from tasktp_ros.nodes.latency_rig import LatencyRig

START_SECONDS = 600.0
WARM_SECONDS = 2.0
"""Until the nodes are up, and of sending before the first measured frame."""
IMAGES = 40
SAMPLE_SECONDS = 5.0
TASK_EVERY = 4
"""Of a soak: seconds between two looks at the process, and after how many of them the task changes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp latency`."""
    parser.add_argument("--model", default=DEFAULT_MODEL, help="shipped model or .safetensors file")
    parser.add_argument("--reach", type=options.reach, metavar="WORD", help=options.REACH_HELP)
    parser.add_argument("--stand-ins", type=options.number(0, 10_000), nargs="*", default=[5.0, 25.0, 70.0], metavar="MS",
                        help="also measure the node around detectors that only wait so many milliseconds (default: 5 25 70)")  # fmt: skip
    parser.add_argument("--rates", type=options.number(0.1, 1000), nargs="*", default=[10.0, 30.0, 60.0], metavar="HZ",
                        help="frames per second of each camera (default: 10 30 60)")  # fmt: skip
    parser.add_argument("--cameras", type=options.whole(1, 16), nargs="+", default=[1, 2, 4], metavar="N",
                        help="numbers of cameras that share the detector (default: 1 2 4)")  # fmt: skip
    parser.add_argument("--seconds", type=options.number(1, 3600), default=10.0, help="of each setting (default: 10)")
    parser.add_argument("--minutes", type=options.number(0, 10_000), default=0.0,
                        help="then run the model for so long, with the most cameras and under changing tasks, and watch memory, threads "
                        "and age (default: 0, not at all)")  # fmt: skip
    parser.add_argument("--soak-rate", type=options.number(0.1, 1000), default=30.0, metavar="HZ",
                        help="frames per second of each camera of that run (default: 30)")  # fmt: skip
    parser.add_argument("--source", help="recording whose first images are sent (default: the sample walk)")
    parser.add_argument("--image", type=options.sides, default=(240, 320), metavar="HxW",
                        help="size that they are sent in (default: 240x320; what is larger than half a megabyte goes through Fast DDS in "
                        "fragments, of which a busy machine loses some for seconds)")  # fmt: skip
    parser.add_argument("--logs", type=options.folder, default=Path("latency_logs"),
                        help="the nodes' logs (default: latency_logs)")  # fmt: skip
    parser.add_argument("--output", type=options.file, help="write all numbers with machine and command to this file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Measure; see `tasktp latency --help`."""
    from tasktp_ros.evaluation.latency import EDGES, MARGIN, table
    from tasktp_ros.evaluation.processes import own_graph
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.runtime.models import open_model

    card = open_model(arguments.model)[1]
    images = _images(Path(arguments.source) if arguments.source else SAMPLE, arguments.image)
    os.environ.update(own_graph())
    model = {"model": arguments.model, "reach": arguments.reach or ""}
    detectors = {card.name: ("perception", model)}
    detectors |= {f"stand-in, {ms:g} ms": ("stand_in", {"model": f"{ms:g}"}) for ms in arguments.stand_ins}
    rows = []
    for (name, (program, parameters)), cameras in itertools.product(detectors.items(), arguments.cameras):
        if arguments.rates:
            rows += _measure(arguments, name, program, parameters, cameras, images)
    soak = _soak(arguments, model, max(arguments.cameras), images) if arguments.minutes else None
    report = provenance() | {
        "model": card.name, "reach": arguments.reach or card.reach, "image": list(arguments.image), "seconds": arguments.seconds,
        "histogram_edges_milliseconds": list(EDGES), "margin_milliseconds": MARGIN, "rows": rows, "soak": soak,
    }  # fmt: skip
    hand_over(report, lambda: table(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def _images(path: Path, size: tuple[int, int]) -> "list[NDArray[Any]]":
    """The first images of a recording, scaled to `size`: (H, W, 3) uint8 RGB."""
    import cv2

    from tasktp_ros.datasets.frames import open_source

    with open_source(path) as source:
        images = [
            cv2.resize(frame.image, size[::-1], interpolation=cv2.INTER_AREA)
            for frame in itertools.islice(source, IMAGES)
        ]
        if not images:
            raise source.nothing_readable()
    return images


def _measure(
    arguments: argparse.Namespace,
    name: str,
    program: str,
    parameters: dict[str, Any],
    cameras: int,
    images: "list[NDArray[Any]]",
) -> list[dict[str, Any]]:
    """One detector with so many cameras, at every rate."""
    from tasktp_ros.evaluation.latency import summarise
    from tasktp_ros.evaluation.processes import Nodes
    from tasktp_ros.nodes.latency_rig import LatencyRig

    rows = []
    with Nodes(arguments.logs) as nodes, LatencyRig(cameras, images) as rig:
        _start(nodes, rig, program, parameters, cameras)
        for rate in arguments.rates:
            rig.send(rate, WARM_SECONDS)
            before = {answer.camera: answer.dropped for answer in rig.take_answers()}
            sent = rig.send(rate, arguments.seconds)
            answers = (
                rig.take_answers()
            )  # at once: a camera's last frame waits for its turn, since no newer one replaces it
            nodes.check(program)
            row = summarise(answers, sent, rate, arguments.seconds)
            row["dropped"] = [count - before.get(camera, 0) for camera, count in enumerate(row["dropped"])]
            rows.append({"detector": name, "rate": rate, "load": os.getloadavg()[0]} | row)
            print(f"tasktp latency: {name}, {cameras} cameras at {rate:g} Hz done", file=sys.stderr)
    return rows


def _start(nodes: "Nodes", rig: "LatencyRig", program: str, parameters: dict[str, Any], cameras: int) -> None:
    """Start the node and wait until it reads all cameras."""
    from tasktp_ros.errors import ProcessError
    from tasktp_ros.nodes.latency_rig import camera_names
    from tasktp_ros.nodes.qos import SETTLE_SECONDS

    nodes.start(program, parameters | {"autostart": True, "cameras": camera_names(cameras)})
    deadline = time.monotonic() + START_SECONDS
    while not rig.connected():
        nodes.check(program)
        if time.monotonic() > deadline:
            raise ProcessError(f"the node read no camera within {START_SECONDS:.0f} s: {nodes.last_words(program)}")
        time.sleep(0.05)
    time.sleep(SETTLE_SECONDS)


def _soak(
    arguments: argparse.Namespace, parameters: dict[str, Any], cameras: int, images: "list[NDArray[Any]]"
) -> dict[str, Any]:
    """The model for a long time, looked at every few seconds."""
    from tasktp_ros.evaluation.latency import soak_report
    from tasktp_ros.evaluation.processes import Nodes, resources
    from tasktp_ros.nodes.latency_rig import LatencyRig

    samples: list[dict[str, float]] = []
    answers: list[Answer] = []
    with Nodes(arguments.logs) as nodes, LatencyRig(cameras, images) as rig:
        _start(nodes, rig, "perception", parameters, cameras)
        end = time.monotonic() + 60 * arguments.minutes
        while time.monotonic() < end:
            if len(samples) % TASK_EVERY == 0:
                rig.set_task(["chair"] if len(samples) // TASK_EVERY % 2 else [], len(samples))
            rig.send(arguments.soak_rate, SAMPLE_SECONDS)
            nodes.check("perception")
            answers += rig.take_answers()
            samples.append({"at": rig.now(), "load": os.getloadavg()[0]} | resources(nodes.running["perception"].pid))
    return {"rate": arguments.soak_rate, "cameras": cameras} | soak_report(samples, answers)
