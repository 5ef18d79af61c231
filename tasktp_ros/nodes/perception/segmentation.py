# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Mode `segment`: while a goal in words runs, frames get the goal's mask instead of detections; see `runtime.task_segmenter`.

The task manager turns words into categories and sends these to the detector as ever; here the words themselves are followed. The newest
goal counts: one with categories, a cancel of the goal in words, or its end gives the frames back to the detector.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image

from tasktp_ros.errors import TaskTPError
from tasktp_ros.msg import PruningStats, TaskGoal
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.conversions import fill_image

if TYPE_CHECKING:  # importing it loads torch, which only a configured node needs
    from tasktp_ros.runtime.task_segmenter import GoalMask, PreparedGoal

MASKED = 255
"""Of a pixel that serves the goal; others are 0."""


@dataclass(frozen=True)
class GoalInWords:
    """The goal that runs.

    Attributes:
        goal_id: its sender's name for it.
        prepared: for the segmenter.
        revision: counts the goals in words.
        ends: steady time in seconds, or None.
    """

    goal_id: str
    prepared: "PreparedGoal"
    revision: int
    ends: float | None


@dataclass(frozen=True)
class Segmented:
    """A frame that was segmented instead of detected on, and for which goal."""

    found: "GoalMask"
    goal: GoalInWords


class GoalSegmentation:
    """Follows goals in words and makes their masks.

    Args:
        segmenter: a TaskSegmenter.
        clock: steady seconds.
    """

    def __init__(self, segmenter: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._segmenter, self._clock = segmenter, clock
        self._goal: GoalInWords | None = None
        self._revision = 0
        self._publishers: dict[str, Any] = {}
        self._node: LifecycleNode | None = None
        self._subscription: Any = None
        self._mask, self._statistics = Image(), PruningStats()

    def open(self, node: LifecycleNode, prefixes: Iterable[tuple[str, str]], say: Callable[[str], object]) -> None:
        """Make the topics: `goal_mask` below each camera's prefix, and `task_goal`; `say` is told of goals not understood."""
        self._node = node
        for camera, prefix in prefixes:
            self._publishers[camera] = node.create_lifecycle_publisher(Image, f"{prefix}goal_mask", qos.IMAGES)

        def receive(message: TaskGoal) -> None:
            if problem := self.follow(message):
                say(problem)

        self._subscription = node.create_subscription(TaskGoal, "task_goal", receive, qos.GOALS)

    def close(self) -> None:
        """Take the topics down and forget the goal."""
        if self._node is not None:
            for publisher in self._publishers.values():
                self._node.destroy_lifecycle_publisher(publisher)
            self._node.destroy_subscription(self._subscription)
        self._publishers, self._node, self._goal = {}, None, None

    def follow(self, message: TaskGoal) -> str:
        """Take a goal; return why it cannot be segmented, or an empty string. One that cannot leaves what was."""
        if message.action == TaskGoal.CANCEL:
            if self._goal is not None and self._goal.goal_id == message.id:
                self._goal = None
            return ""
        if any(name.strip() for name in message.categories) or not message.text.strip():
            self._goal = None
            return ""
        try:
            prepared = self._segmenter.prepare(message.text)
        except TaskTPError as error:
            return f"goal {message.id!r} cannot be segmented: {error}"
        lasts = message.time_to_live.sec + message.time_to_live.nanosec / 1e9
        self._revision += 1
        self._goal = GoalInWords(message.id, prepared, self._revision, self._clock() + lasts if lasts > 0 else None)
        return ""

    def goal(self) -> GoalInWords | None:
        """The goal in words that runs now."""
        goal = self._goal
        return None if goal is None or (goal.ends is not None and self._clock() >= goal.ends) else goal

    def segment(self, pixels: NDArray[np.uint8], goal: GoalInWords) -> Segmented:
        """The mask of a goal on (H, W, 3) uint8 RGB."""
        return Segmented(self._segmenter.segment(pixels, goal.prepared), goal)

    def publish_mask(self, camera: str, header: Any, found: Segmented) -> None:
        """Publish a mask: mono8, 255 on what serves the goal, under the image's header."""
        pixels = found.found.mask.astype(np.uint8) * MASKED
        self._publishers[camera].publish(fill_image(self._mask, header, "mono8", pixels))

    def statistics(self, found: Segmented, header: Any, camera: str) -> PruningStats:
        """What the stages kept, one number for each block that saw kept tokens only; the node's own numbers are left to it."""
        message, mask = self._statistics, found.found
        message.header, message.camera, message.model = header, camera, self._segmenter.label
        message.task_id, message.task_revision = found.goal.goal_id, found.goal.revision
        message.categories, message.reach = [], "blocks"
        message.total_tokens = mask.total_tokens
        message.kept_tokens = list(mask.kept_tokens)
        message.stage_names, message.stage_milliseconds = ["segment"], [mask.milliseconds]
        return message
