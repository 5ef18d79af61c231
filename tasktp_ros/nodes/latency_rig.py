# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Cameras and a listener around a perception node: sends images on time and notes how old the results are."""

import threading
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from tasktp_ros.evaluation.latency import Answer
from tasktp_ros.msg import PruningStats, TaskCategories
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.conversions import fill_image

FRAME = "camera"


def camera_names(count: int) -> list[str]:
    """Image topics of so many cameras."""
    return [f"camera{number}/image" for number in range(count)]


class LatencyRig:
    """A robot's cameras and its reader of results, inside `with`.

    Args:
        cameras: how many.
        images: (H, W, 3) uint8 RGB, sent in turn.
    """

    def __init__(self, cameras: int, images: Sequence[NDArray[np.uint8]]) -> None:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("latency")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._messages = [fill_image(Image(), Header(frame_id=FRAME), "rgb8", image) for image in images]
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._arrived: list[dict[int, int]] = [{} for _ in range(cameras)]
        self._told: list[dict[int, tuple[float, float, int]]] = [{} for _ in range(cameras)]
        self._answers: list[Answer] = []
        self._began = time.time_ns()
        self._publishers = [self._node.create_publisher(Image, name, qos.camera()) for name in camera_names(cameras)]
        self._tasks = self._node.create_publisher(TaskCategories, "task_categories", qos.LATCHED)
        prefixes = [f"{name}/" for name in camera_names(cameras)] if cameras > 1 else [""]
        for number, prefix in enumerate(prefixes):
            listen = self._node.create_subscription
            listen(Detection2DArray, f"{prefix}detections", partial(self._on_detections, number), qos.RESULTS)
            listen(PruningStats, f"{prefix}pruning", partial(self._on_statistics, number), qos.RESULTS)
            listen(Image, f"{prefix}instances", lambda message: None, qos.IMAGES)
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def __enter__(self) -> "LatencyRig":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()
        rclpy.try_shutdown()

    def connected(self) -> bool:
        """Whether the node reads every camera."""
        return all(publisher.get_subscription_count() for publisher in self._publishers)

    def set_task(self, names: Sequence[str], revision: int) -> None:
        """Say what to look for; none = everything."""
        self._tasks.publish(TaskCategories(task_id="latency", names=list(names), revision=revision))

    def send(self, rate: float, seconds: float) -> list[int]:
        """Send images of every camera at a rate, the cameras one after the other within a period; return how many of each.

        A camera that is too late for a frame leaves it out, as real ones do, and never sends two at once.
        """
        cameras = len(self._publishers)
        begin, sent = time.monotonic(), [0] * cameras
        due = [begin + number / (rate * cameras) for number in range(cameras)]
        while (camera := min(range(cameras), key=due.__getitem__)) is not None and due[camera] < begin + seconds:
            time.sleep(max(0.0, due[camera] - time.monotonic()))
            message = self._messages[sum(sent) % len(self._messages)]
            stamp = time.time_ns()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            self._publishers[camera].publish(message)
            sent[camera] += 1
            missed = max(0.0, time.monotonic() - due[camera]) // (1 / rate)
            due[camera] += (1 + missed) / rate
        return sent

    def now(self) -> float:
        """Milliseconds since the beginning, as answers tell."""
        return (time.time_ns() - self._began) / 1e6

    def take_answers(self) -> list[Answer]:
        """What has been answered since the last call."""
        with self._lock:
            answers, self._answers = self._answers, []
        return answers

    def _spin(self) -> None:
        while not self._stopping.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _on_detections(self, camera: int, message: Detection2DArray) -> None:
        stamp = _stamp(message.header)
        self._arrived[camera][stamp] = time.time_ns()
        self._note(camera, stamp)

    def _on_statistics(self, camera: int, message: PruningStats) -> None:
        stamp = _stamp(message.header)
        told = float(message.latency_milliseconds), float(message.detect_milliseconds), int(message.dropped_frames)
        self._told[camera][stamp] = told
        self._note(camera, stamp)

    def _note(self, camera: int, stamp: int) -> None:
        """Note a frame's answer once both of its messages are there, whichever came first."""
        if stamp not in self._arrived[camera] or stamp not in self._told[camera]:
            return
        arrived, (node, detect, dropped) = self._arrived[camera].pop(stamp), self._told[camera].pop(stamp)
        at, age = (arrived - self._began) / 1e6, (arrived - stamp) / 1e6
        with self._lock:
            self._answers.append(Answer(camera, at, age, node, detect, dropped))


def _stamp(header: Header) -> int:
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)
