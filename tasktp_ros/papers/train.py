# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""Makes the model of a contender: all learned ones from the same dense weights by the same stages, on as many images."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from tasktp_ros.datasets.mixed import Source, open_sources
from tasktp_ros.errors import InputError, TrainingError
from tasktp_ros.papers.plan import Contender
from tasktp_ros.papers.records import Bench
from tasktp_ros.tasks.vocabulary import VOCABULARIES
from tasktp_ros.training.gate_losses import GATE_RECIPES
from tasktp_ros.training.nanodet import NanoDet
from tasktp_ros.training.progress import CHECKPOINT, LOG
from tasktp_ros.training.recipes import Recipe, Stage, recipe_named
from tasktp_ros.training.run import train
from tasktp_ros.training.starts import dressed
from tasktp_ros.training.trainer import Run, stage_steps


@dataclass(frozen=True)
class Workshop:
    """Where and how contenders are trained; nothing in it belongs to the bench.

    Attributes:
        dense: name or file of the dense model.
        sources: what is trained on; the first is evaluated on.
        runs: folder of trainings and models.
        device, precision: of training, as Lightning Fabric calls them.
        workers: data loading processes.
        teacher: to learn from, too.
    """

    dense: str
    sources: Sequence[Source]
    runs: Path
    device: str = "auto"
    precision: str = "bf16-mixed"
    workers: int = 1
    teacher: NanoDet | None = None

    def folder(self, bench: Bench, contender: Contender) -> Path:
        """Of a contender's training."""
        return self.runs / bench.name / contender.name

    def model(self, bench: Bench, contender: Contender) -> Path:
        """A contender's model, which may not be there yet."""
        return self.folder(bench, contender) / f"{contender.name}.safetensors"


def recipe_for(contender: Contender, bench: Bench, images: int) -> Recipe:
    """A contender's training: the bench's recipe, its stages in the same proportion but as long as the budget allows.

    Args:
        images: of the training set, by which the recipe may count its epochs.

    Raises:
        InputError: the budget is less than a step of each stage.
    """
    recipe = recipe_named(bench.recipe)
    whole = sum(stage_steps(stage, images) * stage.batch for stage in recipe.stages)
    stages = tuple(_scaled(stage, stage_steps(stage, images) * bench.passes / whole) for stage in recipe.stages)
    gates = GATE_RECIPES[contender.gates] if contender.gates else recipe.gates
    return replace(
        recipe.with_method(contender.method, contender.options),
        name=contender.name,
        size=bench.size,
        stages=stages,
        gates=replace(gates, reach=contender.reach),
    )


def _scaled(stage: Stage, steps: float) -> Stage:
    if round(steps) < 1:
        raise InputError(f"--passes allows less than one step of {stage.batch} images in stage {stage.name!r}")
    return replace(stage, steps=round(steps), epochs=0.0, warm_up=min(stage.warm_up, round(steps) // 4))


def make_model(contender: Contender, bench: Bench, shop: Workshop) -> dict[str, Any] | None:
    """Train a contender, or go on with its training; one that is not trained gets the dense model's weights.

    Returns:
        The record's `training`.

    Raises:
        TrainingError: a loss that is not finite, or a stop that was asked for.
    """
    folder = shop.folder(bench, contender)
    if not contender.trained:
        if not shop.model(bench, contender).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            dressed(shop.dense, contender.method, contender.options, shop.model(bench, contender))
        return None
    images = len(open_sources(list(shop.sources), "train", VOCABULARIES[bench.vocabulary]))
    recipe = recipe_for(contender, bench, images)
    resume = (folder / CHECKPOINT).is_file()
    run = Run(folder, contender.seed, checkpoint_every=100, workers=shop.workers, resume=resume, overwrite=not resume)
    fabric = Fabric(accelerator=shop.device, devices=1, precision=shop.precision)  # type: ignore[arg-type]
    threads = torch.get_num_threads()
    try:
        train(recipe, run, fabric, shop.sources, "train", shop.dense, teacher=shop.teacher)
    except TrainingError as error:
        sentence = str(error).partition("; continue with")[0]
        raise TrainingError(f"{contender.name}: {sentence}; the same command goes on") from error
    finally:
        torch.set_num_threads(threads)
    steps = [stage.steps for stage in recipe.stages]
    shown = sum(stage.steps * stage.batch for stage in recipe.stages)
    return {"steps": steps, "image_passes": shown, "images": images, "seconds": _seconds(folder / LOG, recipe)}


def _seconds(log: Path, recipe: Recipe) -> float:
    """What a training took, without what it was waited for between two parts of it."""
    seconds, before = 0.0, -1
    with log.open(newline="") as file:
        for row in csv.DictReader(file):
            if pace := float(row.get("images_per_second") or 0):
                shown = (int(row["step"]) - before) * recipe.stages[int(float(row["stage"]))].batch
                seconds, before = seconds + shown / pace, int(row["step"])
    return round(seconds, 1)
