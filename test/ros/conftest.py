# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A DDS domain of its own for each test run, a client, and perception nodes as other processes."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # without ROS the tests here are skipped, each module with its reason, when it imports the harness
    from harness import DiagnosticsListener, NodeProcess, Robot

os.environ["ROS_DOMAIN_ID"] = str(random.randrange(1, 100))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture(scope="module")
def robot() -> Iterator["Robot"]:
    """A client of its own for each module: what Fast DDS holds in shared memory for nodes that ended is let go with it."""
    from harness import Robot

    robot = Robot()
    yield robot
    robot.close()


@pytest.fixture
def diagnostics(robot: "Robot") -> Iterator["DiagnosticsListener"]:
    from harness import DiagnosticsListener

    listener = DiagnosticsListener(robot)
    yield listener
    listener.close()


@pytest.fixture
def start(robot: "Robot", tmp_path: Path) -> Iterator[Callable[..., "NodeProcess"]]:
    """Start node processes that end with the test; parameters are given as keywords."""
    from harness import FAKE_PERCEPTION, NodeProcess

    running: list[NodeProcess] = []
    robot.forget_servers()

    def start(program: Any = (FAKE_PERCEPTION,), *arguments: str, **parameters: Any) -> NodeProcess:
        running.append(
            NodeProcess(tmp_path / f"node{len(running)}.log", program, *ros_arguments(parameters), *arguments)
        )
        return running[-1]

    yield start
    for process in running:
        process.end()
    robot.forget_servers()


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Root of a labelled walk, and the category that is to be found on its third image."""
    from small_walk import make_walk

    root = tmp_path_factory.mktemp("walk")
    return root, make_walk(root)


@pytest.fixture(scope="module")
def fake(robot: "Robot", tmp_path_factory: pytest.TempPathFactory) -> Iterator["NodeProcess"]:
    """One active perception node with a fake detector, shared by the tests of a module."""
    from harness import FAKE_PERCEPTION, NodeProcess

    parameters = {"model": "fake", "autostart": True, "diagnostics_period": 0.1, "no_frames_after": 0.5}
    process = NodeProcess(tmp_path_factory.mktemp("fake") / "log", [FAKE_PERCEPTION], *ros_arguments(parameters))
    process.says("ready after")
    yield process
    process.end()


def ros_arguments(parameters: dict[str, Any]) -> list[str]:
    """Parameters as the command line has them."""
    arguments = []
    for name, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        arguments += ["-p", f"{name}:={text}"]
    return arguments
