# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The real perception node around a detector that does what its model name says, so that tests need no network.

`fake` finds one box per category of a short task and nothing for all; `missing` does not load; `slow-load` and `slow`
take half a minute to load and to detect. An image whose first pixel is 13 makes any of them raise.
"""

import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from tasktp_ros.errors import ModelError, TaskError
from tasktp_ros.nodes.process import run_node
from tasktp_ros.tasks.vocabulary import COCO, Task, resolve_categories

LONG = 30.0


class FakeDetector:
    """Looks like a TaskDetector from outside."""

    vocabulary, vocabulary_name = COCO, "coco"
    trained, method, device, precision = False, "fake", "cpu", "float32"
    card = SimpleNamespace(reach="network")

    def __init__(self, model: str) -> None:
        self.name = model
        self.label = f"{model} (untrained)"
        self.score_threshold, self.max_detections = 0.5, 100
        self.reach = ""
        self.streams: list[Any] = []  # kept alive, so that no two are taken for one
        self.task = Task()

    def set_task(self, categories: Any, *, task_id: str = "", revision: int = 0, threshold: Any = None) -> Task:
        chosen = resolve_categories(categories, COCO)
        threshold = 0.5 if threshold is None else threshold
        if not 0.0 < threshold < 1.0:
            raise TaskError(f"the prune threshold must be between 0 and 1, got {threshold}")
        self.task = Task(chosen, task_id, revision, threshold)
        return self.task

    def warm_up(self, height: int, width: int) -> None:
        """Nothing is slow the first time."""

    def close(self) -> None:
        """Nothing is held."""

    def detect(self, image: np.ndarray, arrival: Any = None) -> Any:
        if image[0, 0, 0] == 13:
            raise RuntimeError("thirteen brings bad luck")
        if self.name == "slow":
            print("detecting for long", flush=True)
            time.sleep(LONG)
        if arrival is not None:
            if arrival.stream not in self.streams:
                self.streams.append(arrival.stream)
            print(f"stamp {arrival.stamp:g} in stream {self.streams.index(arrival.stream)}", flush=True)
        if self.name == "unhurried":
            time.sleep(0.1)
        height, width = image.shape[:2]
        task = self.task
        names = [] if self.score_threshold > 0.9 else list(task.categories or ())[: self.max_detections]
        count = len(names)
        return SimpleNamespace(
            boxes=np.tile(np.float32([1, 2, width - 3, height - 4]), (count, 1)),
            scores=np.full(count, 0.9, np.float32),
            names=names,
            kept_tokens=(2, 1),
            total_tokens=4,
            token_masks=np.ones((2, 2, 2), bool),
            timings={"detect": 1.0, "total": 1.0},
            task=task,
            reach=self.reach,
            instance_map=lambda: np.full((height, width), count, np.uint16),
            token_mask_image=lambda: np.full((height, width), 191, np.uint8),
            masks=np.ones((count, height, width), bool),
            image_size=(height, width),
        )


def load(settings: Any) -> FakeDetector:
    if settings.model == "missing":
        raise ModelError("there is no model 'missing' in /nowhere")
    if settings.model == "slow-load":
        print("loading for long", flush=True)
        time.sleep(LONG)
    return FakeDetector(settings.model)


def create() -> Any:
    from tasktp_ros.nodes.perception.node import PerceptionNode

    return PerceptionNode(load=load, check=lambda settings, changed: None)


if __name__ == "__main__":
    sys.exit(run_node(create))
