# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What gates keep: of all tokens and of the searched object's own, with it in view, without it, and under a wrong set.

Every image is looked at under all categories, under single ones that it shows, as many that it does not show, and under a set of
which it shows nothing. A gate that follows its task keeps the object's tokens and little else with it, and little without.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.coco import CocoDataset, Sample
from tasktp_ros.evaluation.energy import EnergyMeter
from tasktp_ros.runtime.detections import Detections
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.vision.image import PATCH, ImageFrame

KINDS = {
    "all": "all categories",
    "shown": "one category, in view",
    "absent": "one category, not in view (a wrong set of one)",
    "wrong": "a wrong set of several: nothing of it in view",
}
"""How an image is looked at, and what that is called in tables."""


@dataclass(frozen=True)
class Look:
    """One image under one task.

    Attributes:
        kind: of `KINDS`.
        category: the single category of the task; "" where it has several.
        kept: share of tokens in 0..1 that each gated block ran.
        own: share in 0..1 of the task's objects, by their pixels, whose tokens each gated block ran; None where there is none.
        left: no gated block ran a token, or the frame was left before the last.
        milliseconds: of the frame.
        joules: of the processor meanwhile; None where it does not tell.
    """

    kind: str
    category: str
    kept: tuple[float, ...]
    own: tuple[float, ...] | None
    left: bool
    milliseconds: float
    joules: float | None


def looks(
    detector: TaskDetector,
    dataset: CocoDataset,
    indices: Sequence[int],
    *,
    threshold: float = 0.5,
    most: int = 3,
    wrong_size: int = 10,
    on_image: Callable[[], object] = lambda: None,
) -> list[Look]:
    """Look at images under every kind of task.

    Args:
        detector: with gates; its task changes.
        indices: of images.
        threshold: a token is kept when its gate score exceeds this.
        most: single categories per image, drawn where it shows more.
        wrong_size: categories of the wrong set, or as many as the image does not show.
        on_image: called after every image.
    """
    meter, found = EnergyMeter(), []
    for index in indices:
        sample, random = dataset[index], np.random.default_rng((int(dataset.image_ids[index]), most))
        labelled = dataset.labelled_on(index)
        absent = [
            name for label, name in enumerate(dataset.vocabulary) if labelled[label] and label not in sample.labels
        ]
        shown = sorted({dataset.vocabulary[label] for label in sample.labels[~sample.crowd]})
        tasks: list[tuple[str, list[str] | None]] = [("all", None)]
        tasks += [("shown", [name]) for name in _some(random, shown, most)]
        tasks += [("absent", [name]) for name in _some(random, absent, min(most, max(1, len(shown))))]
        tasks += [("wrong", names)] if (names := _some(random, absent, wrong_size)) else []
        for kind, task in tasks:
            detector.set_task(task, threshold=threshold)
            before = meter.joules()
            seen = detector.detect(sample.image)
            after = meter.joules()
            category = task[0] if task is not None and kind != "wrong" else ""
            own = own_shares(seen, object_mask(sample, dataset, category)) if kind in ("all", "shown") else None
            spent = None if before is None or after is None or after < before else after - before
            left = not seen.token_masks[-1].any()
            found.append(Look(kind, category, seen.kept, own, left, seen.timings["total"], spent))
        on_image()
    return found


def object_mask(sample: Sample, dataset: CocoDataset, category: str) -> NDArray[np.bool_]:
    """(H, W) bool: pixels of the objects of a category, of any where it is ""; crowds are none."""
    chosen = ~sample.crowd
    if category:
        chosen &= sample.labels == dataset.vocabulary.index(category)
    return np.asarray(sample.masks[chosen].any(axis=0), np.bool_)


def own_shares(seen: Detections, mask: NDArray[np.bool_]) -> tuple[float, ...] | None:
    """Per gated block the share in 0..1 of a mask's pixels (H, W) that lie in tokens that it ran; None for an empty mask."""
    cover = token_cover(mask, seen.frame)
    whole = float(cover.sum())
    return tuple(float((cover * kept).sum()) / whole for kept in seen.token_masks) if whole else None


def token_cover(mask: NDArray[np.bool_], frame: ImageFrame) -> NDArray[np.float64]:
    """Pixels of a mask (H, W), in those of the input, that lie in each token's patch: (h, w) float64."""
    height, width = frame.content
    resized = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    padded = np.zeros(frame.padded, np.float64)
    padded[:height, :width] = resized
    return padded.reshape(frame.padded[0] // PATCH, PATCH, frame.padded[1] // PATCH, PATCH).sum(axis=(1, 3))


def summarise(found: Sequence[Look]) -> dict[str, Any]:
    """Means per kind, and per category what is kept with it in view and without it.

    Returns:
        kinds: per kind `looks`, `kept` and `kept_per_block`, `own` and `own_per_block` where objects are known, `left` (share of the
        looks), `milliseconds` (median) and `joules` (mean, None where unknown); of: per category `shown` and `absent` (looks),
        `kept_shown`, `own`, `kept_absent`.
    """
    kinds = {kind: _row(rows) for kind in KINDS if (rows := [look for look in found if look.kind == kind])}
    of = {}
    for name in sorted({look.category for look in found} - {""}):
        with_it = [look for look in found if look.category == name and look.kind == "shown"]
        without = [look for look in found if look.category == name and look.kind == "absent"]
        of[name] = {"shown": len(with_it), "absent": len(without), "kept_shown": _mean([look.kept for look in with_it]),
                    "own": _mean([look.own for look in with_it if look.own is not None]),
                    "kept_absent": _mean([look.kept for look in without])}  # fmt: skip
    return {"kinds": kinds, "of": of}


def title_of(kind: str, report: dict[str, Any]) -> str:
    """What tables call a kind of task of a report."""
    return KINDS[kind].replace("several", str(report["wrong"]))


def per_gate(row: dict[str, Any]) -> str:
    """What a row says of each gate, as text: the blocks of one gate keep the same."""
    return " / ".join(f"{share:.0%}" for share, _ in itertools.groupby(row["kept_per_block"]))


def _row(rows: Sequence[Look]) -> dict[str, Any]:
    own = [look.own for look in rows if look.own is not None]
    joules = [look.joules for look in rows if look.joules is not None]
    return {
        "looks": len(rows),
        "kept": _mean([look.kept for look in rows]),
        "kept_per_block": _per_block([look.kept for look in rows]),
        "own": _mean(own),
        "own_per_block": _per_block(own),
        "left": round(float(np.mean([look.left for look in rows])), 4),
        "milliseconds": round(float(np.median([look.milliseconds for look in rows])), 3),
        "joules": round(float(np.mean(joules)), 5) if joules else None,
    }


def _mean(shares: Sequence[tuple[float, ...]]) -> float | None:
    return round(float(np.mean(shares)), 4) if shares else None


def _per_block(shares: Sequence[tuple[float, ...]]) -> list[float] | None:
    return np.mean(shares, axis=0).round(4).tolist() if shares else None


def _some(random: np.random.Generator, names: Sequence[str], most: int) -> list[str]:
    """At most so many names, drawn, in their order."""
    chosen = random.permutation(len(names))[:most]
    return [names[place] for place in sorted(chosen)]
