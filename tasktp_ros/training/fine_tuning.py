# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Fine-tuning a finished model on a few hundred images of some categories, known ones and new ones."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tasktp_ros.datasets.mixed import Source
from tasktp_ros.errors import InputError
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.models import open_model
from tasktp_ros.training.recipes import RECIPES, Recipe, Stage
from tasktp_ros.training.remembering import Teacher
from tasktp_ros.vision.detector import Detector

EPOCHS = 30.0
FEWEST_STEPS, MOST_STEPS = 200, 1500
BATCH = 16
RATE_SHARE = 1 / 3
"""Of the peak rate of the recipe's last stage."""


@dataclass(frozen=True)
class Tuning:
    """A fine-tuning of one model.

    Attributes:
        network, card: the model, as it was.
        categories: that the images are labelled for.
        vocabulary: the model's, then the categories it lacks, in the order they were given in.
    """

    network: Detector
    card: ModelCard
    categories: tuple[str, ...]
    vocabulary: tuple[str, ...]

    def recipe(self, name: str) -> Recipe:
        """How it is trained: as the last stage that trained such a network, with a lower rate. Of no fixed length, see `steps_for`.

        Raises:
            InputError: no recipe is known for the model's size.
        """
        like = _recipe_like(self.card)
        last = like.stages[-1]
        stage = replace(last, name="fine-tune", objective="detection", steps=0, epochs=EPOCHS, batch=BATCH,
                        rate=last.rate * RATE_SHARE, warm_up=50, drops=(), freeze="", repeat_below=0.0)  # fmt: skip
        known = self.card.vocabulary_name if self.vocabulary == self.card.vocabulary else name
        return Recipe(name, self.card.size, self.card.method, known, (stage,), like.gates, 0.999,
                      options=self.card.options, frozen=like.frozen)  # fmt: skip

    def teacher(self) -> Teacher:
        """The model as it was, with what it shall keep."""
        kept = [name not in self.categories for name in self.card.vocabulary]
        return Teacher(copy.deepcopy(self.network), torch.tensor(kept))

    def restricted(self, sources: Sequence[Source]) -> list[Source]:
        """The data sets: of the first only `categories` are read; the others are seen again with all they have."""
        return [replace(sources[0], only=self.categories), *sources[1:]]


def tuning_of(model: str, categories: Sequence[str]) -> Tuning:
    """A fine-tuning of a model, by shipped name or file, for some categories.

    Raises:
        InputError: no model to begin with, or a category that is named twice or not at all.
        ModelError: the model cannot be read.
    """
    if model in ("", "none"):
        raise InputError("--categories fine-tunes a finished model: name it by --init")
    if not all(categories) or len(set(categories)) != len(categories):
        raise InputError(f"--categories must be different names, got {', '.join(map(repr, categories))}")
    network, card = open_model(model)
    new = tuple(name for name in categories if name not in card.vocabulary)
    return Tuning(network, card, tuple(categories), (*card.vocabulary, *new))


def steps_for(stage: Stage, images: int) -> int:
    """Optimiser steps for `images` own images: `EPOCHS` passes, but neither so few that nothing is learned nor more than an hour."""
    return stage.steps or min(MOST_STEPS, max(FEWEST_STEPS, round(stage.epochs * images / stage.batch)))


def _recipe_like(card: ModelCard) -> Recipe:
    sized = [each for each in RECIPES.values() if each.size == card.size
             and each.stages[-1].objective == "detection" and not each.stages[-1].freeze]  # fmt: skip
    fitting = [each for each in sized if each.method == card.method] or sized
    if not fitting:
        raise InputError(f"model {card.name} is of size {card.size}, for which there is no recipe")
    return next((each for each in fitting if each.name == card.name), fitting[0])
