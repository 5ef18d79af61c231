# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""When a gate may leave a frame: thresholds on the presence it estimates, chosen on images of which is known what they show.

Chosen on every second image and measured on the others, so that the numbers hold for images the choice has not seen.
"""

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.evaluation.search.steps import LEAST_AREA
from tasktp_ros.runtime.task_detector import TaskDetector

STEPS = 20
"""Parts in which the allowed misses are shared out among the gates."""


@dataclass(frozen=True)
class Search:
    """One image searched for one category, without leaving early.

    Attributes:
        image: index in the data set.
        category: what was searched for.
        shown: an instance covers at least 0.25 % of the image, as in object search.
        presence: what each gate estimated, 0..1.
        milliseconds: of the whole frame.
    """

    image: int
    category: str
    shown: bool
    presence: tuple[float, ...]
    milliseconds: float


def search_images(
    detector: TaskDetector, dataset: CocoDataset, indices: Sequence[int], on_image: Callable[[], object] = lambda: None
) -> list[Search]:
    """Search images for each category they show, and for as many that they do not show at all.

    Args:
        detector: its reach becomes "network".
        indices: of images.
        on_image: called after every image.
    """
    detector.reach = "network"
    found = []
    for index in indices:
        sample, random = dataset[index], np.random.default_rng(index)
        there = {dataset.vocabulary[label] for label in sample.labels}
        areas = sample.masks.mean(axis=(1, 2))
        shown = sorted(
            {dataset.vocabulary[label] for label, area in zip(sample.labels, areas, strict=True) if area >= LEAST_AREA}
        )
        absent = [name for name in dataset.vocabulary if name not in there]
        others = list(random.choice(absent, min(len(shown) or 1, len(absent)), replace=False))
        image = dataset.picture(index)
        for name in [*shown, *others]:
            detector.set_task([str(name)])
            seen = detector.detect(image)
            found.append(Search(index, str(name), name in shown, seen.presence, seen.timings["total"]))
        on_image()
    return found


def leaving_times(detector: TaskDetector, images: Sequence[NDArray[np.uint8]]) -> list[float]:
    """Median milliseconds of a frame that is left at the first gate, the second, ..., each measured on all `images`."""
    detector.reach = "network"  # where every gate is asked
    detector.set_task([detector.vocabulary[0]])
    gates = len(detector.detect(images[0]).presence)
    detector.reach = "frame"
    times: list[float] = []
    for gate in range(gates):
        detector.stop_below = (0.0,) * gate + (1.1,)
        times.append(statistics.median(detector.detect(image).timings["total"] for image in images))
    return times


def choose(searches: Sequence[Search], times: Sequence[float], miss: float) -> tuple[float, ...]:
    """The thresholds that save the most time on images without the category, missing at most this share of those with it.

    Args:
        times: see :func:`leaving_times`.
        miss: share in 0..1 of the searches with `shown` that may be left early.
    """
    shown, absent = _presence(searches, True), _presence(searches, False)
    whole = _whole(searches)
    allowed = int(miss * len(shown))
    parts = np.unique(np.linspace(0, allowed, min(STEPS, allowed) + 1).round().astype(int))
    best, saved = (0.0,) * len(times), 0.0
    for shares in itertools.product(parts, repeat=len(times)):
        if sum(shares) > allowed:
            continue
        thresholds = _thresholds(shown, shares)
        gain = float(np.sum(whole - _milliseconds(absent, thresholds, times, whole)))
        if gain > saved:
            best, saved = thresholds, gain
    return best


def outcome(searches: Sequence[Search], times: Sequence[float], thresholds: Sequence[float]) -> dict[str, Any]:
    """What thresholds come to.

    Returns:
        missed: share of searches with the category that are left early; left: share of those without it;
        milliseconds_shown, milliseconds_absent: mean time of a frame; milliseconds_whole: of one that is never left.
    """
    shown, absent, whole = _presence(searches, True), _presence(searches, False), _whole(searches)
    return {
        "missed": round(float(_left(shown, thresholds).mean()), 5),
        "left": round(float(_left(absent, thresholds).mean()), 5),
        "milliseconds_shown": round(float(_milliseconds(shown, thresholds, times, whole).mean()), 3),
        "milliseconds_absent": round(float(_milliseconds(absent, thresholds, times, whole).mean()), 3),
        "milliseconds_whole": round(whole, 3),
    }


def halves(searches: Sequence[Search]) -> tuple[list[Search], list[Search]]:
    """Those of every second image, to choose on, and the others, to measure on."""
    order = {image: number for number, image in enumerate(sorted({one.image for one in searches}))}
    parts: tuple[list[Search], list[Search]] = ([], [])
    for one in searches:
        parts[order[one.image] % 2].append(one)
    return parts


def _presence(searches: Sequence[Search], shown: bool) -> NDArray[np.float64]:
    return np.array([one.presence for one in searches if one.shown == shown])


def _whole(searches: Sequence[Search]) -> float:
    return statistics.median(one.milliseconds for one in searches)


def _thresholds(shown: NDArray[np.float64], shares: Sequence[int]) -> tuple[float, ...]:
    """Per gate the value below which lie as many of `shown` (K, gates) as its share, among those not left before."""
    thresholds = []
    for gate, count in enumerate(shares):
        values = np.sort(shown[:, gate])
        thresholds.append(float(values[count]) if count < len(values) else 1.0)
        shown = shown[shown[:, gate] >= thresholds[-1]]
    return tuple(thresholds)


def _left(presence: NDArray[np.float64], thresholds: Sequence[float]) -> NDArray[np.bool_]:
    return np.any(presence < np.array(thresholds), axis=1)


def _milliseconds(
    presence: NDArray[np.float64], thresholds: Sequence[float], times: Sequence[float], whole: float
) -> NDArray[np.float64]:
    """Time of each frame (K,): that of the first gate that leaves it, or `whole`."""
    below = presence < np.array(thresholds)
    return np.where(below.any(axis=1), np.array(times)[below.argmax(axis=1)], whole)
