# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The demonstration from end to end: real perception, task manager and player as processes on DDS."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from harness import REPOSITORY, eventually
from rclpy.node import Node

from tasktp_ros.cli.demo import SHOWN_SCORE, shown_score
from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import BagWriter
from tasktp_ros.datasets.cut_walk import FRAMES as FRAMES_OF_WALK
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.datasets.sample import OFFICE_WALK
from tasktp_ros.evaluation import demo_page
from tasktp_ros.evaluation.processes import parameter_value
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.default import DEFAULT_MODEL

FRAMES = 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A short walk past a wall: small pictures, so that two cores need little time."""
    place = tmp_path / "walk: kitchen #3"
    place.mkdir()
    wall = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (240, 500, 3), np.uint8), (0, 0), 3)
    for index in range(FRAMES):
        cv2.imwrite(str(place / f"{index}.png"), wall[:, 5 * index : 5 * index + 320])
    return place


class Demo:
    """`tasktp demo` as a process."""

    def __init__(self, *arguments: object) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), environment.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tasktp_ros.cli.main", "demo", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def finish(self) -> tuple[int, str, str]:
        out, errors = self.process.communicate(timeout=120)
        return self.process.returncode, out, errors

    def nodes(self) -> dict[str, int]:
        """Process ids of the children that are nodes."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.MULTILINE)
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            names = [part.rsplit(b".", 1)[1].decode() for part in command if part.startswith(b"tasktp_ros.nodes.")]
            if parent and int(parent[1]) == self.process.pid and names:
                found[names[0]] = int(folder.name)
        return found


@pytest.fixture
def demo() -> Iterator[type[Demo]]:
    running: list[Demo] = []

    class Watched(Demo):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            running.append(self)

    yield Watched
    for one in running:
        if one.process.poll() is None:
            one.process.kill()


def gone(pids: dict[str, int]) -> bool:
    return not any(
        Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids.values()
    )


