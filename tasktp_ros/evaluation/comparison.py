# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Who stands in the tables of `tasktp bench`: how far the time of a frame follows the task, beside what else there is."""

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tasktp_ros.datasets.frames import open_source as open_recording
from tasktp_ros.datasets.sample import SAMPLE
from tasktp_ros.errors import InputError
from tasktp_ros.evaluation.contenders import Contender, Ours, Setting, Source
from tasktp_ros.evaluation.peers import peers
from tasktp_ros.evaluation.speed import DENSE
from tasktp_ros.runtime.precision import choose_device, choose_precision
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.vision.reach import REACH_TITLES

SAMPLE_FRAMES = (18, 21, 24, 27, 30)
IN_VIEW = "tv"
"""On each of these frames of the sample walk."""
NOT_IN_VIEW = "toilet"
"""On none of them."""
TEN = (IN_VIEW, "chair", "bed", "dining table", "couch", "bottle", "book", "clock", "vase", "sink")
TASKS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "all": ("all categories", None),
    "ten": ("10 categories", TEN),
    "one": ("1 category", (IN_VIEW,)),
    "none": ("1, not in view", (NOT_IN_VIEW,)),
}
"""By the name of its share: what a task is called, and its categories."""

MEASURED_SHARES = Path(__file__).resolve().parents[2] / "results" / "rooms_nano_tasktp.json"
STATED_SHARES = {"all": 0.36, "ten": 0.36, "one": 0.15, "none": 0.10}
STATED_SOURCE = "of rooms-nano's first training on the rooms validation images"


class Shares(NamedTuple):
    """Shares of tokens that random gates are made to keep.

    kept: by the task's name in `TASKS`.  source: where they come from, for people.
    """

    kept: dict[str, float]
    source: str

    def __str__(self) -> str:
        return f"{', '.join(f'{TASKS[task][0]} {share:.0%}' for task, share in self.kept.items())}: {self.source}"


def shares(asked: Sequence[float] | None) -> Shares:
    """The shares that were asked for (all, ten, one category; the last also for one that is not in view), or else what
    trained nano was measured to keep on validation images, with something of the task in view and, for the last, without.

    Raises:
        InputError: not three were asked for.
    """
    if asked is not None:
        if len(asked) != 3:
            raise InputError(f"--table needs three shares for --keep: all, ten and one category; got {len(asked)}")
        return Shares(dict(zip(TASKS, (*asked, asked[-1]), strict=True)), "as asked for")
    if not MEASURED_SHARES.is_file():
        return Shares(STATED_SHARES, STATED_SOURCE)
    report = json.loads(MEASURED_SHARES.read_text())
    kept = {size: means["method"] for size, means in report["means"].items()}
    measured = {task: kept[size]["kept_with_target"] for task, size in (("all", "all"), ("ten", "10"), ("one", "1"))}
    measured["none"] = kept["1"]["kept_without_target"]
    return Shares(measured, f"of {report['model']} in results/{MEASURED_SHARES.name}, commit {report['commit']}")


def sample_images(size: tuple[int, int] | None) -> list[NDArray[np.uint8]]:
    """Some frames of the sample walk, (H, W, 3) uint8 RGB.

    Args:
        size: height and width px they are resized to; None = as they are.
    """
    with open_recording(SAMPLE) as recording:
        images = [frame.image for frame in recording if frame.index in SAMPLE_FRAMES]
    return images if size is None else [cv2.resize(image, size[::-1]) for image in images]


def in_one_run(sources: Sequence[Source], contenders_of: Callable[[Source, bool], list[Contender]]) -> list[Contender]:
    """The contenders of several sources, to be timed in turns: what does not depend on the method stands once per network.

    Args:
        contenders_of: a source, and whether peers belong to it -> its contenders.
    """
    found: list[Contender] = []
    for number, source in enumerate(sources):
        before, method = [one.card for one in sources[:number]], source.card.method
        rows = contenders_of(source, number == 0)
        if any(card.size == source.card.size for card in before):
            rows = [row for row in rows if row.name == method or row.name.startswith(f"{method},")]
        if any(card.method == method or card.size != source.card.size for card in before):
            for row in rows:
                row.name = f"{source.card.label}: {row.name}"
        found += rows
    return found


def stage_contenders(
    source: Source,
    image: NDArray[np.uint8],
    kept: Sequence[float],
    reaches: Sequence[str],
    detections: int,
    device: str,
    precision: str,
    peer: bool,
) -> list[Contender]:
    """Dense, the source's method at each reach and share of kept tokens, and torchvision's Mask R-CNN at the same input."""
    chosen = choose_device(device)
    dtype = choose_precision(precision, chosen)
    found: list[Contender] = [Ours(DENSE, source.detector(DENSE, chosen, dtype), Setting(detections=detections), image)]
    method = source.card.method
    if method != DENSE:
        detector = source.detector(method, chosen, dtype)
        for reach, share in product(reaches, kept):
            name = f"{method}, {share:.0%} kept" + (f", {REACH_TITLES[reach]}" if reach != "blocks" else "")
            found.append(Ours(name, detector, Setting(None, reach, share, detections), image))
    if peer:
        found += peers(image, source.card.resize(), detections, chosen, everything=False)
    return found


def table_contenders(
    source: Source,
    image: NDArray[np.uint8],
    kept: Shares | None,
    reaches: Sequence[str],
    detections: int,
    device: str,
    precision: str,
    peer: bool,
) -> list[Contender]:
    """Everything that `make bench` shows: plain, dense, the source's method under four tasks, and torchvision's detectors.

    Args:
        kept: what random gates keep; but where the reach is "frame" and nothing is in view, a frame is left at the first gate,
            which keeps nothing. None = the gates decide, and find what they find.

    Raises:
        InputError: the model does not know what is on the sample images.
    """
    unknown = [name for name in (*TEN, NOT_IN_VIEW) if name not in source.card.vocabulary]
    if unknown:
        raise InputError(
            f"--table asks for what is on the sample images, and {source.card.name} does not know {unknown}"
        )
    chosen = choose_device(device)
    dtype = choose_precision(precision, chosen)
    method = source.card.method
    numbers = {"all": detections, "ten": detections // 4, "one": detections // 10, "none": 0}

    def ours(name: str, detector: TaskDetector, task: str, reach: str = "blocks", plain: bool = False) -> Contender:
        categories = TASKS[task][1]
        if kept is None:
            return Ours(name, detector, Setting(categories, reach, plain=plain), image)
        share = 0.0 if task == "none" and reach == "frame" else kept.kept[task]
        return Ours(name, detector, Setting(categories, reach, share, numbers[task], plain), image)

    plain = source.detector(DENSE, chosen, torch.float32, plain=True)
    dense = source.detector(DENSE, chosen, dtype)
    found = [
        ours("plain: eager float32, textbook", plain, "all", plain=True),
        ours(DENSE, dense, "all"),
        ours("dense, 1 category", dense, "one"),
    ]
    if method != DENSE:
        gated = source.detector(method, chosen, dtype)
        found += [
            ours(f"{method}, {title}, {REACH_TITLES[reach]}", gated, task, reach)
            for (task, (title, _)), reach in product(TASKS.items(), reaches)
        ]
    if peer:
        as_many = max(1, found[1].run(image).detections)
        found += peers(image, source.card.resize(), as_many, chosen, everything=True)
    return found
