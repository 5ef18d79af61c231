# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Training images made of several: four beside each other, and objects cut out of one and pasted onto another."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.augment import AugmentConfig, augment, boxes_around
from tasktp_ros.datasets.coco import Sample

SPLIT = (0.35, 0.65)
"""Where a mosaic's images meet, as a share of height and width."""
MOST_PASTED = 4
LEAST_LEFT = 0.1
"""Share of an object's pixels that must still be seen after something was pasted over it."""


def compose(
    first: Sample,
    another: Callable[[int], Sample],
    size: tuple[int, int],
    random: np.random.Generator,
    config: AugmentConfig,
) -> Sample:
    """An augmented image of `size` (height, width) px, with the probabilities of `config` of being made of several.

    Args:
        another: further images of the data set by number; 0 is pasted from, 1 to 3 are for a mosaic.
    """
    if config.mosaic and random.random() < config.mosaic:
        sample = mosaic([first, another(1), another(2), another(3)], size, random, config)
    else:
        sample = augment(first, size, random, config)
    if config.paste and random.random() < config.paste:
        sample = paste(sample, augment(another(0), size, random, config), random, config)
    return sample


def mosaic(
    samples: Sequence[Sample], size: tuple[int, int], random: np.random.Generator, config: AugmentConfig
) -> Sample:
    """Four images, each augmented to its quarter; only what is labelled on all of them is labelled on the whole."""
    height, width = size
    middle = [round(side * float(random.uniform(*SPLIT))) for side in size]
    image = np.empty((height, width, 3), np.uint8)
    quarters, masks = [], []
    for number, sample in enumerate(samples):
        rows = slice(0, middle[0]) if number < 2 else slice(middle[0], height)
        columns = slice(middle[1], width) if number % 2 else slice(0, middle[1])
        quarter = augment(sample, (rows.stop - rows.start, columns.stop - columns.start), random, config)
        image[rows, columns] = quarter.image
        placed = np.zeros((len(quarter.masks), height, width), np.bool_)
        placed[:, rows, columns] = quarter.masks
        quarters.append(quarter)
        masks.append(placed)
    together = np.concatenate(masks)
    return replace(
        quarters[0],
        image=image,
        boxes=boxes_around(together),
        labels=np.concatenate([quarter.labels for quarter in quarters]),
        masks=together,
        crowd=np.concatenate([quarter.crowd for quarter in quarters]),
        has_mask=np.concatenate([outlined(quarter) for quarter in quarters]),
        labelled=_labelled_on_all(quarters),
    )


def paste(sample: Sample, other: Sample, random: np.random.Generator, config: AugmentConfig) -> Sample:
    """Some objects of `other`, which has the same size, lie over `sample`: only such as have a known outline.

    What is hidden is taken from the masks below, boxes are drawn anew around what is left, and objects of which too little is
    left are dropped. What is labelled stays as it was: nothing else of `other` is seen.
    """
    usable = np.flatnonzero(outlined(other) & ~other.crowd)
    if not len(usable):
        return sample
    chosen = random.permutation(usable)[: int(random.integers(1, MOST_PASTED + 1))]
    cover = other.masks[chosen].any(0)
    image = np.where(cover[..., None], other.image, sample.image)
    below = sample.masks & ~cover
    left = below.sum((1, 2))
    boxes = boxes_around(below)
    kept = (
        (left >= config.fewest_pixels)
        & (left >= LEAST_LEFT * sample.masks.sum((1, 2)))
        & ((boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf) >= config.smallest)
    )
    return replace(
        sample,
        image=image,
        boxes=np.concatenate((boxes[kept], other.boxes[chosen])),
        labels=np.concatenate((sample.labels[kept], other.labels[chosen])),
        masks=np.concatenate((below[kept], other.masks[chosen])),
        crowd=np.concatenate((sample.crowd[kept], other.crowd[chosen])),
        has_mask=np.concatenate((outlined(sample)[kept], outlined(other)[chosen])),
    )


def outlined(sample: Sample) -> NDArray[np.bool_]:
    """Which objects (M,) have a known outline."""
    return np.ones(len(sample.labels), np.bool_) if sample.has_mask is None else sample.has_mask


def _labelled_on_all(samples: Sequence[Sample]) -> NDArray[np.bool_] | None:
    known = [sample.labelled for sample in samples if sample.labelled is not None]
    return np.logical_and.reduce(known) if known else None