def test_four_goals_reach_the_detector_and_end_up_on_the_page(demo, folder, tmp_path):
    status, out, errors = demo(
        "--source",
        folder,
        "--output",
        tmp_path / "out",
        "--results",
        tmp_path / "r.json",
        "--model",
        "nano-untrained",
        "--reach",
        "network",
    ).finish()
    assert status == 0, errors
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["frames"] == report["player"]["frames_sent"] == FRAMES
    assert report["player"]["lost"] == 0
    assert report["player"]["order_kept"]
    assert report["player"]["headers_equal"]
    assert report["untrained"] and report["reach"] == "network"
    tasks = {task["id"]: task for task in report["tasks"]}
    assert list(tasks) == ["find_chair", "water_plants", "armchair_and_plant", "look_around"]
    assert [task["frames"] for task in tasks.values()] == [FRAMES // 4] * 4, "goals change between two frames"
    assert tasks["look_around"]["categories"] == []
    assert tasks["water_plants"]["categories"] == ["potted plant", "vase"]
    assert tasks["find_chair"]["categories"] == ["chair"]
    assert all(0 < share <= 1 for share in report["values"]["kept_share"])
    assert all(value > 0 for value in report["values"]["overhead_milliseconds"])
    assert str(tmp_path) not in json.dumps({**report, "command": ""}), (
        "numbers that are kept name no folders of this machine"
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert "untrained" in page
    assert "random weights" in page
    assert len(re.findall("data:image/jpeg;base64,", page)) == 12, "three pictures of each task"
    assert not re.search(r"(src|href)=.?https?:", page), "the page works without a network"
    assert tasks["armchair_and_plant"]["categories"] == ["chair", "potted plant"]
    assert tasks["armchair_and_plant"]["understood"].startswith("wordnet: 'armchair': a kind of chair")
    for task in tasks.values():
        assert task["title"] in page
        assert task["title"] in out
    assert "untrained" in out


def test_the_model_that_ships_finds_things_on_the_walk_that_ships(demo, tmp_path):
    status, out, errors = demo("--output", tmp_path / "out", "--frames", 12, "--json").finish()
    assert status == 0, errors
    report = json.loads(out)
    assert report["frames"] == 12 and not report["untrained"] and report["model"] == DEFAULT_MODEL
    assert sum(report["values"]["detections"]) > 0, "a trained detector finds something among chairs and tables"
    assert "random weights" not in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize("victim", ["perception", "player"])
def test_a_killed_node_is_named_and_nothing_keeps_running(demo, folder, tmp_path, victim):
    running = demo("--source", folder, "--output", tmp_path / "out")
    pids = eventually(lambda: found if len(found := running.nodes()) == 3 else None, "all nodes run", 60)
    os.kill(pids[victim], signal.SIGKILL)
    status, _, errors = running.finish()
    assert status == 1
    assert f"{victim} was ended by SIGKILL" in errors
    assert "Traceback" not in errors
    eventually(lambda: gone(pids), "the other nodes end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demonstration_and_all_its_nodes(demo, folder, tmp_path, number):
    running = demo("--source", folder, "--output", tmp_path / "out")
    pids = eventually(lambda: found if len(found := running.nodes()) >= 2 else None, "nodes run", 60)
    running.process.send_signal(number)
    status, _, errors = running.finish()
    assert status == 130
    assert "Traceback" not in errors
    eventually(lambda: gone(pids), "all nodes end")


def test_no_node_outlives_a_killed_demonstration(demo, folder, tmp_path):
    running = demo("--source", folder, "--output", tmp_path / "out")
    pids = eventually(lambda: found if len(found := running.nodes()) == 3 else None, "all nodes run", 60)
    running.process.kill()
    eventually(lambda: gone(pids), "all nodes end")


@pytest.mark.parametrize(
    "text",
    ["run #3", "walk: kitchen", "true", "7", "~", "", "[a, b]", "{a: b}", "it's \"so\"", "two\nlines\t", "back\\slash",
     "*a &b !c %d @e `f", " spaces ", "Küche 厨房 \U0001f916", "a:=b", "--ros-args", "\u2028\x7f\x85"],
)  # fmt: skip
def test_a_text_arrives_at_a_node_as_it_was_given(robot, text):
    given = ["--ros-args", "-p", f"text:={parameter_value(text)}"]
    node = Node("reader", context=robot.context, cli_args=given, use_global_arguments=False)
    assert node.declare_parameter("text", "none was given").value == text
    node.destroy_node()


@pytest.mark.parametrize(("value", "written"), [(True, "true"), (7, "7"), (0.25, "0.25")])
def test_other_parameters_keep_their_type(value, written):
    assert parameter_value(value) == written


def test_a_name_that_no_parameter_can_hold_is_refused_before_anything_starts(demo, folder, tmp_path):
    renamed = folder.rename(os.fsdecode(os.fsencode(folder) + b"\xff"))
    running = demo("--source", renamed, "--output", tmp_path / "out")
    status, out, errors = running.finish()
    assert status == 2 and not out and not (tmp_path / "out").exists()
    assert "#3\\xff is not UTF-8, which ROS's parameters must be" in errors and len(errors.splitlines()) == 1


def test_frames_that_nobody_can_read_end_the_demonstration_with_the_reason(demo, tmp_path):
    kind = records.message_types().types[records.IMAGE]
    with BagWriter(tmp_path / "bag") as writer:
        for index in range(30):
            stamp = (index + 1) * 100_000_000
            message = kind(header=records.header(stamp, "camera"), height=48, width=64, encoding="made_up8", is_bigendian=0,
                           step=64, data=np.zeros(48 * 64, np.uint8))  # fmt: skip
            writer.write("/image", records.IMAGE, stamp, records.serialise(message))
    status, out, errors = demo("--source", tmp_path / "bag", "--output", tmp_path / "out").finish()
    assert status == 2 and not out
    assert "no frame was answered" in errors and "'made_up8'" in errors and "Traceback" not in errors


def test_the_page_says_what_a_score_means():
    report = {"untrained": False, "score_threshold": 0.35, "calibrated": False}
    assert "what scores above 0.35" in demo_page._shown(report)
    assert "what is right with a probability above 35 %" in demo_page._shown(report | {"calibrated": True})
    assert demo_page._shown(report | {"untrained": True}) == ""


@pytest.mark.parametrize(
    ("measured", "trained", "score"),
    [
        ({}, True, SHOWN_SCORE),
        ({"balance": {"score": 0.22}}, True, 0.22),
        ({"balance": {"score": 0.04}}, True, 0.2),
        ({"balance": {"score": 0.22}}, False, 0.0),
    ],
)
def test_detections_are_shown_where_the_models_precision_and_recall_balance(measured, trained, score):
    assert shown_score(ModelCard("a", "nano", "dense", "coco", ("cup",), trained, measured=measured)) == score


def test_the_real_walk_ships_with_its_licence_and_all_that_a_camera_sends():
    assert (
        "MIT License" in (OFFICE_WALK / "LICENSE").read_text()
        and "Arda Duzceker" in (OFFICE_WALK / "LICENSE").read_text()
    )
    assert sum(file.stat().st_size for file in OFFICE_WALK.iterdir()) < 5_000_000
    with open_source(OFFICE_WALK) as source:
        assert {frame.image.shape for frame in source} == {(360, 540, 3)} and source.length == FRAMES_OF_WALK
        assert not source.problems


def test_what_nodes_complain_of_is_on_the_page():
    report = {"problems": ["perception: <made_up8>"] * 12}
    told = demo_page._problems(report)
    assert told.count("&lt;made_up8&gt;") == 10 and "and 2 more" in told
    assert demo_page._problems({"problems": []}) == ""


def test_a_page_that_is_no_demonstrations_is_not_replaced(demo, folder, tmp_path):
    (tmp_path / "index.html").write_text("mine")
    status, _, errors = demo("--source", folder, "--output", tmp_path).finish()
    assert status == 2 and "choose another folder" in errors
    assert (tmp_path / "index.html").read_text() == "mine" and not (tmp_path / "logs").exists()


def test_a_source_that_is_none_is_one_sentence(demo, tmp_path):
    status, _, errors = demo("--source", tmp_path / "nothing", "--output", tmp_path / "out").finish()
    assert status == 2
    assert "does not exist" in errors
    assert "Traceback" not in errors
