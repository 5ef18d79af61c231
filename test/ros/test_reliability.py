# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Images are read reliably, or as a sender or the user wants it."""

import time
from collections.abc import Callable

import pytest
from harness import BEST_EFFORT, FAKE_PERCEPTION, DiagnosticsListener, NodeProcess, Robot, connect, eventually
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

Start = Callable[..., NodeProcess]


def test_a_reliable_sender_changes_nothing_and_a_best_effort_one_is_followed_at_once(
    robot: Robot, start: Start
) -> None:
    process = start((FAKE_PERCEPTION,), "-r", "__ns:=/offer", model="fake", autostart=True, diagnostics_period=60.0)
    process.says("ready after")
    eventually(lambda: _reads(robot, "/offer/image", ReliabilityPolicy.RELIABLE), "reliable before anybody sends")
    answers = robot.listen(Detection2DArray, "/offer/detections").connected()
    with robot.camera("/offer/image") as camera:
        connect(camera, answers)
        assert "from now on" not in process.log
        careless = robot.speaker(Image, "/offer/image", BEST_EFFORT)
        eventually(
            lambda: _reads(robot, "/offer/image", ReliabilityPolicy.BEST_EFFORT), "best effort, as one sender is"
        )
        for sender in (camera, careless):
            connect(sender, answers)
        robot.silence(careless)
    assert "Traceback" not in process.log and "incompatible" not in process.log
    answers.close()


def test_images_are_read_reliably_again_when_the_best_effort_sender_is_gone(robot: Robot, start: Start) -> None:
    process = start((FAKE_PERCEPTION,), "-r", "__ns:=/again", model="fake", autostart=True, diagnostics_period=0.1)
    process.says("ready after")
    careless = robot.speaker(Image, "/again/image", BEST_EFFORT)
    eventually(lambda: _reads(robot, "/again/image", ReliabilityPolicy.BEST_EFFORT), "best effort")
    robot.silence(careless)
    eventually(lambda: _reads(robot, "/again/image", ReliabilityPolicy.RELIABLE), "reliable again")


@pytest.mark.parametrize("asked", ["best_effort", "often"])
def test_the_reliability_can_be_said(robot: Robot, start: Start, asked: str) -> None:
    override = ("-p", f"qos_overrides./said/image.subscription.reliability:={asked}")
    process = start(
        (FAKE_PERCEPTION,), "-r", "__ns:=/said", *override, model="fake", autostart=True, diagnostics_period=0.1
    )
    if asked == "often":
        process.says("is 'often': expected one of auto, reliable, best_effort, system_default")
        assert "Traceback" not in process.log
        return
    process.says("ready after")
    with robot.camera("/said/image") as camera:
        answers = robot.listen(Detection2DArray, "/said/detections").connected()
        connect(camera, answers)
        time.sleep(0.5)  # five looks at the sender
        (reader,) = robot.node.get_subscriptions_info_by_topic("/said/image")
        assert reader.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        answers.close()


def test_a_best_effort_sender_is_named_where_reliability_was_asked_for(
    robot: Robot, start: Start, diagnostics: DiagnosticsListener
) -> None:
    override = ("-p", "qos_overrides./firm/image.subscription.reliability:=reliable")
    process = start(
        (FAKE_PERCEPTION,), "-r", "__ns:=/firm", *override, model="fake", autostart=True, diagnostics_period=0.1
    )
    process.says("ready after")
    careless = robot.speaker(Image, "/firm/image", BEST_EFFORT)
    diagnostics.says("camera image", "/robot and this node cannot agree on the QoS of /firm/image")
    assert _reads(robot, "/firm/image", ReliabilityPolicy.RELIABLE)
    robot.silence(careless)


def _reads(robot: Robot, topic: str, reliability: ReliabilityPolicy) -> bool:
    readers = robot.node.get_subscriptions_info_by_topic(topic)
    return [reader.qos_profile.reliability for reader in readers] == [reliability]
