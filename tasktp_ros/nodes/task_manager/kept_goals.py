# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The running goals beside the node, so that one that crashed and was started again goes on with them.

Only a crash leaves the file behind: who ends the node, or cleans it up, ends its goals. Goals from before the machine was
started are not brought back either, since the rest of the robot has forgotten them, too.
"""

import contextlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tasktp_ros.errors import TaskError
from tasktp_ros.files import replacing
from tasktp_ros.tasks.goals import Goal


def usual_file(node_name: str) -> Path:
    """Where a node of this full name keeps its goals: in ROS's folder, as its logs are, apart for each domain."""
    home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
    name = node_name.strip("/").replace("/", ".")
    return home / "tasktp_ros" / f"domain{os.environ.get('ROS_DOMAIN_ID') or 0}.{name}.json"


class KeptGoals:
    """One file with goals.

    Args:
        path: the file; its folder is made.
        simulated_time: whether the goals' times are simulated ones.
    """

    def __init__(self, path: Path, simulated_time: bool) -> None:
        self.path = path
        self._clock = "simulated" if simulated_time else "time of day"

    def write(self, goals: Sequence[Goal]) -> None:
        """Keep these goals and no others; raises OSError."""
        if not goals:
            self.forget()
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"boot": _boot(), "clock": self._clock, "goals": [asdict(goal) for goal in goals]}
        with replacing(self.path) as beside:
            beside.write_text(json.dumps(kept), encoding="utf-8")

    def forget(self) -> None:
        """Keep none; raises OSError."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()

    def read(self, vocabulary: Sequence[str]) -> list[Goal]:
        """Return the kept goals; the time to live of those that were timed by another clock starts anew.

        Raises:
            TaskError: there were goals, but they cannot be brought back; the sentence says why.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise TaskError(f"goals are lost: {self.path} cannot be read: {error}") from error
        try:
            kept = json.loads(text)
            goals = [_goal(entry) for entry in kept["goals"]]
            boot, clock = kept["boot"], kept["clock"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TaskError(f"goals are lost: {self.path} is damaged") from error
        if boot != _boot():
            raise TaskError(f"{len(goals)} goals from before the machine was started are not brought back")
        unknown = {name for goal in goals for name in goal.categories or ()} - set(vocabulary)
        if unknown:
            raise TaskError(f"{len(goals)} goals are lost: they are for a vocabulary that has {sorted(unknown)[0]!r}")
        return goals if clock == self._clock else [replace(goal, started=None) for goal in goals]


def _goal(entry: dict[str, Any]) -> Goal:
    names = entry["categories"]
    goal = Goal(
        goal_id=entry["goal_id"],
        categories=None if names is None else tuple(names),
        priority=entry["priority"],
        time_to_live=entry["time_to_live"],
        started=entry["started"],
    )
    texts = [goal.goal_id, *(goal.categories or ())]
    numbers = [number for number in (goal.priority, goal.time_to_live, goal.started) if number is not None]
    if not all(isinstance(text, str) for text in texts) or not all(map(math.isfinite, numbers)):
        raise ValueError("not a goal")
    return goal


def _boot() -> str:
    """Something that differs after each start of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
