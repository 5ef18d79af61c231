"""Runs detectors on the steps of walks and keeps, per scan, what the searches need; a finished scan is not run again."""

import hashlib
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasktp_ros.datasets.scannet.labels import LabelMap
from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.evaluation.search.protocol import CERTAIN, StepResult, judge
from tasktp_ros.evaluation.search.steps import look, step_frames
from tasktp_ros.files import file_mark, replacing
from tasktp_ros.runtime.detections import Detections
from tasktp_ros.runtime.models import model_file
from tasktp_ros.runtime.task_detector import TaskDetector

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
        early_stop, sparse_extractors: see `TaskDetector`.
    """

    label: str
    model: str
    narrowed: bool
    early_stop: float | None = None
    sparse_extractors: bool = False


@dataclass(frozen=True)
class Settings:
    """What all methods share.

    Attributes:
        repeats: detections per image, of whose times the median counts.
    """

    device: str = "auto"
    precision: str = "auto"
    repeats: int = REPEATS


class Measurement:
    """Steps of scans under several methods.

    Args:
        folder: keeps finished parts, one file per method and scan.
        labels: which label numbers stand for which category.
    """

    def __init__(self, folder: Path, labels: LabelMap, settings: Settings) -> None:
        self.folder, self.labels, self.settings = folder, labels, settings
        self._loaded: tuple[Method, TaskDetector] | None = None

    def run(
        self, methods: Sequence[Method], scans: Mapping[str, Scan], wanted: Mapping[str, set[str]]
    ) -> Iterator[str]:
        """Measure what is missing; yields a word for each method and scan that is done.

        Args:
            scans: by name.
            wanted: scan -> categories that are searched for in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for method in methods:
            for name in sorted(wanted):
                path = self._part(method, scans[name], sorted(wanted[name]))
                if not path.is_file():
                    steps = self._scan(method, scans[name], sorted(wanted[name]))
                    with replacing(path) as beside:
                        rows = {category: [asdict(step) for step in found] for category, found in steps.items()}
                        beside.write_text(json.dumps(rows))
                yield f"{method.label} {name}"
        self._close()

    def result(self, method: Method, scan: Scan, wanted: set[str]) -> dict[str, list[StepResult]]:
        """Steps per searched category of a scan that was measured."""
        rows: dict[str, Any] = json.loads(self._part(method, scan, sorted(wanted)).read_text())
        return {category: [StepResult(**row) for row in steps] for category, steps in rows.items()}

    def _scan(self, method: Method, scan: Scan, wanted: list[str]) -> dict[str, list[StepResult]]:
        found: dict[str, list[StepResult]] = {category: [] for category in wanted}
        with scan.open() as recording:
            for frame in step_frames(len(recording)):
                image, sight = recording[frame].color, look(scan, frame, self.labels)
                everything = None if method.narrowed else self._detect(method, image, "")
                for category in wanted:
                    result, milliseconds = everything or self._detect(method, image, category)
                    found[category].append(judge(result, category, sight, milliseconds, result.kept))
        return found

    def _detect(self, method: Method, image: np.ndarray, category: str) -> tuple[Detections, float]:
        detector = self._detector(method, image)
        detector.set_task([category] if category else None)
        results = [detector.detect(image) for _ in range(self.settings.repeats)]
        return results[0], statistics.median(model_milliseconds(result) for result in results)

    def _detector(self, method: Method, image: np.ndarray) -> TaskDetector:
        """The method's detector, warm; the one before it gives its memory back."""
        if self._loaded is None or self._loaded[0] != method:
            self._close()
            detector = open_detector(method, self.settings)
            for _ in range(WARM_UP):
                detector.detect(image)
            self._loaded = (method, detector)
        return self._loaded[1]

    def _close(self) -> None:
        if self._loaded is not None:
            self._loaded[1].close()
            self._loaded = None

    def _part(self, method: Method, scan: Scan, wanted: list[str]) -> Path:
        model = model_file(method.model)
        marks = [file_mark(file) for file in (model, scan.recording) if file is not None]
        known = json.dumps([asdict(method) | {"label": ""}, asdict(self.settings), str(scan.folder), wanted, marks])
        return self.folder / (hashlib.sha256(known.encode()).hexdigest()[:20] + ".json")


def open_detector(method: Method, settings: Settings) -> TaskDetector:
    """A method's detector with the threshold of the search."""
    detector = TaskDetector.load(method.model, settings.device, settings.precision)
    # Detections score more than the threshold, and a claim may have it exactly.
    detector.score_threshold = float(np.nextafter(np.float32(CERTAIN), np.float32(0)))
    detector.early_stop, detector.sparse_extractors = method.early_stop, method.sparse_extractors
    return detector


def model_milliseconds(found: Detections) -> float:
    """From the input on the device to boxes and masks: without decoding, upload and resizing."""
    return found.timings["total"] - found.timings.get("preprocess", 0.0)
