# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Recipes: how each model that ships, and the paper's models, are trained. A recipe is a list of stages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tasktp_ros.datasets.augment import COCO_RECIPE, AugmentConfig
from tasktp_ros.errors import InputError
from tasktp_ros.reduction import build_reducer
from tasktp_ros.training.detection_losses import SampleCounts
from tasktp_ros.training.gate_losses import GATE_RECIPES, GateRecipe
from tasktp_ros.vision.segment_pruners import build_pruner
from tasktp_ros.vision.segmenter import SEGMENTERS
from tasktp_ros.vision.sizes import GLOBAL

Kind = TypeVar("Kind")
RARE = 0.02
"""Share of the images; of 8,000 photos, categories on fewer than 160 are drawn more often, up to about three times."""


@dataclass(frozen=True)
class Stage:
    """Part of a training with one objective and one learning rate curve.

    Attributes:
        name: for logs.
        objective: "labels", "detection" or "gates" (see `objectives`); of a segmenter "cells", "masks", "prune" or "peer".
        steps: optimiser steps; 0 = from `epochs`.
        epochs: passes over the data set, where `steps` is 0.
        batch: images per optimiser step, over all processes and accumulated batches.
        inputs: heights and widths px of the training images, multiples of 32; one is drawn per step.
        rate: peak learning rate of AdamW.
        warm_up: steps of linear rise from a thousandth of it.
        drops: shares of the stage after which the rate falls to a tenth; empty = cosine to a hundredth.
        weight_decay: of matrices; norms, biases and embeddings have none.
        clip: largest gradient norm; 0 = not clipped.
        drop_path: of the last block, rising linearly from 0 at the first.
        counts: anchors, regions and masks per image.
        augment: augmentation.
        freeze: "" or "detector" (only the gates learn).
        prune: of a segmenter: pairs (blocks before it, rate) at which it is pruned while it trains.
        repeat_below: share of the drawn images under which a category is rare and drawn more often (`image_order`); 0 = off.
    """

    name: str
    objective: str
    steps: int = 0
    epochs: float = 0.0
    batch: int = 16
    inputs: tuple[tuple[int, int], ...] = ((256, 320),)
    rate: float = 1e-4
    warm_up: int = 500
    drops: tuple[float, ...] = ()
    weight_decay: float = 0.05
    clip: float = 0.0
    drop_path: float = 0.0
    counts: SampleCounts = field(default_factory=SampleCounts)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    freeze: str = ""
    repeat_below: float = 0.0
    prune: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A model's training.

    Attributes:
        name: also the model's name.
        size, method: arguments of `build_detector`.
        vocabulary: key of `VOCABULARIES`.
        stages: run one after the other.
        gates: how gates are trained.
        average: decay of the moving average of the weights, which is what is saved as the model.
        pretrained: timm model whose transformer weights are the start; "" = none.
        options: of the method, by name; of a segmenter `pruner`, whose way to prune it learns in place of VLTP's.
        frozen: parts of the network, by the beginning of their weights' names, that stay as the training found them.
    """

    name: str
    size: str
    method: str
    vocabulary: str
    stages: tuple[Stage, ...]
    gates: GateRecipe = field(default_factory=GateRecipe)
    average: float = 0.999
    pretrained: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()

    def with_method(self, method: str, options: Mapping[str, Any]) -> "Recipe":
        """The same training of a detector with another method, or other options of the same, under a name that says so.

        Raises:
            InputError: no such method or option, or a value that the method does not take.
        """
        try:
            build_reducer(method, 16, 2, options=options)
        except ValueError as error:
            raise InputError(str(error)) from error
        words = [self.name, *([method] if method != self.method else [])]
        words += [f"{name}-{re.sub(r'[^A-Za-z0-9.]+', '-', str(value))}" for name, value in sorted(options.items())]
        if any(stage.freeze for stage in self.stages) and not build_reducer(method, 16, 2).learned_names():
            raise InputError(f"recipe {self.name} trains only what a method brings along, and {method} brings nothing")
        return replace(self, name="-with-".join(words), method=method, options=dict(options))


def _rooms(
    name: str, size: str, small: tuple[int, int], full: tuple[int, int], share: float = 1.0
) -> tuple[Recipe, ...]:
    """Dense, tasktp and peers for the rendered rooms; `share` scales the number of steps."""
    few = SampleCounts(anchors=128, regions=48, masks=6)
    # At the small size windows are cut out at the full size's scale, so that objects look as large as they will.
    zoomed, plain = AugmentConfig(scale=(0.9, 2.0)), AugmentConfig(scale=(0.7, 1.4))
    labels = Stage("labels", "labels", round(250 * share), batch=32, inputs=(small,), rate=1e-3, warm_up=100, clip=1.0,
                   augment=zoomed, counts=few)  # fmt: skip
    boxes = replace(labels, name="boxes", objective="detection", steps=round(1700 * share), batch=16, rate=8e-4)
    finish = replace(boxes, name="finish", steps=round(350 * share), inputs=(full,), rate=4e-4, augment=plain)
    gates = Stage(
        "gates", "gates", round(300 * share), batch=32, inputs=(full,), rate=2e-3, warm_up=50, freeze="detector"
    )
    adapt = (replace(boxes, name="adapt", steps=round(3000 * share), rate=6e-4),
             replace(finish, name="adapt at full size", steps=round(600 * share), rate=3e-4))  # fmt: skip
    # A peer to compare times and searches with, for which a short round must do.
    peer = tuple(replace(stage, steps=round(steps * share)) for stage, steps in zip(adapt, (400, 80), strict=False))
    learned = GATE_RECIPES["rooms"]
    return (
        Recipe(f"{name}-dense", size, "dense", "rooms", (labels, boxes, finish)),
        Recipe(name, size, "tasktp", "rooms", adapt, learned),
        Recipe(f"{name}-gates", size, "tasktp", "rooms", (gates,), learned),
        Recipe(f"{name}-svit", size, "svit", "rooms", peer),
        Recipe(f"{name}-vltp", size, "vltp", "rooms", peer),
    )


def _coco_nano(small: tuple[int, int]) -> tuple[Recipe, ...]:
    """Dense and tasktp for COCO's categories on a trunk that others trained (`--teacher`), which stays as it is.

    At the small size most of a photo is seen at two thirds of its scale: objects cut off at a window's edge teach little.
    """
    few = SampleCounts(anchors=128, regions=48, masks=6)
    reduced = AugmentConfig(scale=(0.55, 1.4), brightness=0.3, contrast=0.3, saturation=0.4, hue=10.0)
    boxes = Stage("boxes", "detection", 1600, inputs=(small,), rate=8e-4, warm_up=150, clip=1.0, augment=reduced,
                  counts=few, repeat_below=RARE)  # fmt: skip
    adapt = replace(boxes, name="adapt", steps=1000, rate=6e-4)
    gates = replace(GATE_RECIPES["rooms"], set_sizes=(1, 10, 40, 80))
    frozen = ("backbone.stem.trunk.",)
    return (
        Recipe("coco-nano-dense", "nano_csp", "dense", "coco", (boxes,), frozen=frozen),
        Recipe("coco-nano", "nano_csp", "tasktp", "coco", (adapt,), gates, frozen=frozen),
    )


def _rooms_vltp(name: str, size: str, places: tuple[int, ...]) -> tuple[Recipe, ...]:
    """A segmenter from scratch, then VLTP's two decoders around its frozen encoder, at half and at a fifth of the tokens."""
    side = SEGMENTERS[size]().image_size
    zoomed = AugmentConfig(scale=(0.8, 1.6))
    cells = Stage("cells", "cells", epochs=3, inputs=((side, side),), rate=1e-3, warm_up=200, clip=1.0, augment=zoomed)
    masks = replace(cells, name="masks", objective="masks", epochs=9, rate=6e-4)
    half = replace(masks, name="half", objective="prune", rate=3e-4, prune=tuple((place, 0.5) for place in places))
    fifth = replace(half, name="fifth", epochs=5, rate=1e-4, prune=tuple((place, 0.8) for place in places))
    return (
        Recipe(f"{name}-dense", size, "vltp", "rooms", (cells, masks)),
        Recipe(name, size, "vltp", "rooms", (half, fifth)),
        *(_segment_peer(name, size, peer, half) for peer in PEER_STRENGTHS),
    )


