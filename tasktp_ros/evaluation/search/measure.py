# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Runs detectors on the steps of walks and keeps, per scan, what the searches need; a finished scan is not run again."""

import hashlib
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.scannet.labels import LabelMap
from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.evaluation.search.protocol import CERTAIN, StepResult, judge
from tasktp_ros.evaluation.search.steps import look, step_frames
from tasktp_ros.files import file_mark, replacing
from tasktp_ros.runtime.detections import Detections
from tasktp_ros.runtime.shipped import model_file
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.runtime.threads import use_threads

REPEATS = 3
WARM_UP = 50
"""Detections before the first timed one."""


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        label: its name there.
        model: a shipped name or a file.
        narrowed: the task set is the searched category; otherwise all categories, filtered afterwards.
        reach: see `TaskDetector`.
    """

    label: str
    model: str
    narrowed: bool
    reach: str = "blocks"


@dataclass(frozen=True)
class Settings:
    """What all methods share.

    Attributes:
        threads: of the CPU; 0 = all cores but one, as the perception node.
        repeats: detections per image, of whose times the median counts.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    repeats: int = REPEATS


class Turns:
    """Detects under several methods in turns, so that a machine that slows down slows down all of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._detectors: dict[str, TaskDetector] = {}
        use_threads(settings.threads)

    def detect(
        self, methods: Sequence[Method], image: NDArray[np.uint8], category: str
    ) -> dict[Method, tuple[Detections, float]]:
        """Search an image (H, W, 3) uint8 RGB for a category.

        Returns:
            Per method its detections, and the median milliseconds of `repeats` of them.
        """
        results: dict[Method, list[Detections]] = {method: [] for method in methods}
        for _ in range(self.settings.repeats):
            for method, found in results.items():
                detector = self._detector(method.model, image)
                detector.reach = method.reach
                detector.set_task([category] if method.narrowed else None)
                found.append(detector.detect(image))
        return {
            method: (found[0], statistics.median(model_milliseconds(one) for one in found))
            for method, found in results.items()
        }

    def close(self) -> None:
        """Give the detectors' memory back."""
        for detector in self._detectors.values():
            detector.close()
        self._detectors.clear()

    def _detector(self, model: str, image: NDArray[np.uint8]) -> TaskDetector:
        """A model's detector with the threshold of the search, warm."""
        if model not in self._detectors:
            detector = TaskDetector.load(model, self.settings.device, self.settings.precision)
            # Detections score more than the threshold, and a claim may have it exactly.
            detector.score_threshold = float(np.nextafter(np.float32(CERTAIN), np.float32(0)))
            for _ in range(WARM_UP):
                detector.detect(image)
            self._detectors[model] = detector
        return self._detectors[model]


class Measurement:
    """Steps of scans under several methods.

    Args:
        folder: keeps finished parts, one file per method and scan.
        labels: which label numbers stand for which category.
    """

    def __init__(self, folder: Path, labels: LabelMap, settings: Settings) -> None:
        self.folder, self.labels, self.settings = folder, labels, settings

    def run(
        self, methods: Sequence[Method], scans: Mapping[str, Scan], wanted: Mapping[str, set[str]]
    ) -> Iterator[str]:
        """Measure what is missing; yields the name of each scan that is done.

        Args:
            scans: by name.
            wanted: scan -> categories that are searched for in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        turns = Turns(self.settings)
        for name in sorted(wanted):
            paths = {method: self._part(method, scans[name], sorted(wanted[name])) for method in methods}
            missing = [method for method, path in paths.items() if not path.is_file()]
            found = self._scan(turns, missing, scans[name], sorted(wanted[name])) if missing else {}
            for method, steps in found.items():
                rows = {category: [asdict(step) for step in row] for category, row in steps.items()}
                with replacing(paths[method]) as beside:
                    beside.write_text(json.dumps(rows))
            yield name
        turns.close()

    def result(self, method: Method, scan: Scan, wanted: set[str]) -> dict[str, list[StepResult]]:
        """Steps per searched category of a scan that was measured."""
        rows: dict[str, Any] = json.loads(self._part(method, scan, sorted(wanted)).read_text())
        return {category: [StepResult(**row) for row in steps] for category, steps in rows.items()}

    def _scan(
        self, turns: "Turns", methods: Sequence[Method], scan: Scan, wanted: list[str]
    ) -> dict[Method, dict[str, list[StepResult]]]:
        steps: dict[Method, dict[str, list[StepResult]]] = {
            method: {category: [] for category in wanted} for method in methods
        }
        with scan.open() as recording:
            for frame in step_frames(len(recording)):
                image, sight = recording[frame].color, look(scan, frame, self.labels)
                for category in wanted:
                    for method, (found, milliseconds) in turns.detect(methods, image, category).items():
                        steps[method][category].append(judge(found, category, sight, milliseconds, found.kept))
        return steps

    def _part(self, method: Method, scan: Scan, wanted: list[str]) -> Path:
        model = model_file(method.model)
        marks = [file_mark(file) for file in (model, scan.recording) if file is not None]
        known = json.dumps([asdict(method) | {"label": ""}, asdict(self.settings), str(scan.folder), wanted, marks])
        return self.folder / (hashlib.sha256(known.encode()).hexdigest()[:20] + ".json")


def model_milliseconds(found: Detections) -> float:
    """From the input on the device to boxes and masks: without decoding, upload and resizing."""
    return found.timings["total"] - found.timings.get("preprocess", 0.0)
