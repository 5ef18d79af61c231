# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Trains a segmenter by a recipe, in the trainer's own loop: stages, checkpoints and logs are the detectors'."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import nn

from tasktp_ros.datasets.mixed import Source, open_source, open_sources
from tasktp_ros.errors import DataError, ModelError
from tasktp_ros.evaluation.goal_iou import category_goals, mean_iou
from tasktp_ros.runtime.segmenter_files import SegmenterCard, load_segmenter, save_segmenter
from tasktp_ros.runtime.task_segmenter import TaskSegmenter
from tasktp_ros.segmenters import OWN_PRUNER, GoalSegmenter, stages_of
from tasktp_ros.tasks.vocabulary import VOCABULARIES
from tasktp_ros.training.recipes import Recipe, Stage
from tasktp_ros.training.segment_objectives import OBJECTIVES
from tasktp_ros.training.trainer import Run, Trainer
from tasktp_ros.vision.detector import Detector


class SegmentTrainer(Trainer):
    """As `Trainer`, of which `detector` is a `GoalSegmenter` here."""

    def _objective(self, stage: Stage) -> Any:
        """The stage's losses around the segmenter, with gradients only where the stage trains."""
        segmenter = cast(GoalSegmenter, cast(nn.Module, self.detector))
        segmenter.check_stages(stages_of(stage.prune))
        objective = OBJECTIVES[stage.objective](segmenter, len(self.dataset.vocabulary), stage)
        parts = ("network.prune_head",) if stage.freeze else objective.trained_parts
        if not set(parts) & set(objective.trained_parts):
            raise DataError(f"stage {stage.name!r} does not train the prune decoder, which is all that --freeze leaves")
        for name, parameter in segmenter.named_parameters():
            parameter.requires_grad_(name.startswith(tuple(f"{part}." for part in parts)))
        return objective

    def save_weights(self, path: Path, model: Detector, trained_with: dict[str, Any]) -> None:
        """Write the segmenter's file."""
        recipe, measured = self.recipe, {"trained_with": trained_with}
        card = SegmenterCard(
            recipe.name, recipe.size, self.dataset.vocabulary, recipe.stages[-1].prune, measured, _pruner_of(recipe)
        )
        save_segmenter(path, cast(GoalSegmenter, cast(nn.Module, model)), card)


def train_segmenter(
    recipe: Recipe, run: Run, fabric: Fabric, data: Path | Sequence[Source], split: str, start: str, check: int
) -> Path:
    """Train a segmenter; arguments as of `training.run.train`.

    Raises:
        ModelError: a model to start from that cannot be read or does not fit.
    """
    sources = [Source(data)] if isinstance(data, Path) else list(data)
    vocabulary = VOCABULARIES[recipe.vocabulary]
    dataset = open_sources(sources, split, vocabulary)
    checker = _checker(recipe, sources[0], vocabulary, check)
    fabric.launch()
    if fabric.device.type == "cpu":
        torch.set_num_threads(1)  # processes share the cores
    torch.manual_seed(run.seed)
    segmenter = GoalSegmenter(recipe.size, len(vocabulary), _pruner_of(recipe))
    if start not in ("", "none") and not run.resume:
        begun = _start(start, recipe, vocabulary)
        segmenter.network.load_state_dict(begun.network.state_dict())
        segmenter.guidance.load_state_dict(begun.guidance.state_dict())
    network = cast(Detector, cast(nn.Module, segmenter))
    return SegmentTrainer(fabric, recipe, run, network, dataset, cast(Any, checker)).train()


def _pruner_of(recipe: Recipe) -> str:
    return str(recipe.options.get("pruner", OWN_PRUNER))


def _start(start: str, recipe: Recipe, vocabulary: tuple[str, ...]) -> GoalSegmenter:
    segmenter, card = load_segmenter(start)
    if (card.size, card.vocabulary) != (recipe.size, vocabulary):
        raise ModelError(f"model {card.name} is a {card.size} segmenter of {len(card.vocabulary)} categories, recipe "
                         f"{recipe.name} trains a {recipe.size} for {recipe.vocabulary}'s {len(vocabulary)}")  # fmt: skip
    return segmenter


def _checker(
    recipe: Recipe, source: Source, vocabulary: tuple[str, ...], images: int
) -> Callable[[GoalSegmenter], dict[str, float]] | None:
    """A function that measures mIoU on validation images; None where that is not wanted."""
    if not images:
        return None
    dataset = open_source(source, "val", vocabulary, allow_missing=False)
    stages = stages_of(recipe.stages[-1].prune)

    def check(segmenter: GoalSegmenter) -> dict[str, float]:
        training = segmenter.training
        card = SegmenterCard(recipe.name, recipe.size, vocabulary, recipe.stages[-1].prune, pruner=_pruner_of(recipe))
        judged = TaskSegmenter(segmenter, card, device=str(next(segmenter.parameters()).device))
        goals = category_goals(dataset, images)
        found = {"val_mIoU": mean_iou(judged, goals)}
        if stages:
            judged.stages = ()
            found["val_mIoU_unpruned"] = mean_iou(judged, goals)
        segmenter.train(training)
        return found

    return check
