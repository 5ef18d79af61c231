# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which topic a camera's images are read from: the named one, or the compressed one beside it; and how cameras are named."""

import array
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
from harness import FAKE_PERCEPTION, DiagnosticsListener, Listener, NodeProcess, Robot, connect, eventually, picture
from sensor_msgs.msg import CompressedImage, Image
from tasktp_ros.msg import PruningStats
from vision_msgs.msg import Detection2DArray

Start = Callable[..., NodeProcess]


@pytest.fixture
def perceive(start: Start) -> Callable[..., NodeProcess]:
    """Start an active node in a namespace, with short times."""

    def perceive(namespace: str, **parameters: Any) -> NodeProcess:
        common = {"model": "fake", "autostart": True, "diagnostics_period": 0.1, "no_frames_after": 0.3}
        process = start((FAKE_PERCEPTION,), "-r", f"__ns:=/{namespace}", **common, **parameters)
        process.says("ready after")
        return process

    return perceive


def jpeg(second: int = 4) -> CompressedImage:
    message = CompressedImage(format="jpeg", header=picture(second).header)
    message.data = array.array("B", cv2.imencode(".jpg", np.full((24, 32, 3), 99, np.uint8))[1].tobytes())
    return message


def send_until_answered(camera: Any, message: Any, answers: Listener) -> None:
    def answered() -> bool:
        camera.publish(message)
        time.sleep(0.02)
        return any(answer.header == message.header for answer in answers.heard())

    eventually(answered, f"an answer to what is sent on {camera.topic}")


def test_compressed_images_beside_the_named_topic_are_read(robot: Robot, perceive: Any) -> None:
    process = perceive("beside")
    answers = robot.listen(Detection2DArray, "/beside/detections").connected()
    with robot.camera("/beside/image/compressed", CompressedImage) as camera:
        send_until_answered(camera, jpeg(), answers)
        process.says("/beside/image is read from /beside/image/compressed as sensor_msgs/msg/CompressedImage")
    answers.close()


def test_raw_images_beside_a_topic_that_is_named_compressed_are_read(robot: Robot, perceive: Any) -> None:
    perceive("rawer", cameras="[image/compressed]")
    answers = robot.listen(Detection2DArray, "/rawer/detections").connected()
    with robot.camera("/rawer/image", Image) as camera:
        send_until_answered(camera, picture(3), answers)
    answers.close()


def test_a_raw_topic_that_is_offered_and_silent_is_left_for_a_live_compressed_one_and_then_kept_to(
    robot: Robot, perceive: Any
) -> None:
    perceive("silent")
    answers = robot.listen(Detection2DArray, "/silent/detections").connected()
    with robot.camera("/silent/image") as raw, robot.camera("/silent/image/compressed", CompressedImage) as live:
        send_until_answered(live, jpeg(), answers)
        numbers = iter(range(100, 100_000))

        def raw_is_left() -> bool:
            live.publish(jpeg(next(numbers)))
            time.sleep(0.02)
            return raw.get_subscription_count() == 0

        eventually(raw_is_left, "only the topic that sends is read")
    answers.close()


def test_a_frame_that_comes_both_ways_is_answered_once(robot: Robot, perceive: Any) -> None:
    perceive("both")
    answers = robot.listen(Detection2DArray, "/both/detections").connected()
    with robot.camera("/both/image") as raw, robot.camera("/both/image/compressed", CompressedImage) as small:
        send_until_answered(raw, picture(1), answers)
        for second in range(10, 20):
            raw.publish(picture(second))
            small.publish(jpeg(second))
            assert answers.until(lambda answer: answer.header.stamp.sec >= 10, "an answer").header.stamp.sec == second
    answers.close()


@pytest.mark.parametrize(
    ("transport", "named", "beside", "message_type"),
    [("raw", "image", "image/compressed", CompressedImage), ("compressed", "image/compressed", "image", Image)],
)
def test_images_that_the_transport_rules_out_are_named(
    robot: Robot,
    perceive: Any,
    diagnostics: DiagnosticsListener,
    transport: str,
    named: str,
    beside: str,
    message_type: Any,
) -> None:
    perceive("strict", transport=transport, cameras=f"[{named}]")
    with robot.camera(f"/strict/{beside}", message_type, readers=0):
        report = diagnostics.says("strict/perception: camera " + named, f"is sent on /strict/{beside}, but")
        assert f"transport is {transport}" in report.message and "no frames on" in report.message


@pytest.mark.parametrize("name", ["/front-cam/image", "front//image", "1st/image", "image/", "x" * 300, "front cam"])
def test_a_camera_that_cannot_be_a_topic_is_named(robot: Robot, start: Start, name: str) -> None:
    process = start((FAKE_PERCEPTION,), model="fake", cameras=f"['{name}']")
    assert not robot.transition("configure")
    assert f"'{name[:256]}' cannot be the name of a topic" in process.log and "Traceback" not in process.log


def test_two_names_of_one_topic_are_one_camera(robot: Robot, perceive: Any) -> None:
    perceive("twice", cameras="[image, image, /twice/image]", enabled_cameras="[/twice/image]")
    answers = robot.listen(Detection2DArray, "/twice/detections").connected()
    with robot.camera("/twice/image") as camera:
        connect(camera, answers)
        assert robot.node.count_subscribers("/twice/image") == 1
        assert robot.set("/twice/perception", enabled_cameras=[""]) == ""
        eventually(lambda: camera.get_subscription_count() == 0, "the camera is not read")
    answers.close()


def test_results_of_an_absolute_camera_stay_in_the_nodes_namespace(robot: Robot, perceive: Any) -> None:
    perceive("home", cameras="[/front/image, rear/image]")
    statistics = robot.listen(PruningStats, "/home/front/image/pruning").connected()
    with robot.camera("/front/image") as camera:
        connect(camera, statistics)
    rear = robot.listen(PruningStats, "/home/rear/image/pruning").connected()
    for listener in (statistics, rear):
        listener.close()


def test_cameras_whose_results_would_have_the_same_names_are_refused(robot: Robot, start: Start) -> None:
    process = start((FAKE_PERCEPTION,), "-r", "__ns:=/same", model="fake", cameras="[/front, front]")
    assert not robot.transition("configure", "/same/perception")
    process.says("the results of cameras '/front' and 'front' would have the same names")


def test_without_a_clock_diagnostics_name_it_and_the_way_out(
    robot: Robot, perceive: Any, diagnostics: DiagnosticsListener
) -> None:
    from rosgraph_msgs.msg import Clock

    process = perceive("sim", use_sim_time=True)
    answers = robot.listen(Detection2DArray, "/sim/detections").connected()
    report = diagnostics.says("sim/perception: clock", "nobody sends on /clock; start the simulator")
    assert report.level == b"\x01" and "use_sim_time to false" in report.message
    with robot.camera("/sim/image") as camera:
        connect(camera, answers)
        fresh = picture(int(time.time()))
        camera.publish(fresh)
        assert "stale" not in diagnostics.says("sim/perception: camera image", "").message
    clock = robot.speaker(Clock, "/clock")
    diagnostics.says("sim/perception: clock", "1 on /clock have sent none yet")
    tick = Clock()
    tick.clock.sec = 100
    ticking = partial(clock.publish, tick)
    eventually(lambda: ticking() or diagnostics.says("sim/perception: clock", "comes from /clock", 1.0), "a clock")
    robot.silence(clock)
    assert "Traceback" not in process.log
    answers.close()
