# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How a node's process ends: at every stage, without waiting for what it does, without a traceback, and seen by the others."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from harness import FAKE_PERCEPTION, LATCHED, REPOSITORY, SOON, NodeProcess, Robot, eventually, picture
from rcl_interfaces.msg import Log

Start = Callable[..., NodeProcess]
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
TASK_MANAGER = ("-m", "tasktp_ros.nodes.task_manager")
REAL = ("-m", "tasktp_ros.nodes.perception")


def ends_cleanly(process: NodeProcess, number: int) -> None:
    code, seconds = process.end(number)
    assert code == 0, process.log
    assert "Traceback" not in process.log and "terminate called" not in process.log, process.log
    assert seconds < SOON, f"took {seconds:.1f} s"


@BOTH
@pytest.mark.parametrize("program", [(FAKE_PERCEPTION,), TASK_MANAGER], ids=["perception", "task_manager"])
def test_when_unconfigured(robot: Robot, start: Start, program: Any, number: int) -> None:
    process = start(program)
    eventually(lambda: robot.node.count_publishers("/diagnostics"), "the node is up")
    ends_cleanly(process, number)
    eventually(lambda: not robot.node.count_publishers("/diagnostics"), "the others see that it has gone")


@BOTH
def test_while_a_model_loads(start: Start, number: int) -> None:
    process = start(model="slow-load", autostart=True)
    process.says("loading for long")
    ends_cleanly(process, number)


@BOTH
def test_in_the_middle_of_a_detection(robot: Robot, start: Start, number: int) -> None:
    process = start(model="slow", autostart=True)
    with robot.camera() as camera:
        eventually(lambda: camera.publish(picture()) or "detecting for long" in process.log, "a detection")
        ends_cleanly(process, number)


@BOTH
def test_when_active_under_load(robot: Robot, start: Start, number: int) -> None:
    process = start(model="fake", autostart=True)
    with robot.camera() as camera:
        for step in range(50):
            camera.publish(picture(step + 1))
        ends_cleanly(process, number)


@BOTH
@pytest.mark.parametrize("delay", [0.3, 0.7, 1.5])
def test_while_python_and_torch_are_imported(start: Start, number: int, delay: float) -> None:
    process = start(REAL, autostart=True, model="nano-untrained")
    eventually(lambda: _blocks_signals(process), "signals are in hand")
    with pytest.raises(Exception, match="timed out"):
        process.process.wait(delay)
    ends_cleanly(process, number)


def test_a_node_that_cannot_be_made_says_why(start: Start) -> None:
    process = start((FAKE_PERCEPTION,), "-p", "diagnostics_period:=0.0")
    assert process.process.wait(20) == 1
    assert "diagnostics_period" in process.log and "Traceback" not in process.log


def test_a_node_that_cannot_be_made_says_so_on_rosout(robot: Robot, start: Start) -> None:
    news = robot.listen(Log, "/rosout", LATCHED)

    def told(reason: str, *arguments: str) -> Log:
        """A process that ends waits two seconds for readers, in which a busy machine may not bring them together."""
        for attempt in range(3):
            start((FAKE_PERCEPTION,), *arguments).process.wait(SOON)
            with contextlib.suppress(AssertionError) if attempt < 2 else contextlib.nullcontext():
                return news.until(lambda entry: reason in entry.msg, reason, patience=5.0)
        raise AssertionError(reason)

    entry = told("diagnostics_period", "-p", "diagnostics_period:=0.0")
    assert entry.level == 40 and entry.name == "fake_perception"
    told("/front-cam/image", "-r", "image:=/front-cam/image")
    news.close()


@pytest.mark.parametrize("name", ["perception", "task_manager", "player", "searcher"])
@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_a_program_says_what_it_is_without_ros(name: str, asked: str) -> None:
    """Python without the environment's packages has no ROS."""
    program = (
        f"import sys; sys.argv = ['{name}', '{asked}']; from tasktp_ros.nodes.{name} import main; sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=SOON,
    )
    assert ended.returncode == 0 and ended.stderr == ""
    assert f"usage: {name} " in ended.stdout and name.replace("_", " ") in ended.stdout.lower()


def _blocks_signals(process: NodeProcess) -> bool:
    with open(f"/proc/{process.process.pid}/status") as status:
        blocked = next(int(line.split()[1], 16) for line in status if line.startswith("SigBlk"))
    return bool(blocked >> (signal.SIGINT - 1) & 1)
