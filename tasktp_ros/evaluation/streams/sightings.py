# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What can be seen along a walk, from when to when, and how long a detector takes to find what comes into view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.scannet.labels import LabelMap, numbered_masks
from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.evaluation.search.protocol import CERTAIN, box_of, box_overlap
from tasktp_ros.evaluation.search.steps import LEAST_AREA

SAME_OBJECT = 0.5
"""Overlap of boxes (IoU) from which on a detection is of an object."""
APART = 0.5
"""Seconds out of sight after which an object comes into view anew."""
SHORTEST = 0.5
"""Seconds that an object must stay in view to be searched for: nobody can be late for a glimpse."""


@dataclass(frozen=True)
class Visible:
    """An object on one frame.

    Attributes:
        category: of the vocabulary.
        box: xyxy px.
        area: share of the image that its pixels cover.
    """

    category: str
    box: tuple[float, float, float, float]
    area: float

    @property
    def counts(self) -> bool:
        """Whether it is large enough to be asked for, as in the object search."""
        return self.area >= LEAST_AREA


@dataclass(frozen=True)
class Sighting:
    """An object's stay in view.

    Attributes:
        category: of the object.
        frames: numbers of the frames that show it, ascending.
    """

    category: str
    instance: int
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Claims:
    """Detections of one frame that score enough to act on.

    Attributes:
        names: D category names.
        boxes: D boxes, xyxy px.
    """

    names: list[str]
    boxes: list[list[float]]

    @classmethod
    def of(cls, names: Sequence[str], scores: NDArray[np.float32], boxes: NDArray[np.float32]) -> "Claims":
        """Of all detections of a frame: names, scores (D,) and boxes (D, 4)."""
        sure = [index for index, score in enumerate(scores) if score >= CERTAIN]
        return cls([names[index] for index in sure], [boxes[index].tolist() for index in sure])

    def hold(self, seen: Visible) -> bool:
        """Whether an object is among them."""
        box = np.array(seen.box)
        return any(
            name == seen.category and box_overlap(np.array(claim), box) >= SAME_OBJECT
            for name, claim in zip(self.names, self.boxes, strict=True)
        )


def visible_on(scan: Scan, frame: int, labels: LabelMap) -> dict[int, Visible]:
    """Objects on a frame by their instance number, however small.

    Raises:
        DataError: its label or instance picture is missing or unreadable.
    """
    found = {}
    for number, category, mask in numbered_masks(scan.labels(frame), scan.instances(frame), labels):
        left, top, right, bottom = box_of(mask).tolist()
        found[number] = Visible(category, (left, top, right, bottom), float(mask.mean()))
    return found


def sightings(seen: Mapping[int, Mapping[int, Visible]], rate: float) -> list[Sighting]:
    """Objects that come into view after the first frame and stay for half a second.

    Args:
        seen: frame number -> objects on it; frames follow each other at `rate`.
        rate: frames per second.
    """
    order = {frame: position for position, frame in enumerate(sorted(seen))}
    frames_of: dict[tuple[int, str], list[int]] = {}
    for frame in order:
        for number, each in seen[frame].items():
            if each.counts:
                frames_of.setdefault((number, each.category), []).append(frame)
    found = []
    for (number, category), frames in sorted(frames_of.items()):
        starts = [i for i in range(1, len(frames)) if order[frames[i]] - order[frames[i - 1]] > APART * rate]
        for first, end in zip([0, *starts], [*starts, len(frames)], strict=True):
            if order[frames[first]] > 0 and end - first >= SHORTEST * rate:
                found.append(Sighting(category, number, tuple(frames[first:end])))
    return found


def delay(sighting: Sighting, seen: Mapping[int, Mapping[int, Visible]], claims: Mapping[int, Claims]) -> int | None:
    """Frames from an object's first one to the one on which it is found; None = it is not."""
    for waited, frame in enumerate(sighting.frames):
        if claims[frame].hold(seen[frame][sighting.instance]):
            return waited
    return None
