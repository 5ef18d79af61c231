# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which detections are right, as pycocotools matched them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

LEAST_OVERLAP = 0.5
"""IoU from which on a detection may be an object of its category."""


@dataclass(frozen=True)
class Judged:
    """Detections of many images, each right or wrong; those on crowds are left out.

    Attributes:
        scores: (N,) float64, 0..1.
        right: (N,) bool: overlaps an object of its category by an IoU of at least 0.5 that no better detection overlaps more.
        categories: (N,) int64 index into `names`.
        objects: (C,) int64, how many objects of each category there are.
        names: C categories.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    categories: NDArray[np.int64]
    objects: NDArray[np.int64]
    names: tuple[str, ...]


def judged(evaluation: COCOeval, names: Sequence[str]) -> Judged:
    """What an evaluation found, without those detections and objects that COCO ignores.

    Args:
        evaluation: after `evaluate()`, whose first IoU is 0.5.
        names: of its categories, in their order.
    """
    areas, images = len(evaluation.params.areaRng), len(evaluation.params.imgIds)
    scores: list[float] = []
    right: list[bool] = []
    categories: list[int] = []
    objects = np.zeros(len(names), np.int64)
    for number, image in enumerate(evaluation.evalImgs):
        # index = (category * areas + area) * images + image; the first area is that of all sizes.
        if image is None or (number // images) % areas:
            continue
        category = number // (images * areas)
        counted = ~np.array(image["dtIgnore"][0], dtype=bool)
        scores += np.array(image["dtScores"])[counted].tolist()
        right += (np.array(image["dtMatches"][0])[counted] > 0).tolist()
        categories += [category] * int(counted.sum())
        objects[category] += int((~np.array(image["gtIgnore"], dtype=bool)).sum())
    return Judged(
        np.array(scores, np.float64), np.array(right, np.bool_), np.array(categories, np.int64), objects, tuple(names)
    )
