# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The lifecycle through the real services, asked for by another process."""

from collections.abc import Callable

from harness import NodeProcess, Robot, connect, eventually, picture
from vision_msgs.msg import Detection2DArray

REAL = ("-m", "tasktp_ros.nodes.perception")
Start = Callable[..., NodeProcess]


def cycle(robot: Robot, node: str) -> None:
    for transition, state in [
        ("configure", "inactive"),
        ("activate", "active"),
        ("deactivate", "inactive"),
        ("activate", "active"),
        ("deactivate", "inactive"),
        ("cleanup", "unconfigured"),
    ]:
        assert robot.transition(transition, node), transition
        assert robot.state(node) == state


def test_all_transitions_twice(robot: Robot, start: Start) -> None:
    start(model="fake")
    assert robot.state() == "unconfigured"
    cycle(robot, "perception")
    cycle(robot, "perception")


def test_all_transitions_of_the_task_manager_twice(robot: Robot, start: Start) -> None:
    start(["-m", "tasktp_ros.nodes.task_manager"])
    cycle(robot, "task_manager")
    cycle(robot, "task_manager")


def test_a_transition_that_the_state_does_not_have_is_refused_and_survived(robot: Robot, start: Start) -> None:
    process = start(model="fake")
    assert not robot.transition("activate")
    assert robot.transition("configure")
    assert not robot.transition("configure")
    assert robot.state() == "inactive"
    process.says("not possible in state inactive")


def test_a_missing_model_is_a_logged_failure_and_a_later_configure_works(robot: Robot, start: Start) -> None:
    process = start(model="missing")
    for _ in range(2):
        assert not robot.transition("configure")
        assert robot.state() == "unconfigured"
    assert process.log.count("configure failed: there is no model 'missing' in /nowhere") == 2
    assert "Traceback" not in process.log
    assert robot.set(model="fake") == ""
    assert robot.transition("configure") and robot.transition("activate")


def test_a_missing_weights_file_of_the_real_detector_is_a_logged_failure(robot: Robot, start: Start) -> None:
    process = start(REAL, model="/nowhere/none.safetensors")
    assert not robot.transition("configure")
    assert "/nowhere/none.safetensors" in process.log and "Traceback" not in process.log
    assert robot.state() == "unconfigured"


def test_an_unknown_category_in_the_parameters_fails_configure_with_its_name(robot: Robot, start: Start) -> None:
    process = start(model="fake", categories="[unicorn]")
    assert not robot.transition("configure")
    assert "unknown categories 'unicorn'" in process.log
    assert robot.set(categories=["cup"]) == ""
    assert robot.transition("configure")


def test_the_model_cannot_be_changed_while_it_is_loaded(robot: Robot, start: Start) -> None:
    start(model="fake")
    assert robot.transition("configure")
    assert "can only be set while the node is unconfigured" in robot.set(model="other")
    assert robot.get("model") == "fake"


def test_fifty_activations_lose_neither_frames_nor_threads(robot: Robot, start: Start) -> None:
    process = start(model="fake")
    detections = robot.listen(Detection2DArray, "detections")
    robot.transition("configure")
    detections.connected()
    threads = 0
    for number in range(1, 51):
        assert robot.transition("activate")
        with robot.camera() as camera:
            connect(camera, detections)
            for step in range(3):
                camera.publish(picture(1000 * number + step))
                assert detections.next().header.stamp.sec == 1000 * number + step
        assert robot.transition("deactivate")
        if number == 5:
            threads = process.threads()
    assert process.threads() <= threads
    detections.close()


def test_nothing_is_detected_while_inactive(robot: Robot, start: Start) -> None:
    start(model="fake", autostart=True)
    eventually(lambda: robot.state() == "active", "active")
    assert robot.transition("deactivate")
    assert robot.node.count_subscribers("image") == 0 or eventually(
        lambda: robot.node.count_subscribers("image") == 0, "no more reader of images"
    )


def test_memory_returns_after_cleanup(robot: Robot, start: Start) -> None:
    """The first round also loads torch and its kernels, which stay; after it, no round may leave anything behind."""
    process = start(REAL, model="nano-untrained")
    detections = robot.listen(Detection2DArray, "detections")
    with_model, after = [], []
    for _ in range(4):
        assert robot.transition("configure") and robot.transition("activate")
        with robot.camera() as camera:
            connect(camera, detections)
        with_model.append(process.resident_megabytes())
        assert robot.transition("deactivate") and robot.transition("cleanup")
        after.append(process.resident_megabytes())
    assert after[-1] <= after[0] * 1.05
    model = with_model[-1] - after[-1]
    growth = min(after[2:]) - after[1]  # the smallest: an allocator keeps a page more in some rounds
    assert growth < model / 2, f"with the model {with_model}, after cleanup {after} MB"
    detections.close()
