# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""When a searched object counts as found, and what the search cost until then."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.evaluation.search.steps import Sight

CERTAIN = 0.5
"""Score that a detection must exceed to claim the object."""
MASK_OVERLAP = 0.5
BOX_OVERLAP = 0.25


class Result(Protocol):
    """What the protocol reads of a detector's result, best first: `Detections`, or messages."""

    @property
    def names(self) -> list[str]:
        """D category names."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """(D,) in 0..1."""

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(D, 4) xyxy px of the image."""

    def instance_map(self) -> NDArray[np.uint16]:
        """(H, W): pixel k belongs to detection k - 1, 0 to none."""


@dataclass(frozen=True)
class StepResult:
    """What one method made of one image.

    Attributes:
        claimed, verified, lenient: the object would be taken as found by this criterion.
        visible: it is visible.
        milliseconds: of the detection, from the input on the device to boxes and masks.
        kept: mean share of tokens that the gated blocks ran; None without gates.
    """

    claimed: bool
    verified: bool
    lenient: bool
    visible: bool
    milliseconds: float
    kept: float | None


@dataclass(frozen=True)
class Outcome:
    """What one search came to, by one criterion.

    Attributes:
        runs: images detected on; all of the walk where nothing was found.
        found: the criterion was met.
        false_alarms: images whose claim was not true.
        milliseconds: sum over the images.
    """

    runs: int
    found: bool
    false_alarms: int
    milliseconds: float


def judge(found: Result, category: str, sight: Sight, milliseconds: float, kept: Sequence[float]) -> StepResult:
    """Compare a detector's result with what can be seen.

    A mask is what a robot receives: where masks overlap, the higher score has the pixel. Label pictures of another size
    than the image are compared at their own.

    Args:
        kept: share of tokens that each gated block ran; empty without gates.
    """
    instances = sight.of(category)
    claims = [i for i, name in enumerate(found.names) if name == category and found.scores[i] >= CERTAIN]
    verified = lenient = False
    if claims and instances:
        numbers = found.instance_map()
        for mask in instances:
            scale = np.array(mask.shape[::-1] * 2) / np.array(numbers.shape[::-1] * 2)
            here = resized(numbers, mask.shape)
            verified |= any(mask_overlap(here == i + 1, mask) >= MASK_OVERLAP for i in claims)
            lenient |= any(box_overlap(found.boxes[i] * scale, box_of(mask)) >= BOX_OVERLAP for i in claims)
    share = float(np.mean(kept)) if kept else None
    return StepResult(bool(claims), verified, verified or lenient, bool(instances), milliseconds, share)


def follow(steps: Sequence[StepResult], criterion: str) -> Outcome:
    """Walk until a criterion is met, or to the end.

    Args:
        steps: of the whole walk, or as far as it was searched.
        criterion: one of `criteria.CRITERIA`.
    """
    truth = "verified" if criterion == "claimed" else criterion
    runs = next((number for number, step in enumerate(steps, 1) if getattr(step, criterion)), 0)
    walked = steps[: runs or len(steps)]
    alarms = sum(step.claimed and not getattr(step, truth) for step in walked)
    return Outcome(len(walked), bool(runs), alarms, sum(step.milliseconds for step in walked))


def resized(mask: NDArray, size: tuple[int, ...]) -> NDArray:
    """A picture (H, W) at another height and width, by nearest pixels."""
    if mask.shape == size:
        return mask
    rows = ((np.arange(size[0]) + 0.5) * mask.shape[0] / size[0]).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * mask.shape[1] / size[1]).astype(np.intp)
    return mask[rows][:, columns]


def mask_overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks of one size."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 0.0


def box_of(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(4,) xyxy px around a mask's pixels, of which there is at least one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def box_overlap(one: NDArray, other: NDArray) -> float:
    """Intersection over union of two boxes (4,) xyxy."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.clip(sides, 0.0, None)))
    union = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common
    return common / union if union > 0 else 0.0
