# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's tables 3 to 7 on our data: what each row prunes, the paper's numbers for it, and ours beside them.

Positions are the paper's, of a network of 32 blocks, and are scaled to the depth of the model at hand. GFLOPs count a
multiply-add once, as the paper does: SAM ViT-H's encoder then has its 2976.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasktp_ros.errors import InputError
from tasktp_ros.evaluation.goal_iou import ImageGoals, iou, percent
from tasktp_ros.evaluation.operations import operation_counter
from tasktp_ros.runtime.task_segmenter import TaskSegmenter
from tasktp_ros.vision.pruned_encoding import PruneStage, Scorer, encode

PAPER_DEPTH = 32


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        label: as the paper words it.
        model: which model it is of: "dense" (not trained for pruning), "prune" (prune decoder trained alone), "half" (both
            decoders at half of the tokens) or "tuned" (and then at fewer).
        places, rates: the paper's stages.
        gflops, miou: the paper's, on RIO common.
        random: tokens are kept at random.
    """

    label: str
    model: str
    places: tuple[int, ...]
    rates: tuple[float, ...]
    gflops: float | None
    miou: float
    random: bool = False


def _two(rate: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    return (16, 24), (rate, rate)


BASELINE = Row("no pruning", "dense", (), (), 2976, 60.4)
TABLES: dict[int, tuple[Row, ...]] = {
    3: (
        BASELINE,
        Row("direct", "dense", *_two(0.5), 2227, 39.5),
        Row("prune decoder trained", "prune", *_two(0.5), 2227, 50.3),
        Row("both decoders trained", "half", *_two(0.5), 2227, 60.1),
    ),
    4: (
        Row("50 %", "half", *_two(0.5), 2227, 60.1),
        Row("70 %, zero shot", "half", *_two(0.7), 1930, 57.1),
        Row("70 %, tuned", "tuned", *_two(0.7), 1930, 59.6),
        Row("80 %, zero shot", "half", *_two(0.8), 1782, 52.1),
        Row("80 %, tuned", "tuned", *_two(0.8), 1782, 59.4),
        Row("90 %, zero shot", "half", *_two(0.9), 1636, 39.76),
        Row("90 %, tuned", "tuned", *_two(0.9), 1636, 51.3),
    ),
    5: (
        BASELINE,
        Row("8", "half", (8,), (0.2,), 2529, 59.8),
        Row("8", "half", (8,), (0.4,), 2083, 53.1),
        Row("8, 16", "half", (8, 16), (0.2, 0.4), 2232, 58.8),
        Row("8, 16", "half", (8, 16), (0.2, 0.6), 1783, 53.7),
        Row("16, 24", "half", *_two(0.5), 2227, 60.1),
        Row("16, 24", "half", *_two(0.8), 1782, 58.9),
        Row("8, 16, 24", "half", (8, 16, 24), (0.2, 0.4, 0.4), 2232, 58.9),
        Row("8, 16, 24", "half", (8, 16, 24), (0.2, 0.4, 0.6), 1853, 53.0),
        Row("8, 16, 24", "half", (8, 16, 24), (0.5, 0.5, 0.5), 1860, 53.3),
    ),
    6: (
        Row("one stage", "half", (16,), (0.5,), 2221, 59.8),
        Row("two stages", "half", *_two(0.5), 2227, 60.1),
        Row("one stage", "half", (16,), (0.7,), 1923, 58.2),
        Row("two stages", "half", *_two(0.7), 1930, 59.6),
        Row("one stage", "half", (16,), (0.8,), 1775, 56.8),
        Row("two stages", "half", *_two(0.8), 1782, 59.4),
    ),
    7: (
        BASELINE,
        Row("random 50 %", "half", (16,), (0.5,), 2297, 38.2, random=True),
        Row("VLTP", "tuned", *_two(0.8), 1782, 59.4),
    ),
}
MODELS = ("dense", "prune", "half", "tuned")


def scaled_stages(row: Row, depth: int) -> tuple[PruneStage, ...]:
    """A row's stages in a network of `depth` blocks; raises InputError where two of them would meet."""
    places = [round(place * depth / PAPER_DEPTH) for place in row.places]
    if sorted(set(places)) != places or not all(1 <= place < depth for place in places):
        raise InputError(f"a network of {depth} blocks has no places for stages at {row.places} of {PAPER_DEPTH}")
    return tuple(PruneStage(place, rate) for place, rate in zip(places, row.rates, strict=True))


def measure(row: Row, segmenter: TaskSegmenter, images: Sequence[ImageGoals] | Any, seed: int = 0) -> dict[str, Any]:
    """mIoU over all pairs of image and goal, and the encoder's GFLOPs with its prune decoders, of one row.

    Args:
        images: read once per call; see `goal_iou`.
        seed: of random pruning, from which each image's tokens follow.
    """
    network = segmenter.segmenter.network
    stages = scaled_stages(row, network.config.depth)
    segmenter.stages, segmenter.scorer = stages, None
    scores: list[float] = []
    for number, each in enumerate(images):
        if row.random:
            segmenter.scorer = random_scorer(seed * 1_000_003 + number)
        for goal, mask in zip(each.goals, each.masks, strict=True):
            segmenter.set_goal(list(goal))
            scores.append(iou(segmenter.segment(each.image).mask, mask))
    segmenter.scorer = None
    return {
        "label": row.label,
        "stages": [[stage.after, stage.rate] for stage in stages],
        "gflops": encoder_gflops(segmenter, stages, row.random),
        "mIoU": percent(scores),
        "pairs": len(scores),
        "paper": {"gflops": row.gflops, "mIoU": row.miou},
    }


def random_scorer(seed: int) -> Scorer:
    """Scores that know nothing: the same for an image and a seed."""

    def score(tokens: Tensor) -> Tensor:
        drawn = np.random.default_rng(seed).random((len(tokens), tokens.shape[1] * tokens.shape[2]))
        return torch.from_numpy(drawn).to(tokens.device, torch.float32)

    return score


def encoder_gflops(segmenter: TaskSegmenter, stages: tuple[PruneStage, ...], random: bool = False) -> float:
    """Billions of multiply-adds of the encoder and the prune decoders on one image; of random tokens at the same counts."""
    network = segmenter.segmenter.network
    side = network.config.image_size
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(segmenter.device)
    scorer = random_scorer(0) if random else network.scorer(torch.zeros(1, 256, device=segmenter.device))
    network.requires_grad_(False)  # torch's counter looks for gradients where there are none
    with torch.no_grad(), operation_counter() as counter:
        encode(network.image_encoder, image, stages, scorer)
    return counter.get_total_flops() / 2e9