PEER_STRENGTHS = {"cts": 0.31, "dtop": 0.31, "svit": 0.16}
"""How hard table 7's baselines prune while they train: about as many operations on sam_nano as VLTP at half of the tokens."""


def _segment_peer(name: str, size: str, peer: str, half: Stage) -> Recipe:
    """A baseline of table 7 around the same frozen encoder, as long as VLTP's first stage."""
    config = SEGMENTERS[size]()
    pruner = build_pruner(peer, config.dim, config.depth, 1)
    prune = tuple((stage.after, stage.rate) for stage in pruner.stages_for(config.depth, PEER_STRENGTHS[peer]))
    stage = replace(half, name=peer, objective="peer", prune=prune)
    return Recipe(f"{name}-{peer}", size, "vltp", "rooms", (stage,), options={"pruner": peer})


def _coco(letter: str, size: str, tuning_epochs: int, drop_path: float) -> tuple[Recipe, ...]:
    """The papers' recipes (methods.md, part 0): 36 epochs dense, then 6 (tiny) or 4 epochs with gates. Between the two, gates alone
    for a finished detector: one pass over the images, without a backward pass through the detector.
    """
    inputs = tuple((side, round(side * 1.6 / 32) * 32) for side in range(480, 801, 32))
    dense = Stage(
        "dense",
        "detection",
        epochs=36,
        inputs=inputs,
        rate=1e-4,
        drops=(27 / 36, 33 / 36),
        drop_path=drop_path,
        augment=COCO_RECIPE,
    )
    drop = (4 / 6,) if tuning_epochs == 6 else (3 / 4,)
    tuned = replace(dense, name="gates", epochs=tuning_epochs, rate=1e-5, weight_decay=1e-6, drops=drop)
    gates = replace(dense, name="gates", objective="gates", epochs=1, rate=1e-3, weight_decay=1e-6, drops=(),
                    drop_path=0.0, freeze="detector")  # fmt: skip
    start = f"deit_{size.removeprefix('deit_')}_patch16_224.fb_in1k"
    return (
        Recipe(f"coco-{letter}-dense", size, "dense", "coco", (dense,), average=0.0, pretrained=start),
        Recipe(f"coco-{letter}-gates", size, "tasktp", "coco", (gates,), average=0.0),
        Recipe(f"coco-{letter}-tasktp", size, "tasktp", "coco", (tuned,), average=0.0),
        Recipe(f"coco-{letter}-svit", size, "svit", "coco", (tuned,), average=0.0),
        Recipe(f"coco-{letter}-vltp", size, "vltp", "coco", (tuned,), average=0.0),
    )


