# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The launch files, run by the real launch: arguments arrive, nodes come up by themselves and end when it ends."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from harness import REPOSITORY, NodeProcess, Robot, eventually

pytest.importorskip(
    "launch_ros", reason="the launch files were not run: launch_ros is not installed (it is not among the wheels)"
)

LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
file, *arguments = sys.argv[1:]
service = LaunchService()
arguments = [tuple(argument.split(":=", 1)) for argument in arguments]
included = IncludeLaunchDescription(PythonLaunchDescriptionSource(file), launch_arguments=arguments)
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""


@pytest.fixture
def launch(robot: Robot, tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    running: list[NodeProcess] = []
    robot.forget_servers()

    def launch(name: str, *arguments: str) -> NodeProcess:
        file = REPOSITORY / "launch" / name
        running.append(NodeProcess(tmp_path / "launch.log", ["-c", LAUNCH, file, *arguments]))
        return running[-1]

    yield launch
    for process in running:
        interrupt(process)
    robot.forget_servers()


def test_perception_comes_up_in_a_namespace_with_its_cameras(robot: Robot, launch: Callable[..., NodeProcess]) -> None:
    process = launch("perception.launch.py", "namespace:=robot1", "cameras:=[front, rear]", "model:=nano-untrained")
    process.says("ready after")
    for node in ("robot1/perception", "robot1/task_manager"):
        eventually(lambda node=node: robot.state(node) == "active", f"{node} is active")
    assert robot.get("cameras", "robot1/perception") == ["front", "rear"]
    assert robot.node.count_subscribers("/robot1/front") == robot.node.count_subscribers("/robot1/rear") == 1
    code, _ = interrupt(process)
    assert code == 0 and process.log.count("process has finished cleanly") == 2, process.log
    assert "Traceback" not in process.log


@pytest.mark.parametrize(("in_file", "arguments"), [("true", []), ("false", ["use_sim_time:=true"])])
def test_without_autostart_the_nodes_wait_for_a_manager_and_take_the_given_file(
    robot: Robot, launch: Callable[..., NodeProcess], tmp_path: Path, in_file: str, arguments: list[str]
) -> None:
    own = tmp_path / "own.yaml"
    changed = f"max_detections: 7\n    use_sim_time: {in_file}"
    own.write_text((REPOSITORY / "config" / "perception.yaml").read_text().replace("max_detections: 100", changed))
    launch("perception.launch.py", "autostart:=false", f"params_file:={own}", *arguments)
    assert robot.state("perception") == robot.state("task_manager") == "unconfigured"
    assert robot.get("max_detections") == 7
    assert robot.get("use_sim_time") is True


def test_a_killed_node_is_started_again(robot: Robot, launch: Callable[..., NodeProcess]) -> None:
    process = launch("perception.launch.py", "respawn:=true")
    process.says("revision 1: all categories")
    (manager,) = children(process, "task_manager")
    os.kill(manager, signal.SIGKILL)
    process.says("revision 1: all categories", times=2)


@pytest.mark.parametrize("node", ["perception", "task_manager"])
def test_a_node_that_dies_ends_the_launch_which_fails(launch: Callable[..., NodeProcess], node: str) -> None:
    process = launch("perception.launch.py", "model:=nano-untrained")
    process.says("ready after")
    process.says("revision 1: all categories")
    (victim,) = children(process, node)
    others = [child for child in children(process, "") if child != victim]
    os.kill(victim, signal.SIGKILL)
    assert process.process.wait(30) == 1
    assert f"{node} ended by signal 9, so this launch has failed" in process.log
    assert not any(Path(f"/proc/{child}").exists() for child in others)


@pytest.mark.parametrize(
    ("file", "arguments", "said"),
    [
        ("perception.launch.py", ["respawn:=often"], "respawn is 'often'"),
        ("perception.launch.py", ["reach:=far"], "reach is 'far': expected one of blocks, network, frame"),
        ("perception.launch.py", ["execution:=fast"], "execution is 'fast': expected one of dynamic, static, graphs"),
        ("perception.launch.py", ["params_file:=/nowhere.yaml"], "params_file is '/nowhere.yaml': it does not exist"),
        ("replay.launch.py", ["source:=/tmp", "rate:=fast"], "rate is 'fast'"),
        ("plan.launch.py", ["plans_file:=/nowhere.yaml"], "plans_file is '/nowhere.yaml': it does not exist"),
        ("replay.launch.py", ["source:=/nowhere"], "source is '/nowhere': it does not exist"),
        ("replay.launch.py", ["source:=/tmp", "cameras:=[front-cam]"], "'front-cam' cannot be the name of a topic"),
        ("scannet_search.launch.py", ["scan:=/tmp", "target:=cup", "narrow:=maybe"], "narrow is 'maybe'"),
        ("scannet_search.launch.py", ["scan:=/tmp", "target:=unicorn"], "target is 'unicorn'"),
    ],
)
def test_a_bad_argument_is_one_sentence_before_anything_starts(
    launch: Callable[..., NodeProcess], file: str, arguments: list[str], said: str
) -> None:
    process = launch(file, *arguments)
    assert process.process.wait(30) == 1
    assert said in process.log
    assert "process started" not in process.log and "Traceback" not in process.log


def pictures(folder: Path, count: int = 4) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        encoded = cv2.imencode(".png", np.full((48, 64, 3), 20 * number, np.uint8))[1]
        (folder / f"{number}.png").write_bytes(encoded.tobytes())
    return folder


def test_a_replay_plays_every_frame_and_ends_by_itself(launch: Callable[..., NodeProcess], tmp_path: Path) -> None:
    frames = pictures(tmp_path / "frames")
    process = launch("replay.launch.py", f"source:={frames}", f"summary:={tmp_path / 'summary.json'}")
    assert process.process.wait(90) == 0, process.log
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["frames_sent"], summary["results_received"], summary["lost"]) == (4, 4, 0)


