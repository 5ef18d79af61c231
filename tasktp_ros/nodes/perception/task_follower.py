# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which task the detector works on, who asked for it, and what was refused."""

import time
from typing import Any

from tasktp_ros.errors import TaskError
from tasktp_ros.msg import TaskCategories
from tasktp_ros.tasks.vocabulary import Task

LONGEST_TASK_ID = 1024
"""Characters; it is carried by the statistics of every frame. The task manager joins at most three goals' ids."""


class TaskFollower:
    """Applies tasks to a detector; what cannot be applied is remembered as a problem and changes nothing.

    Args:
        detector: a TaskDetector.

    Attributes:
        problem: one sentence about the last task if it was refused, else empty.
        came_by_message: whether the task in force came from a task manager and not from the parameters.
    """

    def __init__(self, detector: Any) -> None:
        self._detector = detector
        self._threshold = 0.5
        self._own_threshold = 0.0
        self._since = time.monotonic()
        self.problem = ""
        self.came_by_message = False

    @property
    def task(self) -> Task:
        """The task in force."""
        task: Task = self._detector.task
        return task

    def set_default(self, categories: list[str] | None, threshold: float) -> None:
        """Take the task of the node's parameters; raises TaskError for unknown names."""
        self._detector.set_task(categories, threshold=threshold)
        self._threshold, self._own_threshold = threshold, 0.0
        self._since = time.monotonic()
        self.problem = ""
        self.came_by_message = False

    def set_threshold(self, threshold: float) -> None:
        """Take another prune threshold for tasks that bring none."""
        self._threshold = threshold
        task = self.task
        if self._own_threshold == 0.0:
            self._detector.set_task(task.categories, task_id=task.task_id, revision=task.revision, threshold=threshold)

    def follow(self, message: TaskCategories) -> str:
        """Apply a task from the task manager and return why it was refused, or an empty string."""
        self.problem = self._refuse(message)
        if self.problem:
            return self.problem
        own = float(message.prune_threshold)
        try:
            self._detector.set_task(
                list(message.names) or None,
                task_id=message.task_id,
                revision=message.revision,
                threshold=own or self._threshold,
            )
        except TaskError as error:
            self.problem = f"task {message.task_id[:80]!r} refused, the task before stays: {error}"
            return self.problem
        self._own_threshold = own
        self._since = time.monotonic()
        self.came_by_message = True
        return ""

    def age(self) -> float:
        """Return the seconds since the task in force was set."""
        return time.monotonic() - self._since

    def sentence(self) -> str:
        """Say in a few words what is being looked for."""
        task = self.task
        named = f"task {task.task_id[:80]!r}: " if task.task_id else ""
        if task.categories is None:
            return f"{named}looking for all {len(self._detector.vocabulary)} categories"
        shown = ", ".join(task.categories[:8]) + (", ..." if len(task.categories) > 8 else "")
        return f"{named}looking for {shown}"

    def _refuse(self, message: TaskCategories) -> str:
        if len(message.task_id) > LONGEST_TASK_ID:
            return (
                f"task {message.task_id[:80]!r}... refused, the task before stays: its id has {len(message.task_id)} "
                f"characters, expected at most {LONGEST_TASK_ID}"
            )
        known = self._detector.vocabulary_name
        if message.vocabulary and message.vocabulary != known:
            return (
                f"task {message.task_id[:80]!r} refused, the task before stays: it is for the vocabulary "
                f"{message.vocabulary[:80]!r}, this model has {known!r}"
            )
        return ""
