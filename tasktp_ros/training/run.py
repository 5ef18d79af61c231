# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Puts a training together from names and paths: what `tasktp train` does after reading its options."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import torch
from lightning_fabric import Fabric

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.coco_ap import Truth
from tasktp_ros.evaluation.detect_set import as_results, detect_images, evenly
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.precision import choose_precision
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.tasks.vocabulary import VOCABULARIES
from tasktp_ros.training.progress import check_free
from tasktp_ros.training.recipes import Recipe
from tasktp_ros.training.starts import start_from_model, start_from_timm
from tasktp_ros.training.trainer import Run, Trainer, prepare_machine
from tasktp_ros.vision.detector import Detector

Checker: TypeAlias = Callable[[Detector], dict[str, float]]


def train(recipe: Recipe, run: Run, fabric: Fabric, data: Path, split: str, start: str, check: int = 0) -> Path:
    """Train a model.

    Args:
        fabric: not launched yet.
        data: root of a data set in COCO's layout, with `split`.
        start: a model's name or file, "none" for fresh weights, or "" for the recipe's own start.
        check: number of validation images to measure AP on while training; 0 = none.

    Returns:
        The model's file.
    """
    check_free(run.folder, f"{recipe.name}.safetensors", run.resume, run.overwrite)
    vocabulary = VOCABULARIES[recipe.vocabulary]
    dataset = CocoDataset.open(data, split, vocabulary)
    if not len(dataset):
        raise DataError(f"{dataset.file} has no images to train on")
    checker = _checker(recipe, data, check, vocabulary)
    fabric.launch()
    prepare_machine(fabric.device)
    torch.manual_seed(run.seed)
    detector = build_detector(recipe.size, recipe.method, len(vocabulary)).to(memory_format=torch.channels_last)
    if not run.resume:
        if start not in ("", "none"):
            start_from_model(detector, start)
        elif recipe.pretrained and start != "none":
            start_from_timm(detector, recipe.pretrained)
    return Trainer(fabric, recipe, run, detector, dataset, checker).train()


def _checker(recipe: Recipe, data: Path, images: int, vocabulary: tuple[str, ...]) -> Checker | None:
    """A function that measures box and mask AP on some images of the validation split; None where that is not wanted."""
    if not images:
        return None
    dataset = CocoDataset.open(data, "val", vocabulary)
    truth = Truth(dataset)
    indices = evenly(len(dataset), images)
    image_ids = [dataset.image_ids[index] for index in indices]
    card = ModelCard(recipe.name, recipe.size, recipe.method, recipe.vocabulary, vocabulary, True)

    def check(network: Detector) -> dict[str, float]:
        device = next(network.parameters()).device
        detector = TaskDetector(copy.deepcopy(network), card, device, choose_precision("auto", device))
        found = [
            result
            for index, detections in detect_images(detector, dataset, indices)
            for result in as_results(detections, dataset.image_ids[index], dataset.category_ids)
        ]
        scores = truth.precision(found, vocabulary, image_ids)
        return {"val_AP": scores["box"]["AP"], "val_AP50": scores["box"]["AP50"], "val_mask_AP": scores["mask"]["AP"]}

    return check


def shortened(recipe: Recipe, steps: int) -> Recipe:
    """The same recipe with at most `steps` steps per stage, for trying it out."""
    stages = tuple(
        replace(s, steps=min(s.steps, steps) if s.steps else steps, warm_up=min(s.warm_up, steps // 2))
        for s in recipe.stages
    )
    return replace(recipe, stages=stages)
