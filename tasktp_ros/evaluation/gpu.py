# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Measure a detector on a CUDA device: ``python -m tasktp_ros.evaluation.gpu``.

In turns of one run: plain eager float32, the dense network and the gated one, eagerly and from CUDA graphs, with frames per second,
kernels, the host's calls and waits; and the ratios that docs/gpu.md asks for. Weights are random, the keep share is forced.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from tasktp_ros.evaluation.contenders import random_network
from tasktp_ros.evaluation.launches import Launches, count_launches
from tasktp_ros.evaluation.results import provenance, write_results
from tasktp_ros.evaluation.textbook import textbook
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.tasks.vocabulary import COCO

ONE = (COCO[0],)
UNCOUNTED = 5


@dataclass(frozen=True)
class Setting:
    """How a detector is run.

    Attributes:
        name: as the table has it.
        method, precision, execution, reach: of the detector.
        categories: the task; None = all.
        share: of tokens that every gate keeps; None for a method without gates.
        plain: the textbook's way (`evaluation.textbook`).
    """

    name: str
    method: str
    precision: torch.dtype
    execution: str
    categories: tuple[str, ...] | None = None
    share: float | None = None
    reach: str = "blocks"
    plain: bool = False

    def way(self) -> AbstractContextManager[None]:
        """What the detector has to be made and run inside of."""
        return textbook() if self.plain else nullcontext()


PLAIN = "plain: eager float32, textbook"
DENSE = "dense, graphs"
DENSE_ONE = "dense, 1 category, graphs"
ONE_BLOCKS = "tasktp, 1 category, blocks, graphs"
ONE_NETWORK = "tasktp, 1 category, network, graphs"


def settings(half: torch.dtype, share: float) -> list[Setting]:
    """What is compared; "one category" keeps `share` of the tokens, all categories keep 73 % as trained nano does."""
    return [
        Setting(PLAIN, "dense", torch.float32, "dynamic", plain=True),
        Setting("dense, eager", "dense", half, "dynamic"),
        Setting("dense, eager, static", "dense", half, "static"),
        Setting(DENSE, "dense", half, "graphs"),
        Setting(DENSE_ONE, "dense", half, "graphs", ONE),
        Setting("tasktp, all, blocks, graphs", "tasktp", half, "graphs", None, 0.73),
        Setting("tasktp, 1 category, blocks, eager", "tasktp", half, "dynamic", ONE, share),
        Setting(ONE_BLOCKS, "tasktp", half, "graphs", ONE, share),
        Setting("tasktp, 1 category, network, eager", "tasktp", half, "dynamic", ONE, share, "network"),
        Setting(ONE_NETWORK, "tasktp", half, "graphs", ONE, share, "network"),
    ]


@dataclass(frozen=True)
class Row:
    """One setting measured.

    Attributes:
        milliseconds: median of a frame, from image to result on the host.
        worst: 95th percentile.
        repeated, left_over: frames of all that did not fit and ran again, or were left to the dynamic path.
        launches: None where they were not counted.
    """

    name: str
    milliseconds: float
    worst: float
    detections: int
    repeated: int
    left_over: int
    launches: Launches | None


def measure(
    image: NDArray[np.uint8],
    size: str,
    compared: Sequence[Setting],
    device: torch.device,
    rounds: int,
    count: Callable[[Callable[[], object]], Launches] | None,
) -> list[Row]:
    """Time settings in turns, frame by frame.

    Args:
        image: (H, W, 3) uint8 RGB.
        rounds: counted frames per setting.
        count: counts the launches of a frame; None = they are not counted.
    """
    detectors = [_detector(size, setting, device) for setting in compared]
    runs = [partial(_frame, detector, setting, image) for detector, setting in zip(detectors, compared, strict=True)]
    for detector, setting in zip(detectors, compared, strict=True):
        with setting.way():
            detector.warm_up(*image.shape[:2])
    times = np.empty((rounds + UNCOUNTED, len(runs)))
    found = [0] * len(runs)
    for turn in times:
        for number, run in enumerate(runs):
            started = time.perf_counter()
            found[number] = run()
            turn[number] = (time.perf_counter() - started) * 1000.0
    rows = []
    for setting, detector, run, taken, number in zip(
        compared, detectors, runs, times[UNCOUNTED:].T, found, strict=True
    ):
        repeated, left_over = detector.not_fitted
        launches = None if count is None else count(run)
        median, worst = float(np.median(taken)), float(np.percentile(taken, 95))
        rows.append(Row(setting.name, median, worst, number, repeated, left_over, launches))
    return rows


