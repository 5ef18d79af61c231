# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Mode segment: a goal in words gets its mask under the image's header, a goal of categories gets detections."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from harness import Listener, NodeProcess, Robot, connect, eventually, picture
from sensor_msgs.msg import Image
from tasktp_ros.msg import PruningStats, TaskGoal
from vision_msgs.msg import Detection2DArray

from tasktp_ros.errors import TaskError
from tasktp_ros.nodes.perception.segmentation import GoalSegmentation
from tasktp_ros.runtime.segmenter_files import SegmenterCard, save_segmenter
from tasktp_ros.segmenters import GoalSegmenter
from tasktp_ros.tasks.vocabulary import ROOMS

Start = Callable[..., NodeProcess]


def goal(goal_id: str, text: str = "", categories: tuple[str, ...] = (), seconds: float = 0.0, **more: Any) -> TaskGoal:
    message = TaskGoal(id=goal_id, text=text, categories=list(categories), **more)
    message.time_to_live.sec, message.time_to_live.nanosec = int(seconds), int(seconds % 1 * 1e9)
    return message


class Prepares:
    """Looks like a TaskSegmenter that knows one sentence."""

    def prepare(self, text: str) -> SimpleNamespace:
        if "cup" not in text:
            raise TaskError(f"nothing is known of {text!r}")
        return SimpleNamespace(sentence=text)


def test_which_goals_are_segmented_and_until_when():
    now = [100.0]
    follower = GoalSegmentation(Prepares(), clock=lambda: now[0])
    assert follower.goal() is None
    assert follower.follow(goal("a", "fetch a cup")) == ""
    assert follower.goal().goal_id == "a" and follower.goal().revision == 1
    assert "nothing is known" in follower.follow(goal("b", "sing")) and follower.goal().goal_id == "a"
    follower.follow(goal("c", action=TaskGoal.CANCEL))
    assert follower.goal().goal_id == "a", "another goal was cancelled"
    follower.follow(goal("a", action=TaskGoal.CANCEL))
    assert follower.goal() is None
    follower.follow(goal("d", "fetch a cup", seconds=2.5))
    now[0] = 102.4
    assert follower.goal().goal_id == "d"
    now[0] = 102.5
    assert follower.goal() is None
    follower.follow(goal("e", "fetch a cup"))
    follower.follow(goal("f", "fetch a cup", ("bed",)))
    assert follower.goal() is None, "a goal of categories is the detector's, whatever it says in words"


@pytest.fixture(scope="module")
def segmenter_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("segmenter") / "small.safetensors"
    save_segmenter(
        path, GoalSegmenter("sam_nano", len(ROOMS)), SegmenterCard("small", "sam_nano", ROOMS, ((4, 0.5), (6, 0.8)))
    )
    return path


def test_words_get_a_mask_and_categories_get_detections(robot: Robot, start: Start, segmenter_file: Path) -> None:
    start(model="fake", autostart=True, mode="segment", segmenter=segmenter_file, device="cpu").says("ready after")
    goals = robot.speaker(TaskGoal, "task_goal")
    masks, detections, statistics = (
        robot.listen(kind, topic).connected()
        for kind, topic in ((Image, "goal_mask"), (Detection2DArray, "detections"), (PruningStats, "pruning"))
    )
    with robot.camera() as camera:
        connect(camera, detections, statistics)
        send_until_answered(goals, goal("g1", "wash the cups"), camera, masks)
        sent = picture(7, height=24, width=32)
        camera.publish(sent)
        # Frames of before may still be answered.
        mask = masks.until(lambda message: message.header == sent.header, "the mask under its image's header")
        found = statistics.until(lambda message: message.header == sent.header, "its statistics")
        assert (mask.encoding, mask.height, mask.width, mask.step) == ("mono8", 24, 32, 32)
        assert set(np.unique(np.frombuffer(mask.data, np.uint8))) <= {0, 255}
        assert found.task_id == "g1" and found.model == "small" and found.total_tokens == 400
        assert list(found.kept_tokens) == [200, 200, 80, 80]
        assert all(message.header != sent.header for message in detections.heard())
        send_until_answered(goals, goal("g2", categories=("cup",)), camera, detections)
    for listener in (masks, detections, statistics):
        listener.close()
    robot.silence(goals)


def send_until_answered(goals: Any, message: TaskGoal, camera: Any, results: Listener) -> None:
    """Send a goal and a frame until a frame is answered in its way: the goal's reader may be found a moment later."""

    def answered() -> bool:
        goals.publish(message)
        camera.publish(picture(1, height=24, width=32))
        time.sleep(0.1)
        return bool(results.heard())

    eventually(answered, f"{results.topic} after goal {message.id}")


def test_without_a_segmenter_the_mode_is_refused_in_one_sentence(start: Start) -> None:
    process = start(model="fake", autostart=True, mode="segment")
    process.says("mode segment needs the parameter segmenter")
