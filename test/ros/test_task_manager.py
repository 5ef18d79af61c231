# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Goals in, categories out: over DDS, with everything a confused or hostile sender may send."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Duration
from harness import LATCHED, DiagnosticsListener, Listener, NodeProcess, Robot, eventually
from rclpy.qos import QoSProfile
from tasktp_ros.msg import TaskCategories, TaskGoal

Start = Callable[..., NodeProcess]
MANAGER = ["-m", "tasktp_ros.nodes.task_manager"]


@pytest.fixture
def manager(start: Start) -> NodeProcess:
    process = start(MANAGER, vocabulary="coco", autostart=True, diagnostics_period=0.1)
    process.says("all categories")
    return process


@pytest.fixture
def task(robot: Robot, manager: NodeProcess) -> Iterator[Listener]:
    listener = robot.listen(TaskCategories, "task_categories", LATCHED).connected()
    yield listener
    listener.close()


@pytest.fixture
def goals(robot: Robot, manager: NodeProcess) -> Iterator[Any]:
    publisher = robot.speaker(TaskGoal, "task_goal", QoSProfile(depth=5000))
    eventually(publisher.get_subscription_count, "the task manager listens")
    yield publisher
    robot.silence(publisher)


def test_goals_come_and_go_and_the_revision_counts_the_changes(task: Listener, goals: Any) -> None:
    first = task.next()
    assert (list(first.names), first.revision, first.vocabulary) == ([], 1, "coco")
    goals.publish(TaskGoal(id="drink", text="fetch a cup"))
    told = task.next()
    assert (told.task_id, list(told.names), told.revision, told.prune_threshold) == ("drink", ["cup"], 2, 0.0)
    goals.publish(TaskGoal(id="dishes", categories=["sink", "cup", "sink"]))
    assert (list(task.next().names)) == ["cup", "sink"]
    goals.publish(TaskGoal(id="people", categories=["person"], priority=1))
    assert (list(task.next().names)) == ["person"]
    goals.publish(TaskGoal(id="people", action=TaskGoal.CANCEL))
    assert (list(task.next().names)) == ["cup", "sink"]
    for goal in ("dishes", "drink"):
        goals.publish(TaskGoal(id=goal, action=TaskGoal.CANCEL))
    last = task.until(lambda message: not message.names, "all categories again")
    assert last.revision == 7


def test_a_goal_with_a_time_to_live_ends_by_itself(task: Listener, goals: Any) -> None:
    goal = TaskGoal(id="short", categories=["cup"])
    goal.time_to_live.nanosec = 300_000_000
    goals.publish(goal)
    task.until(lambda message: list(message.names) == ["cup"], "the goal")
    task.until(lambda message: not message.names, "its end")