def _released(name: str, size: str, tuning_epochs: int, drop_path: float) -> Recipe:
    """Gates for a detector that was trained with windows: global attention instead, which the fine-tuning has to make up for."""
    tuned = next(
        recipe for recipe in _coco(name, size, tuning_epochs, drop_path) if recipe.name == f"coco-{name}-tasktp"
    )
    return replace(tuned, size=f"{size}{GLOBAL}")


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *_rooms("rooms-nano", "nano", (160, 224), (256, 320)),
        *_rooms("rooms-tiny", "deit_tiny", (256, 320), (480, 640), share=4.0),
        *_rooms_vltp("rooms-vltp-nano", "sam_nano", (4, 6)),
        *_coco_nano((160, 224)),
        *_coco("tiny", "deit_tiny", 6, 0.1),
        *_coco("small", "deit_small", 4, 0.2),
        *_coco("base", "deit_base", 4, 0.2),
        _released("adapter-tiny", "vit_adapter_tiny", 6, 0.1),
        _released("adapter-small", "vit_adapter_small", 4, 0.2),
        _released("adapter-base", "vit_adapter_base", 4, 0.3),
        _released("dinov2-small", "vit_adapter_dinov2_small", 4, 0.2),
        _released("dinov2-base", "vit_adapter_dinov2_base", 4, 0.3),
    )
}


def recipe_named(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        InputError: unknown name.
    """
    return _named(RECIPES, name, "recipe")


def gate_recipe_named(name: str) -> GateRecipe:
    """A released gate configuration by name: "final" or "plain".

    Raises:
        InputError: unknown name.
    """
    return _named(GATE_RECIPES, name, "gate configuration")


def _named(known: dict[str, Kind], name: str, what: str) -> Kind:
    if name not in known:
        raise InputError(f"unknown {what} {name!r}; expected one of {', '.join(known)}")
    return known[name]