def _frame(detector: TaskDetector, setting: Setting, image: NDArray[np.uint8]) -> int:
    with setting.way():
        return len(detector.detect(image))


def _detector(size: str, setting: Setting, device: torch.device) -> TaskDetector:
    card = ModelCard(size, size, setting.method, "coco", COCO, trained=False)
    with setting.way():
        detector = TaskDetector(random_network(size, setting.method), card, device, setting.precision)
    detector.set_task(setting.categories)
    detector.forced_share, detector.reach = setting.share, setting.reach
    detector.max_detections = 100 if setting.categories is None else 10
    detector.execution = setting.execution
    return detector


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """The numbers that docs/gpu.md compares with what was asked for, by what they are."""
    taken = {row.name: row.milliseconds for row in rows}
    return {
        "dense from graphs over plain eager float32 (asked: at least 5)": taken[PLAIN] / taken[DENSE],
        "one category over dense, blocks (asked: at least 1.6)": taken[DENSE_ONE] / taken[ONE_BLOCKS],
        "one category over dense, network (asked: at least 1.6)": taken[DENSE_ONE] / taken[ONE_NETWORK],
        "dense frames/s (asked: at least 120 on an H200)": 1000.0 / taken[DENSE],
    }


def table(rows: Sequence[Row]) -> str:
    """Rows and ratios as text."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}      ms    95 %  frames/s  found  again  left  kernels  calls  waits"]
    for row in rows:
        counted = "      -      -      -"
        if row.launches is not None:
            counted = f"{row.launches.kernels:7.0f}{row.launches.calls:7.0f}{row.launches.waits:7.1f}"
        speed = 1000.0 / row.milliseconds
        lines.append(
            f"{row.name:{width}}{row.milliseconds:8.2f}{row.worst:8.2f}{speed:10.1f}{row.detections:7d}{row.repeated:7d}"
            f"{row.left_over:6d}  {counted}"
        )
    return "\n".join([*lines, "", *(f"{value:7.2f}  {name}" for name, value in ratios(rows).items())])


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print. Exit status 2, with one sentence, where there is no CUDA device."""
    parser = argparse.ArgumentParser(prog="python -m tasktp_ros.evaluation.gpu", description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", default="deit_tiny", choices=("nano", "deit_tiny", "deit_small", "deit_base"))
    parser.add_argument("--image", type=int, nargs=2, default=(800, 1333), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=100, help="counted frames per row (default: 100)")
    parser.add_argument("--share", type=float, default=0.1, help="tokens kept under one category (default: 0.1)")
    parser.add_argument("--output", help="also write the numbers as JSON to this file")
    asked = parser.parse_args(words)
    if asked.rounds < 1 or min(asked.image) < 1 or not 0.0 <= asked.share <= 1.0:
        parser.error("rounds and sides must be at least 1 and the share between 0 and 1")
    if not torch.cuda.is_available():
        parser.error("this measures a CUDA device, and this machine has none that torch can use")
    image = np.random.default_rng(0).integers(0, 255, (*asked.image, 3), dtype=np.uint8)
    compared = settings(torch.bfloat16, asked.share)
    rows = measure(image, asked.size, compared, torch.device("cuda"), asked.rounds, count_launches)
    print(
        f"{asked.size}, image {asked.image[0]} x {asked.image[1]}, {torch.cuda.get_device_name()}, medians of {asked.rounds}"
    )
    print(table(rows))
    if asked.output:
        write_results(asked.output, provenance() | {"rows": [asdict(row) for row in rows], "ratios": ratios(rows)})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
