# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Task goals, and how several of them at once become one task for the detector.

A robot rarely has one task: it carries a cup and still has to see people. The book keeps every running goal and
answers with one set of categories: the union over the goals of the highest priority. Nothing here knows ROS, and the
clock is a function, so every rule about time can be tested without waiting.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tasktp_ros.errors import TaskError

LONGEST_ID = 256
MOST_GOALS = 256


class Words(Protocol):
    """What makes categories of a goal's words, such as rules or a chain of resolvers; raises TaskError for what it does not know."""

    vocabulary: tuple[str, ...]

    def resolve(self, goal_id: str, text: str, categories: Sequence[str]) -> tuple[str, ...] | None:
        """Categories in vocabulary order, None for all."""


@dataclass(frozen=True)
class Goal:
    """One running goal.

    Attributes:
        goal_id: the sender's name for it; the empty name is one unnamed goal that the next unnamed goal replaces.
        categories: category names in vocabulary order, or None for the whole vocabulary.
        priority: only the goals of the highest priority count.
        time_to_live: seconds from its start until it ends by itself, or None for a goal that runs until cancelled.
        started: time of the clock at its start, in seconds; None while there has been no time since.
    """

    goal_id: str
    categories: tuple[str, ...] | None
    priority: int
    time_to_live: float | None
    started: float | None

    def ended(self, now: float) -> bool:
        """Tell whether the goal is over; a clock set back by more than a goal's age ends the goals that can end."""
        if self.time_to_live is None or self.started is None:
            return False
        return not 0 <= now - self.started < self.time_to_live


@dataclass(frozen=True)
class ActiveTask:
    """What all running goals together ask for: `categories` None means the whole vocabulary."""

    categories: tuple[str, ...] | None
    task_id: str


class GoalBook:
    """The running goals of one robot.

    Every method that rejects a goal raises :class:`TaskError` with one sentence and leaves the book as it was.

    Args:
        words: turns the words of a goal into categories.
        clock: current time in seconds; may jump, as the time of a replayed recording does. None = no time yet: until there
            is one, no goal gets older.
        capacity: most goals that run at once; the next one is rejected.
    """

    def __init__(self, words: Words, clock: Callable[[], float | None], capacity: int = MOST_GOALS) -> None:
        self.words = words
        self._clock = clock
        self._capacity = capacity
        self._goals: dict[str, Goal] = {}

    def __len__(self) -> int:
        return len(self._goals)

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The running goals, oldest first."""
        return tuple(self._goals.values())

    def start(
        self,
        goal_id: str,
        text: str = "",
        categories: Sequence[str] = (),
        priority: int = 0,
        time_to_live: float | None = None,
    ) -> Goal:
        """Start a goal, or restart the running one of the same id with new contents.

        Args:
            goal_id: name of the goal; also read as a task name when neither categories nor text say anything.
            text: what the robot was told, in plain words.
            categories: names from the vocabulary; given any, text and id are not read.
            priority: higher goals silence lower ones.
            time_to_live: seconds; None or 0 runs until cancelled.

        Raises:
            TaskError: unknown task or categories, a negative time to live, an over-long id, or a full book.
        """
        check_id(goal_id)
        if time_to_live is not None and time_to_live < 0:
            raise TaskError(f"goal {goal_id!r} has a time to live of {time_to_live:g} s; 0 runs until cancelled")
        return self.put(goal_id, self.words.resolve(goal_id, text, categories), priority, time_to_live)

    def put(
        self,
        goal_id: str,
        categories: tuple[str, ...] | None,
        priority: int = 0,
        time_to_live: float | None = None,
        started: float | None = None,
    ) -> Goal:
        """Start or restart a goal whose categories are known, None for the whole vocabulary.

        Args:
            started: time of the clock it counts from, for a running goal that is revised and keeps its place; None: now.

        Raises:
            TaskError: an over-long id, or a full book.
        """
        check_id(goal_id)
        self.expire()
        if goal_id not in self._goals and len(self._goals) >= self._capacity:
            raise TaskError(f"goal {goal_id!r} rejected: {self._capacity} goals are running already, cancel some first")
        goal = Goal(
            goal_id=goal_id,
            categories=categories,
            priority=priority,
            time_to_live=time_to_live or None,
            started=self._clock() if started is None else started,
        )
        if started is None:
            self._goals.pop(goal_id, None)
        self._goals[goal_id] = goal
        return goal

    def running(self, goal_id: str) -> bool:
        """Whether a goal of this id runs."""
        return goal_id in self._goals

    def cancel(self, goal_id: str) -> Goal:
        """End a running goal.

        Raises:
            TaskError: no goal of this id is running.
        """
        check_id(goal_id)
        self.expire()
        if goal_id not in self._goals:
            raise TaskError(f"cannot cancel goal {goal_id!r}: no goal of this id is running")
        return self._goals.pop(goal_id)

    def restore(self, goals: Sequence[Goal]) -> None:
        """Go on with goals of an earlier book that used the same clock and vocabulary."""
        self._goals.update((goal.goal_id, goal) for goal in goals[: self._capacity])

    def expire(self) -> tuple[Goal, ...]:
        """Remove the goals whose time is over and return them."""
        now = self._clock()
        if now is None:
            return ()
        self._goals = {
            name: goal if goal.started is not None else replace(goal, started=now) for name, goal in self._goals.items()
        }
        ended = tuple(goal for goal in self._goals.values() if goal.ended(now))
        for goal in ended:
            del self._goals[goal.goal_id]
        return ended

    def active(self) -> ActiveTask:
        """Return the union of the goals of the highest priority; no goal at all means the whole vocabulary."""
        if not self._goals:
            return ActiveTask(categories=None, task_id="")
        highest = max(goal.priority for goal in self._goals.values())
        leading = [goal for goal in self._goals.values() if goal.priority == highest]
        return ActiveTask(categories=self._union(leading), task_id=_joined_ids(leading))

    def _union(self, goals: Sequence[Goal]) -> tuple[str, ...] | None:
        wanted: set[str] = set()
        for goal in goals:
            if goal.categories is None:
                return None
            wanted.update(goal.categories)
        return tuple(name for name in self.words.vocabulary if name in wanted)


def check_id(goal_id: str) -> None:
    """Refuse an id that is too long; raises TaskError."""
    if len(goal_id) > LONGEST_ID:
        raise TaskError(f"a goal id of {len(goal_id)} characters is too long; expected at most {LONGEST_ID}")


def _joined_ids(goals: Sequence[Goal], shown: int = 3) -> str:
    names = [goal.goal_id for goal in goals if goal.goal_id]
    if len(names) <= shown:
        return "+".join(names)
    return "+".join(names[:shown]) + f"+{len(names) - shown} more"
