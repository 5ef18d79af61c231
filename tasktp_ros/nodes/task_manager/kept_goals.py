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
from tasktp_ros.tasks.plans import Record, RunningPlan, make_plan, make_step

OTHER_CLOCK = -1.0
"""Start of a step that was timed by another clock."""


def usual_file(node_name: str) -> Path:
    """Where a node of this full name keeps its goals: in ROS's folder, as its logs are, apart for each domain."""
    home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
    name = node_name.strip("/").replace("/", ".")
    return home / "tasktp_ros" / f"domain{os.environ.get('ROS_DOMAIN_ID') or 0}.{name}.json"


class KeptGoals:
    """One file with goals and plans.

    Args:
        path: the file; its folder is made.
        simulated_time: whether the goals' times are simulated ones.
    """

    def __init__(self, path: Path, simulated_time: bool) -> None:
        self.path = path
        self._clock = "simulated" if simulated_time else "time of day"

    def write(self, goals: Sequence[Goal], plans: Sequence[RunningPlan] = ()) -> None:
        """Keep these goals and plans and no others; raises OSError."""
        if not goals and not plans:
            self.forget()
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"boot": _boot(), "clock": self._clock, "goals": [asdict(goal) for goal in goals]}
        kept["plans"] = [_plan_entry(plan) for plan in plans]
        with replacing(self.path) as beside:
            beside.write_text(json.dumps(kept), encoding="utf-8")

    def forget(self) -> None:
        """Keep none; raises OSError."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()

    def read(self, vocabulary: Sequence[str]) -> tuple[list[Goal], list[RunningPlan]]:
        """Return the kept goals and plans; times of those that were timed by another clock start anew.

        Raises:
            TaskError: there were goals, but they cannot be brought back; the sentence says why.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return [], []
        except (OSError, UnicodeDecodeError) as error:
            raise TaskError(f"goals are lost: {self.path} cannot be read: {error}") from error
        try:
            kept = json.loads(text)
            goals = [_goal(entry) for entry in kept["goals"]]
            plans = [_plan(entry, vocabulary) for entry in kept.get("plans", [])]
            boot, clock = kept["boot"], kept["clock"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TaskError(f"goals are lost: {self.path} is damaged") from error
        if boot != _boot():
            raise TaskError(f"{len(goals)} goals from before the machine was started are not brought back")
        unknown = {name for goal in goals for name in goal.categories or ()} - set(vocabulary)
        if unknown:
            raise TaskError(f"{len(goals)} goals are lost: they are for a vocabulary that has {sorted(unknown)[0]!r}")
        if clock == self._clock:
            return goals, plans
        for plan in plans:
            plan.records[-1] = replace(plan.records[-1], started=OTHER_CLOCK)
        return [replace(goal, started=None) for goal in goals], plans


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


def _plan_entry(running: RunningPlan) -> dict[str, Any]:
    plan = running.plan
    steps = [{"name": s.name, "categories": s.categories, "ends": [end.text for end in s.ends]} for s in plan.steps]
    records = [asdict(record) for record in running.records]
    return {"id": plan.plan_id, "priority": plan.priority, "steps": steps, "records": records}


def _plan(entry: dict[str, Any], vocabulary: Sequence[str]) -> RunningPlan:
    steps = [make_step(step["name"], step["categories"], step["ends"], vocabulary) for step in entry["steps"]]
    records = [Record(float(r["started"]), r["ended"], str(r["reason"])) for r in entry["records"]]
    times = [time for record in records for time in (record.started, record.ended) if time is not None]
    if not 1 <= len(records) <= len(steps) or not all(map(math.isfinite, times)):
        raise ValueError("not a running plan")
    return RunningPlan(make_plan(entry["id"], steps, int(entry["priority"])), records)


def _boot() -> str:
    """Something that differs after each start of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