def test_extreme_priorities_and_times_to_live_are_taken_as_they_are(task: Listener, goals: Any) -> None:
    forever = Duration(sec=2**31 - 1, nanosec=2**32 - 1)
    goals.publish(TaskGoal(id="low", categories=["cup"], priority=-(2**31), time_to_live=forever))
    task.until(lambda message: list(message.names) == ["cup"], "the lowest priority, alone")
    goals.publish(TaskGoal(id="high", categories=["sink"], priority=2**31 - 1, time_to_live=forever))
    task.until(lambda message: list(message.names) == ["sink"], "the highest priority")


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        (TaskGoal(id="juggle", text="juggle three torches"), "names no known task"),
        (TaskGoal(), "names no known task"),
        (TaskGoal(id="g", categories=["cup", "unicorn"]), "does not have: 'unicorn'"),
        (TaskGoal(id="g", categories=[""]), "only empty category names"),
        (TaskGoal(id="g", categories=["cup"], action=9), "has the action 9; expected 0 (start) or 1 (cancel)"),
        (TaskGoal(id="nobody", action=TaskGoal.CANCEL), "no goal of this id is running"),
        (TaskGoal(id="g" * 100_000, categories=["cup"]), "too long"),
        (TaskGoal(id="flood", text="blah " * 200_000), "names no known task"),
        (TaskGoal(id="g", categories=["cup"] * 20_000), "lists 20000 categories; expected at most 10000"),
        (TaskGoal(id="g", categories=["cup"], time_to_live=Duration(sec=-1)), "has a time to live of -1 s"),
        (TaskGoal(id="g", categories=["cup"], time_to_live=Duration(sec=-(2**31))), "has a time to live of -2"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_what_is_not_understood_is_reported_and_nothing_is_published(
    task: Listener, goals: Any, diagnostics: DiagnosticsListener, goal: TaskGoal, reason: str, manager: NodeProcess
) -> None:
    goals.publish(TaskGoal(id="before", categories=["book"]))
    before = task.until(lambda message: list(message.names) == ["book"], "the goal before")
    goals.publish(goal)
    report = diagnostics.says("goals", reason)
    assert report.level == b"\x01" and len(report.message) < 1000 and "stays as it is" in report.message
    assert reason in manager.log
    goals.publish(TaskGoal(id="after", categories=["cup"]))
    after = task.next()
    assert list(after.names) == ["cup", "book"] and after.revision == before.revision + 1


def test_a_task_published_by_the_manager_reaches_who_starts_later(robot: Robot, goals: Any, task: Listener) -> None:
    goals.publish(TaskGoal(id="drink", text="fetch a cup"))
    task.until(lambda message: list(message.names) == ["cup"], "the task")
    late = robot.listen(TaskCategories, "task_categories", LATCHED)
    assert list(late.next().names) == ["cup"]
    late.close()


def test_five_thousand_goals_at_once_are_survived_and_the_last_one_counts(
    goals: Any, task: Listener, manager: NodeProcess
) -> None:
    for number in range(5000):
        goals.publish(TaskGoal(id=f"goal {number % 300}", text="fetch a cup and a bottle", priority=number % 7))
    goals.publish(TaskGoal(id="goal 1", categories=["sink"], priority=100))
    task.until(lambda message: list(message.names) == ["sink"], "the last goal")
    assert manager.running


def test_a_sender_of_another_type_of_goals_is_named(
    robot: Robot, manager: NodeProcess, diagnostics: DiagnosticsListener
) -> None:
    operator = Robot("operator")
    try:
        speaker = operator.speaker(TaskCategories, "task_goal")
        diagnostics.says("goals", "/operator sends tasktp_ros/msg/TaskCategories on /task_goal, expected")
        operator.silence(speaker)
    finally:
        operator.close()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"rules_file": "/nowhere/tasks.yaml"}, "cannot read the task rules /nowhere/tasks.yaml"),
        ({"vocabulary": "klingon"}, "no vocabulary 'klingon'; known are coco"),
    ],
)
def test_what_cannot_be_configured_says_why_and_can_be_corrected(
    robot: Robot, start: Start, parameters: dict, reason: str
) -> None:
    process = start(MANAGER, **parameters)
    assert not robot.transition("configure", "task_manager")
    assert reason in process.log and "Traceback" not in process.log
    assert robot.set("task_manager", **{name: {"vocabulary": "coco"}.get(name, "") for name in parameters}) == ""
    assert robot.transition("configure", "task_manager")
    assert "only be set while the node is unconfigured" in robot.set("task_manager", vocabulary="klingon")


def test_only_own_rules_for_things_the_vocabulary_lacks_are_warned_of(start: Start, tmp_path: Path) -> None:
    shipped = start(MANAGER, vocabulary="rooms", autostart=True, diagnostics_period=60.0)
    own = tmp_path / "own.yaml"
    own.write_text("tasks: {fly: {categories: [cup, unicorn]}}\n")
    warned = start(MANAGER, vocabulary="rooms", autostart=True, rules_file=own, diagnostics_period=60.0)
    for process in (shipped, warned):
        process.says("all categories")
    assert "WARN" not in shipped.log and "tasks go without what it lacks" in shipped.log
    assert "task 'fly': the vocabulary has no 'unicorn'" in warned.log
