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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from lightning_fabric import Fabric

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.datasets.coco_file import Annotations
from tasktp_ros.datasets.mixed import MixedDataset, Source, has_split, open_source, open_sources
from tasktp_ros.detectors import build_detector
from tasktp_ros.evaluation.coco_ap import Truth
from tasktp_ros.evaluation.detect_set import as_results, detect_images, evenly
from tasktp_ros.runtime.checkpoints import ModelCard, read_card
from tasktp_ros.runtime.precision import choose_precision
from tasktp_ros.runtime.shipped import find_model
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.tasks.vocabulary import VOCABULARIES
from tasktp_ros.training.fine_tuning import Tuning, steps_for
from tasktp_ros.training.nanodet import SOURCE, NanoDet
from tasktp_ros.training.progress import check_free
from tasktp_ros.training.recipes import Recipe
from tasktp_ros.training.segment_training import train_segmenter
from tasktp_ros.training.starts import start_from_model, start_from_timm, start_stem
from tasktp_ros.training.trainer import Run, Trainer, prepare_machine
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.segmenter import SEGMENTERS

Checker: TypeAlias = Callable[[Detector], dict[str, float]]


def train(
    recipe: Recipe,
    run: Run,
    fabric: Fabric,
    data: Path | Sequence[Source],
    split: str,
    start: str,
    check: int = 0,
    tuning: Tuning | None = None,
    teacher: NanoDet | None = None,
) -> Path:
    """Train a model.

    Args:
        fabric: not launched yet.
        data: root of a data set in COCO's layout, with `split`; or several, see `Source`.
        start: a model's name or file, "none" for fresh weights, or "" for the recipe's own start.
        check: number of validation images of each data set to measure AP on while training; 0 = none.
        tuning: `start` is fine-tuned on the first data set; `recipe` is `tuning.recipe`.
        teacher: to learn from; where nothing else is the start, the stem begins as its trunk.

    Returns:
        The model's file.
    """
    check_free(run.folder, f"{recipe.name}.safetensors", run.resume, run.overwrite)
    if recipe.size in SEGMENTERS:
        return train_segmenter(recipe, run, fabric, data, split, start, check)
    sources = [Source(data)] if isinstance(data, Path) else list(data)
    if tuning is None:
        vocabulary = VOCABULARIES[recipe.vocabulary]
        dataset = open_sources(sources, split, vocabulary)
    else:
        vocabulary, sources = tuning.vocabulary, tuning.restricted(sources)
        dataset = open_sources(sources, split, vocabulary)
        own = dataset.parts[0] if isinstance(dataset, MixedDataset) else dataset
        recipe = replace(recipe, stages=tuple(replace(s, steps=steps_for(s, len(own))) for s in recipe.stages))
    checker = _checker(recipe, sources, check, vocabulary)
    fabric.launch()
    for part in dataset.parts if isinstance(dataset, MixedDataset) else [dataset]:
        if isinstance(part.file, Annotations) and part.file.note and fabric.is_global_zero:
            print(part.file.note, flush=True)
    prepare_machine(fabric.device)
    torch.manual_seed(run.seed)
    detector = build_detector(recipe.size, recipe.method, len(vocabulary), recipe.options)
    detector = detector.to(memory_format=torch.channels_last)
    if not run.resume:
        if start not in ("", "none"):
            changes = start_from_model(detector, start, vocabulary)
            if changes and fabric.is_global_zero:
                print(f"categories of {start}: {changes}", flush=True)
        elif teacher is not None:
            start_stem(detector, teacher)
        elif recipe.pretrained and start != "none":
            start_from_timm(detector, recipe.pretrained)
    trainer = (
        Trainer(fabric, recipe, run, detector, dataset, checker, teacher)
        if tuning is None
        else Trainer(fabric, recipe, run, detector, dataset, checker, tuning.teacher(), tuning.card.reach)
    )
    trainer.source = source_of(start) | ({} if teacher is None else SOURCE)
    return trainer.train()


def source_of(start: str) -> dict[str, Any]:
    """Whose weights a training starts from, with their licence, as far as the start's card says; what is trained here is nobody's."""
    file = None if start in ("", "none") else find_model(start)
    source = read_card(file).source if file else {}
    kept: dict[str, Any] = {
        name: source[name] for name in ("address", "sha256", "licence", "taught_by") if name in source
    }
    return {"started_from": Path(start).stem, **kept} if source else {}


def _checker(recipe: Recipe, sources: Sequence[Source], images: int, vocabulary: tuple[str, ...]) -> Checker | None:
    """A function that measures box and mask AP on some images of every validation split; None where that is not wanted.

    The first data set's numbers are val_AP and so on, the second's val2_AP; it may lack the split, the first may not, unless a model is fine-tuned on it.
    """
    if not images:
        return None
    several = len(sources) > 1
    judges = {
        f"val{number + 1 if number else ''}": _Judge(open_source(source, "val", vocabulary, several), images)
        for number, source in enumerate(sources)
        if (number == 0 and source.only is None) or has_split(source, "val")
    }
    card = ModelCard(recipe.name, recipe.size, recipe.method, recipe.vocabulary, vocabulary, True,
                     options=dict(recipe.options))  # fmt: skip

    def check(network: Detector) -> dict[str, float]:
        device = next(network.parameters()).device
        detector = TaskDetector(copy.deepcopy(network), card, device, choose_precision("auto", device))
        return {
            f"{name}_{key}": score for name, judge in judges.items() for key, score in judge.scores(detector).items()
        }

    return check


class _Judge:
    """Measures a detector on evenly spread images of one data set, and on the categories that it has."""

    def __init__(self, dataset: CocoDataset, images: int) -> None:
        self.dataset, self.truth = dataset, Truth(dataset)
        self.indices = evenly(len(dataset), images)

    def scores(self, detector: TaskDetector) -> dict[str, float]:
        dataset = self.dataset
        found = [
            result
            for index, detections in detect_images(detector, dataset, self.indices)
            for result in as_results(detections, dataset.image_ids[index], dataset.category_ids)
        ]
        known = [name for name in dataset.vocabulary if name in dataset.category_ids]
        scores = self.truth.precision(found, known, [dataset.image_ids[index] for index in self.indices])
        return {"AP": scores["box"]["AP"], "AP50": scores["box"]["AP50"], "mask_AP": scores["mask"]["AP"]}


def shortened(recipe: Recipe, steps: int) -> Recipe:
    """The same recipe with at most `steps` steps per stage, for trying it out."""
    stages = tuple(
        replace(s, steps=min(s.steps, steps) if s.steps else steps, warm_up=min(s.warm_up, steps // 2))
        for s in recipe.stages
    )
    return replace(recipe, stages=stages)
