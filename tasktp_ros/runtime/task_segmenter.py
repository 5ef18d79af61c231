# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""TaskSegmenter: load a segmenter, give it a goal, get the goal's mask over the image."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasktp_ros.errors import InputError, TaskError
from tasktp_ros.guidance.source import Guidance, checked_vector
from tasktp_ros.guidance.table import TableGuidance
from tasktp_ros.runtime.segmenter_files import SegmenterCard, load_segmenter
from tasktp_ros.segmenters import GoalSegmenter, stages_of
from tasktp_ros.vision.image import ImageFrame, InputSize, to_input
from tasktp_ros.vision.pruned_encoding import PruneStage, check_stages
from tasktp_ros.vision.segment_pruners import SegmentPruner


@dataclass(frozen=True)
class GoalMask:
    """What a segmenter found.

    Attributes:
        mask: (H, W) bool over the source image.
        quality: the IoU that the network expects of it.
        kept: share of the tokens that each stage kept.
        tokens: (stages, h, w) bool, which tokens these were; padding of the square input is among them.
        kept_tokens: number of tokens that each block after the first stage ran, in order.
        total_tokens: of the square input.
        milliseconds: from image to mask.
    """

    mask: NDArray[np.bool_]
    quality: float
    kept: tuple[float, ...]
    tokens: NDArray[np.bool_]
    kept_tokens: tuple[int, ...]
    total_tokens: int
    milliseconds: float


@dataclass(frozen=True)
class PreparedGoal:
    """A goal that can be segmented: its words, if it has any, and its vector (256,); None = asked for with each image."""

    sentence: str
    vector: Tensor | None


