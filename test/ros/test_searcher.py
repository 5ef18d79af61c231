# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The search through the ROS graph: real processes, and the same answer as the offline search on the same walk."""

import json
import os
from collections.abc import Callable

import pytest
from harness import LATCHED, NodeProcess, Robot, eventually
from sensor_msgs.msg import Image
from small_walk import MODEL, STEPS
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from tasktp_ros.cli import main as command
from tasktp_ros.datasets.scannet import Scan
from tasktp_ros.runtime.shipped import find_model


def test_offline_and_ros_find_the_object_on_the_same_image(walk, tmp_path, capsys, monkeypatch):
    from tasktp_ros.evaluation.search import measure

    monkeypatch.setattr(measure, "WARM_UP", 1)
    root, target = walk
    arguments = ["search", str(root), "--model", MODEL, "--repeats", "1", "--reach", "blocks", "--json"]
    assert command.main([*arguments, "--seeds", "0"]) == 0
    (offline,) = json.loads(capsys.readouterr().out)["searches"]["0"]
    assert offline["category"] == target and offline["steps"] == STEPS
    before = dict(os.environ)
    assert command.main([*arguments, "--ros", "scene0001_00", target, "--logs", str(tmp_path / "logs")]) == 0
    assert dict(os.environ) == before, "the nodes' graph is theirs, not this process's"
    found = json.loads(capsys.readouterr().out)
    mine = offline["methods"][f"{MODEL}, as published"]
    assert mine["found"] and (mine["runs"], mine["false_alarms"]) == (found["runs"], found["false_alarms"])
    assert found["found"] and found["located_frame"] == 90 * (mine["runs"] - 1)
    assert found["other_tasks"] == 0 and found["latency_milliseconds"]["median"] > 0
    assert [step["visible"] for step in found["steps"]] == [False, False, True]


def test_without_a_scan_a_claim_is_enough_and_the_goal_is_ended(
    robot: Robot, start: Callable[..., NodeProcess], walk
) -> None:
    from tasktp_ros.msg import SearchStatus, TaskCategories

    root, target = walk
    wanted = robot.listen(TaskCategories, "task_categories", LATCHED)
    results = robot.listen(SearchStatus, "search_result")
    words = ("-p", f"vocabulary:={find_model(MODEL)}")  # whichever model is the default
    start(["-m", "tasktp_ros.nodes.task_manager"], "-p", "autostart:=true", *words)
    start(["-m", "tasktp_ros.nodes.perception"], "-p", "autostart:=true", "-p", f"model:={MODEL}")
    searcher = start(["-m", "tasktp_ros.nodes.searcher"], "-p", f"target:={target}", *words)
    start(["-m", "tasktp_ros.nodes.player"], "-p", f"source:={Scan(root / 'scans' / 'scene0001_00').folder}",
          "-p", "every:=90", "-p", "results:=search_steps", "-p", "results_type:=tasktp_ros/msg/SearchStatus")  # fmt: skip
    result = results.next(60.0)
    assert result.located and result.finished and result.claimed and result.category == target and result.runs >= 1
    eventually(lambda: not searcher.running, "the searcher ends")
    assert "located on image" in searcher.log
    over = wanted.until(lambda task: not task.names and task.revision > 1, "everything is wanted again")
    assert over.revision == 3, "everything, the goal, everything"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (["target:=unicorn"], "parameter target is 'unicorn'"),
        (["target:=cup", "vocabulary:=birds"], "parameter vocabulary"),
        (["target:=cup", "criterion:=verified"], "set the parameter scan"),
        (["target:=cup", "criterion:=perhaps"], "parameter criterion"),
        (["target:=cup", "scan:=/nowhere/scans/scene0000_00"], "label table"),
        (["target:=5"], "parameter target is 5: expected a text"),
        (["target:=cup", "wait:=.nan"], "parameter wait is nan: expected 0 or more"),
        (["target:=cup", "narrow:=1"], "parameter narrow is 1: expected true or false"),
        (["target:=cup", "summary:=/proc/x/y.json"], "cannot write to /proc/x/y.json"),
    ],
)
def test_bad_parameters_are_one_sentence(start: Callable[..., NodeProcess], parameters: list[str], said: str) -> None:
    given = [part for parameter in parameters for part in ("-p", parameter)]
    searcher = start(["-m", "tasktp_ros.nodes.searcher"], *given)
    assert searcher.process.wait(30) == 2
    assert said in searcher.log and "Traceback" not in searcher.log


def test_a_searcher_that_nobody_answers_says_so(start: Callable[..., NodeProcess]) -> None:
    searcher = start(["-m", "tasktp_ros.nodes.searcher"], "-p", "target:=cup", "-p", "wait:=1.0")
    assert searcher.process.wait(30) == 1
    assert "is the task manager active?" in searcher.log


def test_a_searcher_whom_no_perception_serves_says_so(start: Callable[..., NodeProcess]) -> None:
    start(["-m", "tasktp_ros.nodes.task_manager"], "-p", "autostart:=true")
    searcher = start(["-m", "tasktp_ros.nodes.searcher"], "-p", "target:=cup", "-p", "wait:=5.0")
    assert searcher.process.wait(30) == 1
    assert "is perception active?" in searcher.log


def test_a_search_whose_camera_has_gone_ends_and_says_so(start: Callable[..., NodeProcess]) -> None:
    start(model="fake", autostart=True).says("ready after")
    searcher = start(["-m", "tasktp_ros.nodes.searcher"], target="cup", narrow=False, wait=3)
    assert searcher.process.wait(30) == 1
    assert "nobody has sent images on /image" in searcher.log and "not located on 0 images" in searcher.log


def test_results_that_cannot_be_read_are_answered_and_passed_over(
    robot: Robot, start: Callable[..., NodeProcess]
) -> None:
    from tasktp_ros.msg import PruningStats, SearchStatus

    robot.listen(Image, "image")
    detections = robot.speaker(Detection2DArray, "detections")
    instances = robot.speaker(Image, "instances")
    pruning = robot.speaker(PruningStats, "pruning")
    robot.speaker(Image, "image")
    searcher = start(["-m", "tasktp_ros.nodes.searcher"], target="cup", narrow=False, wait=20)
    searcher.says("searching for cup")
    answers = robot.listen(SearchStatus, "search_steps").connected()

    def look(second: int, found: Detection2DArray, pixels: Image) -> None:
        for message in (found, pixels, statistics := PruningStats()):
            message.header.stamp.sec = second
        for speaker, message in ((detections, found), (pruning, statistics), (instances, pixels)):
            speaker.publish(message)

    cut = Image(height=4, width=4, step=8, encoding="16UC1", data=b"")
    eventually(lambda: look(1, Detection2DArray(), cut) or answers.heard(), "an answer to results that cannot be read")
    assert "cannot be read" in searcher.log and searcher.running
    seen = Detection2DArray(detections=[Detection2D(results=[ObjectHypothesisWithPose()])])
    seen.detections[0].results[0].hypothesis.class_id = "cup"
    seen.detections[0].results[0].hypothesis.score = 0.9
    look(2, seen, Image(height=4, width=4, step=8, encoding="16UC1", data=bytes(32)))
    assert searcher.process.wait(30) == 0
    assert "cup located on image 1" in searcher.log
