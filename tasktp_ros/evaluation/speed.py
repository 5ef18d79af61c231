# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Contenders timed in turns of one run.

Machines drift; ratios within one run hold. So all contenders detect the same image one after the other, round after
round, and the medians are compared.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.evaluation.contenders import Contender, Result
from tasktp_ros.evaluation.traces import trace

DENSE = "dense"
"""Name of the contender that the others are compared with."""
UNCOUNTED = 3
LEAST_ROUNDS = 3


@dataclass(frozen=True)
class SpeedRow:
    """What was measured of one contender.

    Attributes:
        name: method or peer, and its setting.
        precision: float type it ran in.
        kept: mean share of tokens kept in gated blocks, 0..1; None for models without gates.
        milliseconds: median of a frame, from image to result.
        stages: median milliseconds per stage.
        gflops: counted billions of operations per stage and in "total" (a multiply-add is two; convolutions, products and
            attention), mean of the images.
        kernels: of a frame (`evaluation.traces`).
        live_megabytes: most memory that a frame holds at once beside the weights.
        detections: mean number of detections in a result, so that equal head work can be seen.
        parameters: millions of parameters.
    """

    name: str
    precision: str
    kept: float | None
    milliseconds: float
    stages: dict[str, float]
    gflops: dict[str, float]
    kernels: int
    live_megabytes: float
    detections: float
    parameters: float


def measure_speed(
    contenders: Sequence[Contender],
    images: Sequence[NDArray[np.uint8]],
    rounds: int,
    seconds: float = float("inf"),
    on_round: Callable[[], object] = lambda: None,
) -> tuple[list[SpeedRow], int]:
    """Time contenders in turns.

    Args:
        images: (H, W, 3) uint8 RGB, one per round, again from the first one on.
        rounds: counted frames per contender, after three that are not counted.
        seconds: begin no further round after this time, once there are three.
        on_round: called after every counted round.

    Returns:
        The rows in the order of the contenders, and the number of counted rounds.
    """
    for _ in range(UNCOUNTED):
        for contender in contenders:
            contender.run(images[0])
    results: list[list[Result]] = [[] for _ in contenders]
    started, number = time.monotonic(), 0
    while number < rounds and (number < LEAST_ROUNDS or time.monotonic() - started < seconds):
        for contender, own in zip(contenders, results, strict=True):
            own.append(contender.run(images[number % len(images)]))
        number += 1
        on_round()
    used = images[:number]
    return [_summarise(contender, own, used) for contender, own in zip(contenders, results, strict=True)], number


def as_records(rows: Sequence[SpeedRow]) -> list[dict[str, Any]]:
    """Rows for JSON, each with its speed relative to the dense one, or the first (above 1 = faster)."""
    base = next((row for row in rows if row.name == DENSE), rows[0])
    return [asdict(row) | {"speedup": base.milliseconds / row.milliseconds} for row in rows]


def _summarise(contender: Contender, results: Sequence[Result], images: Sequence[NDArray[np.uint8]]) -> SpeedRow:
    names = list(dict.fromkeys(name for result in results for name in result.timings))
    stages = {name: statistics.median(result.timings.get(name, 0.0) for result in results) for name in names}
    milliseconds = stages.pop("total")
    shares = [result.kept for result in results if result.kept is not None]
    traced = trace(lambda: contender.run(images[0]), contender.device)
    return SpeedRow(
        name=contender.name,
        precision=str(contender.dtype).removeprefix("torch."),
        kept=statistics.mean(shares) if shares else None,
        milliseconds=milliseconds,
        stages=stages,
        gflops=_mean([contender.gflops(image) for image in images]),
        kernels=traced.kernels,
        live_megabytes=traced.live_bytes / 1e6,
        detections=statistics.mean(result.detections for result in results),
        parameters=contender.parameters,
    )


def _mean(counts: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for count in counts for name in count)
    return {name: sum(count.get(name, 0.0) for count in counts) / len(counts) for name in names}