class TaskSegmenter:
    """Holds weights, goal and pruning stages; the network itself has no state.

    Args:
        segmenter: in evaluation mode.
        card: what its file says.
        guidance: gives a vector for a goal in words; None = goals are sets of categories or vectors.
        device: "cpu" or "cuda".

    Attributes:
        pruner: another way to prune than the prune decoder; None = the prune decoder.
    """

    def __init__(
        self, segmenter: GoalSegmenter, card: SegmenterCard, guidance: Guidance | None = None, device: str = "cpu"
    ) -> None:
        self.segmenter, self.card, self.guidance = segmenter.to(device).eval(), card, guidance
        self.device = torch.device(device)
        self._table = TableGuidance(self.segmenter.guidance, card.vocabulary, lambda sentence: None)
        self._stages = stages_of(card.stages)
        self.pruner: SegmentPruner | None = self.segmenter.pruner
        self._goal: PreparedGoal | None = None

    @classmethod
    def load(cls, path: str | Path, guidance: Guidance | None = None, device: str = "auto") -> "TaskSegmenter":
        """A segmenter from its file; raises ModelError as `load_segmenter`."""
        segmenter, card = load_segmenter(path)
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        return cls(segmenter, card, guidance, chosen)

    @property
    def stages(self) -> tuple[PruneStage, ...]:
        """Where tokens are pruned, from the next image on; may be set. Raises InputError for stages it cannot have."""
        return self._stages

    @stages.setter
    def stages(self, stages: Sequence[PruneStage]) -> None:
        if self.pruner is None:
            check_stages(stages, self.segmenter.network.config.depth)
        else:
            self.pruner.check(stages, self.segmenter.network.config.depth)
        self._stages = tuple(stages)

    def set_goal(self, goal: str | Sequence[str] | Tensor) -> None:
        """What to look for, from the next image on: a sentence, a set of categories, or a vector of 256 numbers.

        A goal that cannot be used leaves the last one. Raises as :meth:`prepare`.
        """
        self._goal = self.prepare(goal)

    def prepare(self, goal: str | Sequence[str] | Tensor) -> PreparedGoal:
        """A goal for :meth:`segment`, without setting it; a sentence, a set of categories, or a vector of 256 numbers.

        Raises:
            TaskError: a sentence without a source of guidance, or categories that are unknown or none.
            InputError: a vector that cannot be used, or a sentence that guidance knows nothing about.
        """
        if isinstance(goal, Tensor):
            return PreparedGoal("", checked_vector(goal, "the goal's guidance"))
        if isinstance(goal, str):
            if self.guidance is None:
                raise TaskError(f"goal {goal!r} is in words, and this segmenter was given no source of guidance")
            return PreparedGoal(goal, None if self.guidance.looks_at_image else self.guidance.vector(goal))
        try:
            return PreparedGoal("", self._table.of_categories(list(goal)))
        except InputError as error:
            raise TaskError(str(error)) from error

    def vector_of(self, goal: str | Sequence[str] | Tensor, image: NDArray[np.uint8]) -> Tensor:
        """The vector (256,) of a goal on an image; raises as :meth:`prepare`."""
        return self._vector(self.prepare(goal), image)

    def _vector(self, goal: PreparedGoal, image: NDArray[np.uint8]) -> Tensor:
        if goal.vector is not None:
            return goal.vector
        assert self.guidance is not None, "only guidance that looks at images leaves a goal without its vector"
        return self.guidance.vector(goal.sentence, image)

    def understand(self, resolve: Callable[[str], Sequence[str] | None]) -> None:
        """Take sentences by its own table, for the categories that `resolve` finds in them (see `TableGuidance`)."""
        self.guidance = TableGuidance(self.segmenter.guidance, self.card.vocabulary, resolve)

    @property
    def label(self) -> str:
        """The model's name."""
        return self.card.name

    @torch.inference_mode()
    def segment(self, image: NDArray[np.uint8], goal: PreparedGoal | None = None) -> GoalMask:
        """The mask of the goal.

        Args:
            image: (H, W, 3) uint8 RGB.
            goal: in place of the one that was set.

        Raises:
            InputError: an image of another kind, or no goal was set.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(f"an image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
        begun = time.perf_counter()
        goal = goal or self._goal
        if goal is None:
            raise InputError("a segmenter needs a goal first: set_goal")
        vector, stages = self._vector(goal, image), self._stages
        frame = self.frame(image.shape[0], image.shape[1])
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        network = self.segmenter.network
        found = network(to_input(pixels, frame, torch.float32), vector.to(self.device), stages, self.pruner)
        mask = network.masks_at(found.logits, frame.content, frame.source)[0] > 0
        grid = network.image_encoder.grid
        tokens = [keep.view(grid, grid) for keep in (each[0] for each in found.encoding.keep)]
        return GoalMask(
            mask.cpu().numpy(),
            float(found.quality[0]),
            tuple(found.encoding.kept),
            torch.stack(tokens).cpu().numpy() if tokens else np.zeros((0, grid, grid), np.bool_),
            _per_block(found.encoding.keep, stages, network.config.depth),
            grid * grid,
            1000 * (time.perf_counter() - begun),
        )

    @torch.inference_mode()
    def segment_goals(self, image: NDArray[np.uint8], vectors: Tensor) -> NDArray[np.bool_]:
        """The masks (G, H, W) of several goals, by their vectors (G, 256), on one image (H, W, 3) uint8 RGB.

        As :meth:`segment` for each, to rounding, but what does not depend on the goal runs once.
        """
        frame = self.frame(image.shape[0], image.shape[1])
        pixels = to_input(torch.from_numpy(np.ascontiguousarray(image)).to(self.device), frame, torch.float32)
        network = self.segmenter.network
        found = network(pixels, vectors.to(self.device), self._stages, self.pruner)
        return (network.masks_at(found.logits, frame.content, frame.source) > 0).cpu().numpy()

    def frame(self, height: int, width: int) -> ImageFrame:
        """Where an image of `height` x `width` px lies in the square input: scaled to fit, at the top left."""
        side = self.segmenter.network.config.image_size
        return ImageFrame((height, width), InputSize(side, side).fit(height, width), (side, side))


def _per_block(keep: Sequence[Tensor], stages: Sequence[PruneStage], depth: int) -> tuple[int, ...]:
    """Tokens of the first image that each block from the first stage on ran."""
    ends = [stage.after for stage in stages[1:]] + [depth]
    counts: list[int] = []
    for kept, stage, end in zip(keep, stages, ends, strict=False):
        counts += [int(kept[0].sum())] * (end - stage.after)
    return tuple(counts)
