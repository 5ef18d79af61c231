# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""After a crash of the task manager: perception goes on and says so, and the task manager has its goals again."""

import signal
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from harness import FAKE_PERCEPTION, LATCHED, DiagnosticsListener, NodeProcess, Robot, eventually
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from tasktp_ros.msg import TaskCategories, TaskGoal

Start = Callable[..., NodeProcess]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "goals.json"


@pytest.fixture
def manage(robot: Robot, start: Start, state: Path) -> Callable[..., NodeProcess]:
    """Start an active task manager that keeps its goals."""

    def manage(**parameters: Any) -> NodeProcess:
        common = {"vocabulary": "coco", "autostart": True, "diagnostics_period": 0.1, "state_file": state}
        process = start(["-m", "tasktp_ros.nodes.task_manager"], **{**common, **parameters})
        process.says("revision 1")
        return process

    return manage


def tell(robot: Robot, *goals: TaskGoal) -> None:
    """Send goals until the last one decides: who crashed may still be counted as a reader, and who listens not yet."""
    speaker = robot.speaker(TaskGoal, "task_goal", QoSProfile(depth=50))
    listener = robot.listen(TaskCategories, "task_categories", LATCHED)

    def decided() -> bool:
        for goal in goals:
            speaker.publish(goal)
        time.sleep(0.1)
        return any(goals[-1].id in told.task_id for told in listener.heard())

    eventually(decided, "the last goal decides")
    listener.close()
    robot.silence(speaker)


def wanted(robot: Robot) -> list[str]:
    listener = robot.listen(TaskCategories, "task_categories", LATCHED)
    names = list(listener.next().names)
    listener.close()
    return names


def timed(name: str, category: str, seconds: int) -> TaskGoal:
    goal = TaskGoal(id=name, categories=[category])
    goal.time_to_live.sec = seconds
    return goal


def crash(process: NodeProcess, state: Path, last_goal: str) -> None:
    """Kill the task manager once its last goal is kept, which may take it a tenth of a second."""
    eventually(lambda: state.is_file() and f'"{last_goal}"' in state.read_text(), f"{last_goal} is kept")
    process.end(signal.SIGKILL)


def test_goals_come_back_after_a_crash(robot: Robot, manage: Any, state: Path) -> None:
    first = manage()
    tell(robot, TaskGoal(id="drink", categories=["cup"]), timed("short", "sink", 1), timed("long", "book", 600))
    crash(first, state, "long")
    first.process.wait()
    again = manage()
    again.says("goals are brought back after a crash")
    eventually(lambda: wanted(robot) == ["cup", "book"], "the goals that have time left")
    tell(robot, TaskGoal(id="vase", categories=["vase"], priority=1))
    crash(again, state, "vase")
    third = manage()
    third.says("3 goals are brought back")
    assert wanted(robot) == ["vase"]


def test_who_stops_the_node_or_cleans_it_up_ends_its_goals(robot: Robot, manage: Any, state: Path) -> None:
    first = manage()
    tell(robot, TaskGoal(id="drink", categories=["cup"]))
    assert state.is_file()
    assert robot.transition("deactivate", "task_manager") and robot.transition("activate", "task_manager")
    assert wanted(robot) == ["cup"], "a pause keeps the goals"
    assert robot.transition("deactivate", "task_manager") and robot.transition("cleanup", "task_manager")
    assert not state.exists()
    assert robot.transition("configure", "task_manager") and robot.transition("activate", "task_manager")
    tell(robot, TaskGoal(id="read", categories=["book"]))
    first.end()
    assert not state.exists()
    robot.forget_servers()
    assert "brought back" not in manage().log


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"boot": "", "clock": "", "goals": 3}',
        '{"boot": "", "clock": "", "goals": [{"goal_id": 3, "categories": null, "priority": "high"}]}',
    ],
)
def test_a_damaged_file_is_one_warning(manage: Any, state: Path, text: str) -> None:
    state.parent.mkdir()
    state.write_text(text)
    process = manage()
    assert process.log.count("goals are lost") == 1 and "is damaged" in process.log and "Traceback" not in process.log


def test_goals_from_before_the_machine_was_started_are_not_brought_back(robot: Robot, manage: Any, state: Path) -> None:
    crashed = manage()
    tell(robot, TaskGoal(id="drink", categories=["cup"]))
    crash(crashed, state, "drink")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    state.write_text(state.read_text().replace(boot, "another"))
    manage().says("1 goals from before the machine was started are not brought back")


def test_where_goals_cannot_be_kept_the_node_says_so_and_works(robot: Robot, manage: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = manage(state_file=tmp_path / "file" / "goals.json")
    tell(robot, TaskGoal(id="drink", categories=["cup"]), TaskGoal(id="read", categories=["book"]))
    assert process.log.count("goals would not survive a crash: cannot write") == 1
    assert "Traceback" not in process.log


def test_perception_keeps_the_task_and_says_that_its_source_is_gone(
    robot: Robot, manage: Any, start: Start, diagnostics: DiagnosticsListener
) -> None:
    manager = manage()
    start((FAKE_PERCEPTION,), model="fake", autostart=True, diagnostics_period=0.1)
    tell(robot, TaskGoal(id="drink", categories=["cup"]))
    assert diagnostics.says("perception: task", "'drink': looking for cup").level == b"\x00"
    manager.end()  # a killed one is missed only when its lease is over, after many seconds
    report = diagnostics.says("perception: task", "nobody sends on /task_categories any more")
    assert "looking for cup" in report.message and report.level == b"\x01"


def test_a_time_to_live_begins_when_the_clock_does(robot: Robot, manage: Any, diagnostics: DiagnosticsListener) -> None:
    process = manage(use_sim_time=True)
    tell(robot, timed("drink", "cup", 5))
    clock = robot.speaker(Clock, "/clock")

    def tick(second: int) -> None:
        message = Clock()
        message.clock.sec = second
        clock.publish(message)

    def knows_the_time() -> bool:
        tick(100)
        return any("time comes from /clock" in entry.message for one in diagnostics.heard() for entry in one.status)

    eventually(knows_the_time, "the clock is read")
    tick(104)
    for _ in range(3):
        diagnostics.next()
    assert wanted(robot) == ["cup"]
    later = count(106)
    eventually(lambda: tick(next(later)) or "the time of goal 'drink' is over" in process.log, "the goal ends")
    assert wanted(robot) == []
    robot.silence(clock)
