# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Vocabularies: the ordered category names a model was trained on, and sets of them that a task asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasktp_ros.errors import TaskError

COCO: tuple[str, ...] = tuple(
    name.strip()
    for name in (
        "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
        "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
        "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, "
        "skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, "
        "sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, "
        "dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, "
        "refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
    ).split(",")
)
"""The 80 categories of COCO 2017 in the order every COCO detector numbers them."""

ROOMS: tuple[str, ...] = tuple(
    name.strip()
    for name in (
        "backpack, suitcase, bottle, cup, bowl, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
        "microwave, oven, sink, refrigerator, book, clock, vase"
    ).split(",")
)
"""The 20 categories of the rendered rooms: COCO's names in COCO's order."""

VOCABULARIES: dict[str, tuple[str, ...]] = {"coco": COCO, "rooms": ROOMS}


@dataclass(frozen=True)
class Task:
    """What the detector is asked to look for; immutable, so that one frame sees one task from start to end.

    Attributes:
        categories: relevant category names in vocabulary order, or None for the whole vocabulary.
        task_id: the goal's name, echoed in every result; may be empty.
        revision: the sender's counter, echoed in every result.
        threshold: a token is kept when its gate score exceeds this; 0 < threshold < 1 (equation 7 of the paper: 0.5).
    """

    categories: tuple[str, ...] | None = None
    task_id: str = ""
    revision: int = 0
    threshold: float = 0.5


def resolve_categories(categories: Sequence[str] | None, vocabulary: Sequence[str]) -> tuple[str, ...] | None:
    """Check names against a vocabulary and return them without duplicates in vocabulary order; None stays None.

    Raises:
        TaskError: for an empty set, a string in place of a list, or a name the vocabulary does not have.
    """
    if categories is None:
        return None
    if isinstance(categories, str):
        raise TaskError(f"categories must be a list of names, not the single string {categories!r}")
    wanted = set(categories)
    if not wanted:
        raise TaskError("the task names no category; use None for all categories of the vocabulary")
    unknown = sorted(str(name)[:80] for name in wanted.difference(vocabulary))
    if unknown:
        shown = ", ".join(repr(name) for name in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        example = ", ".join(vocabulary[:5])
        raise TaskError(f"unknown categories {shown}; the vocabulary has {len(vocabulary)} names, such as {example}")
    return tuple(name for name in vocabulary if name in wanted)
