# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A camera's next image looks like its last: what one camera's stream remembers, and which tokens enter the network next.

Only numbers in, numbers out: no network is known here, so that every rule can be tested by itself.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.runtime.motion import View, carried, uncovered
from tasktp_ros.tasks.vocabulary import Task
from tasktp_ros.vision.buckets import rounded
from tasktp_ros.vision.image import PATCH, ImageFrame


@dataclass(frozen=True)
class StreamSettings:
    """How a stream chooses tokens.

    Attributes:
        margin: tokens around kept ones that enter with them.
        cycle: frames in which every token enters at least once, whatever was kept; between two of its turns lie at most
            2 * cycle - 1 frames, since the order changes from cycle to cycle.
        block: side of the blocks, in tokens, that have their turn together.
        longest_gap: seconds between two frames after which the last one says nothing about the next.
        cut: :func:`difference` between two frames from which on they show different scenes.
    """

    margin: int = 1
    cycle: int = 8
    block: int = 2
    longest_gap: float = 0.5
    cut: float = 0.4


@dataclass(frozen=True)
class Seen:
    """What is known of an image before the network runs.

    Attributes:
        stamp: seconds.
        view: None = the camera's motion is not known.
        frame: geometry of the image.
        task: what it is searched for.
        thumbnail: (h, w) float32, per token its mean normalised brightness.
    """

    stamp: float
    view: View | None
    frame: ImageFrame
    task: Task
    thumbnail: NDArray[np.float32]


@dataclass(frozen=True)
class Arrival:
    """An image's place in a camera's stream, for `TaskDetector.detect`; made by :meth:`TokenStream.at`."""

    stream: "TokenStream"
    stamp: float
    view: View | None


class TokenStream:
    """The stream of one camera, whose images are detected one after the other.

    Attributes:
        settings: may be exchanged between two images.
        resets: why all tokens entered, and how often: "first", "task", "size", "time", "cut".
    """

    def __init__(self, settings: StreamSettings | None = None) -> None:
        self.settings = settings or StreamSettings()
        self.resets: Counter[str] = Counter()
        self._turn = 0
        self._last: tuple[Seen, NDArray[np.bool_]] | None = None

    def at(self, stamp: float, view: View | None = None) -> Arrival:
        """Place of the image that is detected next.

        Args:
            stamp: seconds, when it was taken; only differences count.
            view: where from, if known.
        """
        return Arrival(self, stamp, view)

    def reset(self) -> None:
        """Forget the last image: all tokens of the next one enter."""
        self._last = None

    def entering(self, seen: Seen) -> NDArray[np.bool_] | None:
        """(h, w) tokens of an image that are to enter; None = all."""
        reason = self._reset_by(seen)
        if reason or self._last is None:
            self.resets[reason] += 1
            return None
        last, kept = self._last
        new = np.zeros_like(kept)
        if last.view is not None and seen.view is not None:
            new = uncovered(kept.shape, seen.frame, last.view, seen.view)
            kept = carried(kept, seen.frame, last.view, seen.view)
        side = 2 * self.settings.margin + 1
        grown = cv2.dilate(kept.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
        due = frames_until_due(kept.shape, self._turn, self.settings.cycle, self.settings.block)
        return filled_up(grown | new | (due == 0), due)

    def remember(self, seen: Seen, kept: NDArray[np.bool_]) -> None:
        """Take in what the network kept.

        Args:
            seen: as it was given to :meth:`entering`.
            kept: (h, w) tokens that some gate kept.
        """
        self._last = (seen, kept)
        self._turn += 1

    def _reset_by(self, seen: Seen) -> str:
        """Why the last image says nothing about this one; empty where it does."""
        if self._last is None:
            return "first"
        last, _ = self._last
        if (last.task.categories, last.task.threshold) != (seen.task.categories, seen.task.threshold):
            return "task"
        if last.frame != seen.frame:
            return "size"
        if not 0 <= seen.stamp - last.stamp <= self.settings.longest_gap:
            return "time"
        rows, columns = (-(-side // PATCH) for side in seen.frame.content)
        moved = difference(last.thumbnail[:rows, :columns], seen.thumbnail[:rows, :columns])
        return "cut" if moved >= self.settings.cut else ""


def difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How much two thumbnails (h, w) differ: the mean over tokens, in standard deviations of pixels, where the camera may have
    turned by up to three tokens sideways and one upwards or downwards: a quick turn is no cut.
    """
    height, width = one.shape
    down, aside = min(1, height - 1), min(3, width - 1)
    best = float(np.abs(one - other).mean())
    for y in range(-down, down + 1):
        for x in range(-aside, aside + 1):
            here = one[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
            there = other[max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)]
            best = min(best, float(np.abs(here - there).mean()))
    return best


def frames_until_due(grid: tuple[int, int], turn: int, cycle: int, block: int) -> NDArray[np.intp]:
    """(h, w) frames from `turn` on until each token has its turn, 0 = now.

    In each cycle of frames every block of tokens has one turn. Blocks of one turn are spread evenly over the image; the order
    of turns is another one in every cycle, so that nothing can move along with it.
    """
    number, position = divmod(turn, cycle)
    coming = np.concatenate((_order(number, cycle)[position:], _order(number + 1, cycle)))
    _, due = np.unique(coming, return_index=True)
    return due[_phases(grid, cycle, block)]


@lru_cache(maxsize=4)
def _order(number: int, cycle: int) -> NDArray[np.intp]:
    return np.random.default_rng(number).permutation(cycle)


@lru_cache(maxsize=16)
def _phases(grid: tuple[int, int], cycle: int, block: int) -> NDArray[np.intp]:
    """Which of a cycle's turns each token has: a lattice of blocks, shifted from line to line by the golden ratio."""
    rows, columns = np.arange(grid[0]) // block, np.arange(grid[1]) // block
    return (rows[:, None] * round(cycle * 0.618) + columns) % cycle


def filled_up(entering: NDArray[np.bool_], due: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Add the tokens that are due next until their number is one of few: what a CPU would spend on padding is spent on them.

    Args:
        entering, due: (h, w).
    """
    count = int(entering.sum())
    more = rounded(count, entering.size) - count
    waiting = np.where(entering, np.iinfo(np.intp).max, due).ravel()
    full = entering.copy()
    full.ravel()[np.argsort(waiting, kind="stable")[:more]] = True
    return full
