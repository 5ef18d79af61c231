# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Runs a detector over a data set and keeps what evaluation needs, in COCO's result form."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.runtime.detections import Detections
from tasktp_ros.runtime.task_detector import TaskDetector

SCORE_THRESHOLD = 0.05
"""Of the network's scores, whatever they are called in results."""
MOST_DETECTIONS = 100


def as_results(found: Detections, image_id: int, category_ids: dict[str, int]) -> list[dict[str, Any]]:
    """Detections of one image as COCO results; those of categories without a number are left out."""
    if not len(found.boxes):
        return []
    encoded = [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in found.masks]
    return [
        {
            "image_id": image_id,
            "category_id": category_ids[name],
            "score": float(score),
            "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])],
            "segmentation": {"size": list(run["size"]), "counts": run["counts"].decode()},
        }
        for name, score, box, run in zip(found.names, found.scores, found.boxes, encoded, strict=True)
        if name in category_ids
    ]


def detect_images(
    detector: TaskDetector, dataset: CocoDataset, indices: Iterable[int]
) -> Iterable[tuple[int, Detections]]:
    """Detections of images, as `detector` is told to look for, down to the network's score 0.05 and up to 100 per image."""
    detector.score_threshold, detector.max_detections = detector.in_results(SCORE_THRESHOLD), MOST_DETECTIONS
    for index in indices:
        yield index, detector.detect(dataset.picture(index))


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
