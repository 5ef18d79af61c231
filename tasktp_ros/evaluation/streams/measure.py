# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Runs one model along walks with and without a stream, all in turns on every frame, and keeps what the report needs."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.scannet.labels import LabelMap
from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.datasets.scannet.sens import SensFile
from tasktp_ros.evaluation.detect_set import MOST_DETECTIONS, SCORE_THRESHOLD
from tasktp_ros.evaluation.search.measure import WARM_UP, model_milliseconds
from tasktp_ros.evaluation.search.protocol import CERTAIN
from tasktp_ros.evaluation.streams.sightings import Claims, Visible, sightings, visible_on
from tasktp_ros.files import file_mark, replacing
from tasktp_ros.runtime.detections import Detections
from tasktp_ros.runtime.motion import View
from tasktp_ros.runtime.shipped import model_file
from tasktp_ros.runtime.stream import StreamSettings, TokenStream
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.runtime.threads import use_threads

RECORDED = 30
"""Frames per second of a walk."""
RATES = (10, 30)
TIMED = 5
"""Every fifth frame is timed with the scores a robot asks for; the others count for the precision, down to low scores."""


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        label: its name there.
        stream: None = every image for itself.
        known_motion: poses and depth are given.
    """

    label: str
    stream: StreamSettings | None = None
    known_motion: bool = False


METHODS = (
    Method("every image for itself"),
    Method("stream", StreamSettings()),
    Method("stream, motion known", StreamSettings(), known_motion=True),
)


@dataclass(frozen=True)
class Settings:
    """What all methods share.

    Attributes:
        reach: one of `REACHES`; None = the model's own.
        threads: of the CPU; 0 = all cores but one, as the perception node.
        categories: single categories that are searched for per walk, beside all of them.
        frames: of each walk from its beginning; None = all.
        seed: draws the categories.
    """

    model: str
    reach: str | None = None
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    categories: int = 2
    frames: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class FrameResult:
    """What one method made of one frame.

    Attributes:
        milliseconds: from the input on the device to boxes and masks; None on frames that count for the precision.
        entered: share of tokens that entered the first block.
        kept: mean share of tokens that gated blocks ran.
        claims: what a robot is told.
        found: name, score and box (xyxy px) of each detection down to low scores; empty on timed frames.
    """

    milliseconds: float | None
    entered: float
    kept: float
    claims: Claims
    found: list[tuple[str, float, list[float]]]


Key = tuple[str, int, str]
"""Task (a category, or "all"), frames per second, label of the method."""


class WalkRun:
    """One walk, all tasks, rates and methods in turns.

    Attributes:
        size: height and width px of its images.
        seen: frame number -> objects on it.
        results: per key and frame number.
        resets: per key, why streams began anew.
    """

    def __init__(self, scan: Scan, labels: LabelMap, settings: Settings, methods: Sequence[Method]) -> None:
        self.scan, self.settings, self.methods = scan, settings, methods
        with scan.open() as recording:
            self.size = recording.colour_size
            count = min(len(recording), settings.frames or len(recording))
        self.seen = {frame: visible_on(scan, frame, labels) for frame in range(count)}
        self.tasks = ["all", *drawn_categories(self.seen, settings.categories, settings.seed)]
        self.results: dict[Key, dict[int, FrameResult]] = {}
        self.streams: dict[Key, TokenStream] = {}

    def run(self, detector: TaskDetector) -> None:
        """Detect along the walk."""
        with self.scan.open() as recording:
            for frame in self.seen:
                image, view = recording[frame].color, view_of(recording, frame)
                for task in self.tasks:
                    detector.set_task(None if task == "all" else [task])
                    for rate in RATES:
                        if frame % (RECORDED // rate) == 0:
                            self._detect(detector, image, view, frame, task, rate)

    def _detect(
        self, detector: TaskDetector, image: NDArray[np.uint8], view: View | None, frame: int, task: str, rate: int
    ) -> None:
        timed = (frame * rate // RECORDED) % TIMED == 0
        detector.score_threshold = CERTAIN if timed else detector.in_results(SCORE_THRESHOLD)
        for method in self.methods:
            key = (task, rate, method.label)
            if method.stream is None:
                arrival = None
            else:
                stream = self.streams.setdefault(key, TokenStream(method.stream))
                arrival = stream.at(frame / RECORDED, view if method.known_motion else None)
            self.results.setdefault(key, {})[frame] = frame_result(detector.detect(image, arrival), timed)

    def as_json(self) -> dict[str, Any]:
        """All of it, as :func:`read_walk` gives it back."""
        return {
            "size": self.size,
            "seen": {frame: {number: asdict(each) for number, each in objects.items()} for frame, objects in self.seen.items()},
            "runs": [{"key": key, "resets": dict(self.streams[key].resets) if key in self.streams else {},
                      "frames": {frame: asdict(result) for frame, result in frames.items()}}
                     for key, frames in self.results.items()],
        }  # fmt: skip


@dataclass(frozen=True)
class Walk:
    """A walk that was measured; fields as in :class:`WalkRun`."""

    name: str
    size: tuple[int, int]
    seen: dict[int, dict[int, Visible]]
    results: dict[Key, dict[int, FrameResult]]
    resets: dict[Key, dict[str, int]]


def measure_walks(
    scans: Sequence[Scan], labels: LabelMap, settings: Settings, folder: Path, methods: Sequence[Method] = METHODS
) -> Iterator[Walk]:
    """Measure walks; one that was measured before, by its file in `folder`, is not run again."""
    detector: TaskDetector | None = None
    folder.mkdir(parents=True, exist_ok=True)
    for scan in scans:
        path = folder / _part_name(scan, settings, methods)
        if not path.is_file():
            detector = detector or warm_detector(settings)
            walk = WalkRun(scan, labels, settings, methods)
            walk.run(detector)
            with replacing(path) as beside:
                beside.write_text(json.dumps(walk.as_json()))
        yield read_walk(scan.name, json.loads(path.read_text()))
    if detector is not None:
        detector.close()


def read_walk(name: str, content: dict[str, Any]) -> Walk:
    """What :meth:`WalkRun.as_json` gave, read from a file."""
    seen = {int(frame): {int(number): Visible(**each | {"box": tuple(each["box"])}) for number, each in objects.items()}
            for frame, objects in content["seen"].items()}  # fmt: skip
    results: dict[Key, dict[int, FrameResult]] = {}
    resets: dict[Key, dict[str, int]] = {}
    for run in content["runs"]:
        task, rate, label = run["key"]
        resets[task, rate, label] = run["resets"]
        results[task, rate, label] = {
            int(frame): FrameResult(
                **result | {"claims": Claims(**result["claims"]), "found": [tuple(row) for row in result["found"]]}
            )
            for frame, result in run["frames"].items()
        }
    return Walk(name, tuple(content["size"]), seen, results, resets)


def warm_detector(settings: Settings) -> TaskDetector:
    """The model that is measured, warm."""
    use_threads(settings.threads)
    detector = TaskDetector.load(settings.model, settings.device, settings.precision)
    detector.max_detections = MOST_DETECTIONS
    if settings.reach is not None:
        detector.reach = settings.reach
    for _ in range(WARM_UP):
        detector.warm_up()
    return detector


def drawn_categories(seen: dict[int, dict[int, Visible]], count: int, seed: int) -> list[str]:
    """Up to `count` of the categories that come into view along a walk, sorted."""
    categories = sorted({sighting.category for sighting in sightings(seen, RECORDED)})
    return sorted(np.random.default_rng(seed).permutation(categories)[:count].tolist())


def view_of(recording: SensFile, frame: int) -> View | None:
    """The camera's view on a frame; None where tracking was lost."""
    taken = recording[frame]
    if taken.pose is None:
        return None
    return View(taken.pose, recording.colour_intrinsic[:3, :3], taken.depth / np.float32(recording.depth_shift))


def frame_result(found: Detections, timed: bool) -> FrameResult:
    """What is kept of a frame's detections."""
    rows = [
        (name, float(score), [float(side) for side in box])
        for name, score, box in zip(found.names, found.scores, found.boxes, strict=True)
    ]
    return FrameResult(
        model_milliseconds(found) if timed else None,
        found.entered,
        float(np.mean(found.kept)),
        Claims.of(found.names, found.scores, found.boxes),
        [] if timed else rows,
    )


def _part_name(scan: Scan, settings: Settings, methods: Sequence[Method]) -> str:
    model = model_file(settings.model)
    marks = [file_mark(file) for file in (model, scan.recording) if file is not None]
    known = json.dumps([asdict(settings), [asdict(method) for method in methods], str(scan.folder), marks])
    return hashlib.sha256(known.encode()).hexdigest()[:20] + ".json"
