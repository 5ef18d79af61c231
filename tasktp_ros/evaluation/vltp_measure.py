# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Measures the rows of VLTP's tables: mIoU, and the encoder's GFLOPs with whatever decides what is pruned.

All rows look at an image before the next one is read, and all goals of an image share what runs before the first stage.
"""

import contextlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tasktp_ros.errors import InputError, TaskError
from tasktp_ros.evaluation.goal_iou import ImageGoals, iou, percent
from tasktp_ros.evaluation.operations import operation_counter
from tasktp_ros.evaluation.vltp_tables import PAPER_DEPTH, Row
from tasktp_ros.runtime.task_segmenter import TaskSegmenter
from tasktp_ros.vision.pruned_encoding import PruneStage, encode
from tasktp_ros.vision.segment_pruners import RandomPruner, SegmentPruner, build_pruner

CLOSE_ENOUGH = 12
"""Halvings of the range of strengths in which a baseline's is looked for."""


@dataclass
class Contender:
    """A row with its model, its way to prune and the stages that it gets."""

    row: Row
    segmenter: TaskSegmenter
    pruner: SegmentPruner | None
    stages: tuple[PruneStage, ...]
    gflops: float


def contenders(rows: Sequence[Row], models: Mapping[str, TaskSegmenter]) -> list[Contender]:
    """The rows for which there is a model, those with a budget at the GFLOPs of the row that it names.

    Raises:
        InputError: a model without the weights of a row's way to prune, or a network too shallow for the stages.
    """
    cost: dict[str, float] = {}
    found = []
    for row in rows:
        segmenter = models.get(row.model)
        if segmenter is None or (row.budget and row.budget not in cost):
            continue
        pruner = _pruner(row, segmenter)
        depth = segmenter.segmenter.network.config.depth
        if row.budget and pruner is not None:
            stages = matched_stages(segmenter, pruner, cost[row.budget])
        else:
            stages = scaled_stages(row, depth)
        found.append(Contender(row, segmenter, pruner, stages, encoder_gflops(segmenter, stages, pruner)))
        cost.setdefault(row.label, found[-1].gflops)
    return found


def scaled_stages(row: Row, depth: int) -> tuple[PruneStage, ...]:
    """A row's stages in a network of `depth` blocks; raises InputError where two of them would meet."""
    places = [round(place * depth / PAPER_DEPTH) for place in row.places]
    if sorted(set(places)) != places or not all(1 <= place < depth for place in places):
        raise InputError(f"a network of {depth} blocks has no places for stages at {row.places} of {PAPER_DEPTH}")
    return tuple(PruneStage(place, rate) for place, rate in zip(places, row.rates, strict=True))


def _pruner(row: Row, segmenter: TaskSegmenter) -> SegmentPruner | None:
    if not row.pruner:
        return None
    if segmenter.card.pruner == row.pruner:
        return segmenter.segmenter.pruner
    if row.pruner != "random":
        raise InputError(
            f"row {row.label!r} needs a model trained with {row.pruner}, {segmenter.card.name} was with {segmenter.card.pruner}"
        )
    config = segmenter.segmenter.network.config
    return build_pruner(row.pruner, config.dim, config.depth, len(segmenter.card.vocabulary))


def matched_stages(segmenter: TaskSegmenter, pruner: SegmentPruner, gflops: float) -> tuple[PruneStage, ...]:
    """The stages with which another way to prune needs about so many GFLOPs; its hardest where it cannot get as low."""
    depth = segmenter.segmenter.network.config.depth
    low, high = 0.0, 1.0
    for _ in range(CLOSE_ENOUGH):
        middle = (low + high) / 2
        if encoder_gflops(segmenter, pruner.stages_for(depth, middle), pruner) > gflops:
            low = middle
        else:
            high = middle
    return pruner.stages_for(depth, high)


def measure(entries: Sequence[Contender], images: Iterable[ImageGoals], seed: int = 0) -> list[dict[str, Any]]:
    """mIoU in percent over all pairs of image and goal, for each contender: a row of a report each.

    Args:
        images: read once; goals are sets of categories or sentences, see `goal_iou`.
        seed: of random pruning, from which each image's tokens follow.
    """
    scores: list[list[float]] = [[] for _ in entries]
    for number, each in enumerate(images):
        for found, entry in zip(scores, entries, strict=True):
            found += _ious(entry, each, zlib.crc32(f"{seed} {number}".encode()))
    return [_report(entry, found) for entry, found in zip(entries, scores, strict=True)]


def _ious(entry: Contender, each: ImageGoals, seed: int) -> list[float]:
    segmenter = entry.segmenter
    if isinstance(entry.pruner, RandomPruner):
        entry.pruner.seed = seed
    own = segmenter.pruner, segmenter.stages
    segmenter.pruner, segmenter.stages = entry.pruner, entry.stages
    found = [0.0] * len(each.goals)  # a goal that nobody understands has no mask
    try:
        vectors = {}
        for place, goal in enumerate(each.goals):
            with contextlib.suppress(TaskError, InputError):
                vectors[place] = segmenter.vector_of(goal, each.image)
        if vectors:
            masks = segmenter.segment_goals(each.image, torch.stack(list(vectors.values())))
            for place, mask in zip(vectors, masks, strict=True):
                found[place] = iou(mask, each.masks[place])
    finally:
        segmenter.pruner, segmenter.stages = own
    return found


def _report(entry: Contender, scores: list[float]) -> dict[str, Any]:
    return {
        "label": entry.row.label,
        "model": entry.segmenter.card.name,
        "budget": entry.row.budget,
        "stages": [[stage.after, round(stage.rate, 4)] for stage in entry.stages],
        "gflops": entry.gflops,
        "mIoU": percent(scores),
        "pairs": len(scores),
        "paper": {"gflops": entry.row.gflops, "mIoU": entry.row.miou},
    }


def encoder_gflops(
    segmenter: TaskSegmenter, stages: tuple[PruneStage, ...], pruner: SegmentPruner | None = None
) -> float:
    """Billions of multiply-adds, on one image, of the encoder and of what decides which tokens it runs."""
    network = segmenter.segmenter.network
    side = network.config.image_size
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(segmenter.device)
    network.requires_grad_(False)  # torch's counter looks for gradients where there are none
    if pruner is not None:
        pruner.to(segmenter.device).requires_grad_(False)
    with torch.no_grad(), operation_counter() as counter:
        if pruner is None:
            encode(network.image_encoder, image, stages, network.scorer(torch.zeros(1, 256, device=segmenter.device)))
        else:
            pruner.encode(network.image_encoder, image, stages)
    return counter.get_total_flops() / 2e9
