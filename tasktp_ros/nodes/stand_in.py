# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The perception node around a stand-in that takes as long as it is told, so that the node itself can be measured.

Its parameter `model` is that time in milliseconds. It waits as for a device, without using a core, and finds the same few things
in every image.
"""

import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import ModelError
from tasktp_ros.nodes.process import run_node
from tasktp_ros.tasks.vocabulary import VOCABULARIES, Task, resolve_categories

FOUND = 8
"""Things in every image."""


class StandIn:
    """Looks like a TaskDetector from outside.

    Args:
        model: milliseconds per image.

    Raises:
        ModelError: it is no such number.
    """

    trained, method, device, precision, vocabulary_name = True, "stand-in", "none", "none", "coco"
    vocabulary = VOCABULARIES["coco"]
    card = SimpleNamespace(reach="blocks")

    def __init__(self, model: str) -> None:
        try:
            self._seconds = float(model) / 1000
        except ValueError:
            self._seconds = -1.0
        if not 0 <= self._seconds <= 60:
            raise ModelError(f"the stand-in's model is the milliseconds it takes, 0 to 60000, not {model!r}")
        self.name = self.label = f"stand-in, {model} ms"
        self.score_threshold, self.max_detections, self.reach = 0.5, 100, "blocks"
        self._task = Task()

    def set_task(
        self, categories: Any, *, task_id: str = "", revision: int = 0, threshold: float | None = None
    ) -> Task:
        """As a TaskDetector's."""
        self._task = Task(resolve_categories(categories, self.vocabulary), task_id, revision, threshold or 0.5)
        return self._task

    @property
    def task(self) -> Task:
        """The task of the next image."""
        return self._task

    def warm_up(self, height: int, width: int) -> None:
        """Load what a detection needs."""
        self.detect(np.zeros((height, width, 3), np.uint8))

    def close(self) -> None:
        """Nothing is held."""

    def detect(self, image: NDArray[np.uint8], arrival: Any = None) -> Any:
        """Wait, and find `FOUND` things side by side."""
        from tasktp_ros.runtime.detections import Detections
        from tasktp_ros.runtime.masks import MaskWindow
        from tasktp_ros.vision.image import PATCH, InputSize, frame_for

        started = time.perf_counter()
        time.sleep(self._seconds)
        height, width = image.shape[:2]
        side = max(1, width // FOUND)
        lefts = np.arange(FOUND, dtype=np.float32) * side
        boxes = np.stack((lefts, np.zeros(FOUND), lefts + side, np.full(FOUND, height)), axis=1).astype(np.float32)
        windows = [MaskWindow(0, int(left), np.ones((height, min(side, width - int(left))), bool)) for left in lefts]
        labels = np.arange(FOUND)
        milliseconds = (time.perf_counter() - started) * 1000
        frame = frame_for(height, width, InputSize(min(height, width), max(height, width)))
        tokens = np.ones((1, frame.padded[0] // PATCH, frame.padded[1] // PATCH), bool)
        return Detections(
            boxes, np.linspace(0.9, 0.6, FOUND, dtype=np.float32), labels, [self.vocabulary[label] for label in labels], windows,
            tokens, (), {"waiting": milliseconds, "total": milliseconds}, self._task, self.reach, frame,
        )  # fmt: skip


def _create() -> Any:
    from tasktp_ros.nodes.perception.node import PerceptionNode

    return PerceptionNode(load=lambda settings: StandIn(settings.model), check=lambda settings, changed: None)


if __name__ == "__main__":
    sys.exit(run_node(_create))
