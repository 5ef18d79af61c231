# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""Times all contenders whose models are here in turns of one run, each under tasks of every size that it is told.

Machines drift, ratios within one run hold: every contender sees the same image before any sees the next. A frame's time is the
median of a few repeats, since the machine is shared, and frames per second are those of the mean over images, since what a gate keeps, and so
the time, depends on the image. Detections go down to the score 0.05, as the papers' do.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasktp_ros.evaluation.detect_set import MOST_DETECTIONS, SCORE_THRESHOLD
from tasktp_ros.evaluation.results import provenance
from tasktp_ros.papers.plan import ALL, SIZES, Contender
from tasktp_ros.runtime.detections import Detections
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.runtime.threads import use_threads

BACKBONE = ("stem", "spatial_prior", "injector", "gates", "blocks", "extractor")
"""Stages that belong to the backbone."""
WARM_UP = 3


@dataclass(frozen=True)
class Turn:
    """A contender under tasks of one size.

    Attributes:
        name: of the contender.
        size: of its task; `ALL` = no task.
        threshold: of its gates; None = its own.
    """

    name: str
    size: str
    threshold: float | None = None

    @property
    def label(self) -> str:
        """Key in the record's `times.rows`."""
        return self.size if self.threshold is None else f"{self.size} at {self.threshold:g}"


def turns_of(contender: Contender, detector: TaskDetector) -> list[Turn]:
    """What is timed of a contender: under tasks only what knows them, and dense, whose later stages then have less to do."""
    told = detector.network().backbone.reducer.task_aware or contender.method == "dense"
    sizes = SIZES if told else (ALL,)
    swept = [Turn(contender.name, size, threshold) for threshold in contender.thresholds for size in sizes]
    return [Turn(contender.name, size) for size in sizes] + swept


def time_all(
    contenders: Sequence[tuple[Contender, Path]],
    images: Sequence[NDArray[np.uint8]],
    sets: dict[str, list[tuple[str, ...]]],
    *,
    repeats: int = 3,
    threads: int = 1,
    device: str = "auto",
    precision: str = "auto",
    on_image: Callable[[], object] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """Time contenders in turns.

    Args:
        contenders: each with its model.
        images: (H, W, 3) uint8 RGB.
        sets: per size the category sets, of which the images take turns.
        repeats: detections per image, of whose times the median counts.
        on_image: called after every image.

    Returns:
        By the contender's name a record's `times`: `run` (the same for all), machine, commit, date, setting, and `rows` by size:
        `milliseconds` and `backbone` (means over images of the whole network without decoding and resizing, and of the backbone),
        `kept` (share of tokens, None without gates) and `detections` per image.
    """
    before = torch.get_num_threads()
    use_threads(threads)
    detectors: dict[str, TaskDetector] = {}
    turns: list[Turn] = []
    for contender, model in contenders:
        detector = detectors[contender.name] = TaskDetector.load(model, device, precision)
        detector.reach = contender.reach
        detector.score_threshold, detector.max_detections = detector.in_results(SCORE_THRESHOLD), MOST_DETECTIONS
        turns += [turn for turn in turns_of(contender, detector) if turn.size == ALL or turn.size in sets]
    seen: dict[Turn, list[tuple[float, float, float | None, int]]] = {turn: [] for turn in turns}
    for turn in turns:
        for _ in range(WARM_UP):
            _detect(detectors[turn.name], turn, images[0], _task(turn, sets, 0))
    for number, image in enumerate(images):
        rounds: dict[Turn, list[Detections]] = {turn: [] for turn in turns}
        for _ in range(repeats):
            for turn, found in rounds.items():
                found.append(_detect(detectors[turn.name], turn, image, _task(turn, sets, number)))
        for turn, found in rounds.items():
            seen[turn].append(_summarise(found))
        on_image()
    said = provenance()
    first = next(iter(detectors.values()))
    common = {
        "run": f"{said['date']} {time.strftime('%H:%M:%S')}", "machine": said["machine"], "commit": said["commit"], "date": said["date"],
        "setting": {"threads": torch.get_num_threads(), "device": str(first.device), "precision": first.precision,
                    "images": len(images), "repeats": repeats},
    }  # fmt: skip
    for detector in detectors.values():
        detector.close()
    torch.set_num_threads(before)
    return {
        contender.name: common | {"rows": {turn.label: _mean(seen[turn]) for turn in turns if turn.name == contender.name}}
        for contender, _ in contenders
    }  # fmt: skip


def _task(turn: Turn, sets: dict[str, list[tuple[str, ...]]], number: int) -> tuple[str, ...] | None:
    return None if turn.size == ALL else sets[turn.size][number % len(sets[turn.size])]


def _detect(detector: TaskDetector, turn: Turn, image: NDArray[np.uint8], task: tuple[str, ...] | None) -> Detections:
    detector.set_task(task, threshold=turn.threshold)
    return detector.detect(image)


def _summarise(found: Sequence[Detections]) -> tuple[float, float, float | None, int]:
    whole = statistics.median(one.timings["total"] - one.timings.get("preprocess", 0.0) for one in found)
    backbone = statistics.median(sum(one.timings.get(stage, 0.0) for stage in BACKBONE) for one in found)
    return whole, backbone, float(np.mean(found[0].kept)) if found[0].kept else None, len(found[0])


def _mean(rows: Sequence[tuple[float, float, float | None, int]]) -> dict[str, float | None]:
    kept = [row[2] for row in rows if row[2] is not None]
    return {
        "milliseconds": round(statistics.mean(row[0] for row in rows), 3),
        "backbone": round(statistics.mean(row[1] for row in rows), 3),
        "kept": round(statistics.mean(kept), 4) if kept else None,
        "detections": round(statistics.mean(row[3] for row in rows), 2),
    }
