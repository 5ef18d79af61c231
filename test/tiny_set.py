# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A data set of coloured boxes, small enough to draw in every test run."""

import json
from pathlib import Path

import cv2
import numpy as np

from tasktp_ros.tasks.vocabulary import ROOMS

SIDE = (96, 128)


def write_set(root: Path, split: str, count: int, seed: int = 0) -> None:
    """A tiny set of coloured boxes: one colour per category, so that a few steps can learn something."""
    random = np.random.default_rng(seed)
    (root / split).mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        picture = random.integers(0, 60, (*SIDE, 3), dtype=np.uint8)
        for _ in range(int(random.integers(0, 4))):
            label = int(random.integers(len(ROOMS)))
            x, y, w, h = (
                int(random.integers(80)),
                int(random.integers(60)),
                int(random.integers(16, 48)),
                int(random.integers(16, 36)),
            )
            picture[y : y + h, x : x + w] = (label * 12 % 256, 255 - label * 9, label * 40 % 256)
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": label + 1, "iscrowd": 0,
                                "bbox": [x, y, w, h], "area": w * h,
                                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]]})  # fmt: skip
        cv2.imwrite(str(root / split / f"{number}.jpg"), picture[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.jpg", "height": SIDE[0], "width": SIDE[1]})
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(ROOMS)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