@pytest.mark.parametrize("source", ["1e3", 'run #3: it\'s "y" é'])
def test_a_replay_takes_any_name_and_sends_on_the_first_camera(
    launch: Callable[..., NodeProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / source)
    cameras = "cameras:=[front/image, rear/image]"
    model = "model:=nano-untrained"
    process = launch("replay.launch.py", f"source:={source}", f"summary:={source}.json", cameras, model)
    assert process.process.wait(90) == 0, process.log
    summary = json.loads((tmp_path / f"{source}.json").read_text())
    assert (summary["source"], summary["results_received"], summary["lost"]) == (source, 4, 0)


def test_a_replay_sends_on_the_camera_of_the_parameter_file(launch: Callable[..., NodeProcess], tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("perception: {ros__parameters: {cameras: [front/image], model: nano-untrained}}")
    process = launch("replay.launch.py", f"source:={pictures(tmp_path / 'frames')}", f"params_file:={own}")
    assert process.process.wait(90) == 0, process.log
    assert "on /front/image in lock step" in process.log and "4 results, 0 without" in process.log


def test_a_plan_is_played_step_after_step(launch: Callable[..., NodeProcess], tmp_path: Path) -> None:
    plans = tmp_path / "plans.yaml"
    plans.write_text(
        "plans: {p: [{name: one, categories: [cup], ends: [time 0.1]}, {name: two, categories: all, ends: [call]}]}"
    )
    process = launch(
        "plan.launch.py",
        f"source:={pictures(tmp_path / 'frames', 12)}",
        f"plans_file:={plans}",
        "plan:=p",
        "model:=nano-untrained",
    )
    assert process.process.wait(90) == 0, process.log
    assert "plan 'p': step 'one' ends (0.1 s are over), 'two' begins" in process.log
    assert "12 results, 0 without" in process.log and "Traceback" not in process.log


def test_a_replay_whose_source_cannot_be_played_fails(launch: Callable[..., NodeProcess], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    process = launch("replay.launch.py", f"source:={empty}", "model:=nano-untrained")
    assert process.process.wait(60) == 1
    assert "no images in" in process.log and "player ended with status 2" in process.log
    assert "Traceback" not in process.log


def test_a_search_ends_with_its_result(
    launch: Callable[..., NodeProcess], walk: tuple[Path, str], tmp_path: Path
) -> None:
    root, target = walk
    summary = tmp_path / "search.json"
    scan = root / "scans" / "scene0001_00"
    camera = "cameras:=[/front/image]"
    process = launch("scannet_search.launch.py", f"scan:={scan}", f"target:={target}", f"summary:={summary}", camera)
    assert process.process.wait(120) == 0, process.log
    found = json.loads(summary.read_text())
    assert found["found"] and found["located_frame"] == 180 and found["other_tasks"] == 0


def interrupt(process: NodeProcess) -> tuple[int, float]:
    """Press ctrl-c: the whole foreground group gets the signal, on which launch relies."""
    for child in children(process, ""):
        os.kill(child, signal.SIGINT)
    return process.end(signal.SIGINT)


def children(process: NodeProcess, name: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_bytes().decode()
        except (OSError, ValueError, IndexError):
            continue
        if parent == process.process.pid and f"/lib/tasktp_ros/{name}" in command:
            found.append(int(folder.name))
    return found


def test_the_launch_files_are_installed() -> None:
    from ament_index_python.packages import get_package_share_directory

    share = Path(get_package_share_directory("tasktp_ros"))
    for name in (
        "launch/perception.launch.py",
        "launch/replay.launch.py",
        "launch/plan.launch.py",
        "launch/scannet_search.launch.py",
        "config/perception.yaml",
        "rviz/perception.rviz",
    ):
        assert (share / name).is_file(), f"{name} is not in {share}"
