"""Puts a training together from names and paths: what `tasktp train` does after reading its options."""

from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.tasks.vocabulary import VOCABULARIES
from tasktp_ros.training.recipes import Recipe
from tasktp_ros.training.starts import start_from_model, start_from_timm
from tasktp_ros.training.trainer import Run, Trainer, prepare_machine
from tasktp_ros.vision.sizes import build_detector


def train(recipe: Recipe, run: Run, fabric: Fabric, data: Path, split: str, start: str, limit: int | None = None) -> Path:
    """Train a model.

    Args:
        fabric: not launched yet.
        data: root of a data set in COCO's layout, with `split`.
        start: a model's name or file, "none" for fresh weights, or "" for the recipe's own start.
        limit: use only so many images.

    Returns:
        The model's file.
    """
    fabric.launch()
    prepare_machine(fabric.device)
    vocabulary = VOCABULARIES[recipe.vocabulary]
    dataset = CocoDataset.open(data, split, vocabulary)
    torch.manual_seed(run.seed)
    detector = build_detector(recipe.size, recipe.method, len(vocabulary))
    if not run.resume:
        if start not in ("", "none"):
            start_from_model(detector, start)
        elif recipe.pretrained and start != "none":
            start_from_timm(detector, recipe.pretrained)
    return Trainer(fabric, recipe, run, detector, dataset).train()


def shortened(recipe: Recipe, steps: int) -> Recipe:
    """The same recipe with at most `steps` steps per stage, for trying it out."""
    stages = tuple(replace(s, steps=min(s.steps, steps) if s.steps else steps, warm_up=min(s.warm_up, steps // 2)) for s in recipe.stages)
    return replace(recipe, stages=stages)
