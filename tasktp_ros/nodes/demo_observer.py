# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The demonstration's eye and mouth on the ROS graph: sends task goals, keeps what comes back, takes pictures.

The player waits until a frame is acknowledged here, so whatever is to change between two frames, the task or who
listens, changes while nothing is under way.

Pictures need topics that perception only fills while someone listens, so they are subscribed to for single frames;
those frames are marked, because drawing for a spectator costs time that a robot would not spend.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from tasktp_ros.msg import PruningStats, TaskCategories, TaskGoal
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.conversions import image_to_rgb
from tasktp_ros.nodes.perception.results import read_detections, read_pixels

PACE_TOPIC = "demo_pace"
"""Where frames are acknowledged, std_msgs/Header."""
CONNECT_SECONDS = 5.0


@dataclass
class FrameResult:
    """What arrived for one frame; times in milliseconds.

    stamp_to_result: from the image's stamp to the arrival of its detections.  overhead: the perception node's share,
    message received to detections published without detecting.  posed: a picture was being taken.
    """

    stamp_ns: int
    stamp_to_result: float
    arrived: float
    detections: int
    posed: bool
    task_id: str = ""
    categories: list[str] = field(default_factory=list)
    kept_tokens: list[int] = field(default_factory=list)
    total_tokens: int = 0
    detect: float = 0.0
    overhead: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    dropped: int = 0
    model: str = ""
    reach: str = ""
    complete: bool = False

    @property
    def kept_share(self) -> float:
        """Share of tokens that the gated blocks ran, mean over the blocks; 1 where there is no gate."""
        if not self.kept_tokens or not self.total_tokens:
            return 1.0
        return float(np.mean(self.kept_tokens)) / self.total_tokens


@dataclass
class Picture:
    """One frame to look at; fits `tasktp_ros.runtime.drawing`. image (H, W, 3) uint8 RGB, the rest in its pixels."""

    image: NDArray[np.uint8]
    token_mask: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    names: list[str]

    def instance_map(self) -> NDArray[np.uint16]:
        """(H, W) uint16, k = detection k - 1, 0 = none."""
        return self.instances

    def token_mask_image(self) -> NDArray[np.uint8]:
        """(H, W) uint8, share of the gated blocks that kept the pixel's token times 255."""
        return self.token_mask


class DemoObserver:
    """A node that is spun by its owner."""

    def __init__(self) -> None:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("demo")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self.frames: list[FrameResult] = []
        self._waiting: deque[FrameResult] = deque()
        self._by_stamp: dict[int, FrameResult] = {}
        self._early_stats: dict[int, PruningStats] = {}
        self._goals = self.node.create_publisher(TaskGoal, "task_goal", qos.GOALS)
        self._pace = self.node.create_publisher(Header, PACE_TOPIC, qos.RESULTS)
        self._results = (
            self.node.create_subscription(Detection2DArray, "detections", self._on_detections, qos.RESULTS),
            self.node.create_subscription(PruningStats, "pruning", self._on_stats, qos.RESULTS),
        )
        self.node.create_subscription(TaskCategories, "task_categories", self._on_task, qos.LATCHED)
        self.task_id: str | None = None
        self._picture_topics: list[Any] = []
        self._film: dict[str, dict[int, Image]] = {}
        self._detections: dict[int, Detection2DArray] = {}

    def spin(self, seconds: float, until: Callable[[], Any] = lambda: False) -> Any:
        """Handle what arrives within the given time, or until something holds, and return that."""
        deadline = time.monotonic() + seconds
        while not (value := until()) and (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)
        return value

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        rclpy.try_shutdown()

    def send_goal(self, goal_id: str, text: str, categories: list[str], priority: int) -> None:
        """Start a goal; it outranks those of lower priority."""
        goal = TaskGoal(id=goal_id, text=text, categories=categories, action=TaskGoal.START, priority=priority)
        self._goals.publish(goal)

    def connected(self) -> bool:
        """Whether both kinds of results are connected to a sender: what it sends before that comes late or never."""
        return all(qos.connected_publishers(self.node, results) > 0 for results in self._results)

    def next_frame(self) -> FrameResult | None:
        """The next frame that all results have arrived for and that the player still waits for."""
        return self._waiting.popleft() if self._waiting else None

    def acknowledge(self, frame: FrameResult) -> None:
        """Let the player send the frame after this one."""
        self._pace.publish(self._detections[frame.stamp_ns].header)

    @property
    def posing(self) -> bool:
        """Whether pictures are being listened for."""
        return bool(self._picture_topics)

    def pose(self) -> None:
        """Listen for pictures from the next frame on."""
        self._film = {"image": {}, "token_mask": {}, "instances": {}}
        for topic, profile in (("image", qos.IMAGES), ("instances", qos.IMAGES), ("token_mask", qos.PICTURES)):
            keep = self._film[topic]

            def remember(message: Image, keep: dict[int, Image] = keep) -> None:
                keep[_stamp(message)] = message

            self._picture_topics.append(self.node.create_subscription(Image, topic, remember, profile))
        topics = self._picture_topics
        self.spin(CONNECT_SECONDS, lambda: all(qos.connected_publishers(self.node, topic) > 0 for topic in topics))
        self.spin(qos.SETTLE_SECONDS)

    def picture(self, frame: FrameResult, seconds: float) -> Picture | None:
        """The picture of a frame once its parts have arrived; None if they do not within the given time."""
        arrived = self.spin(seconds, lambda: all(frame.stamp_ns in part for part in self._film.values()))
        return self._assemble(frame.stamp_ns) if arrived else None

    def stop_posing(self) -> None:
        """Let go of the picture topics."""
        for subscription in self._picture_topics:
            self.node.destroy_subscription(subscription)
        self._picture_topics = []

    def _assemble(self, stamp_ns: int) -> Picture:
        film = self._film
        names, scores, boxes = read_detections(self._detections[stamp_ns])
        return Picture(
            image=np.array(image_to_rgb(film["image"][stamp_ns])),
            token_mask=read_pixels(film["token_mask"][stamp_ns], np.uint8),
            instances=read_pixels(film["instances"][stamp_ns], np.uint16),
            boxes=boxes,
            scores=scores,
            names=names,
        )

    def _on_task(self, message: TaskCategories) -> None:
        self.task_id = message.task_id

    def _on_detections(self, message: Detection2DArray) -> None:
        stamp_ns = _stamp(message)
        latency = (time.time_ns() - stamp_ns) / 1e6
        result = FrameResult(stamp_ns, latency, time.monotonic(), len(message.detections), self.posing)
        self.frames.append(result)
        self._by_stamp[stamp_ns] = result
        self._detections[stamp_ns] = message
        if stamp_ns in self._early_stats:
            self._on_stats(self._early_stats.pop(stamp_ns))

    def _on_stats(self, message: PruningStats) -> None:
        stamp_ns = _stamp(message)
        result = self._by_stamp.get(stamp_ns)
        if result is None:
            self._early_stats[stamp_ns] = message
            return
        result.task_id = message.task_id
        result.categories = list(message.categories)
        result.kept_tokens = [int(count) for count in message.kept_tokens]
        result.total_tokens = int(message.total_tokens)
        result.detect = float(message.detect_milliseconds)
        result.overhead = float(message.latency_milliseconds - message.detect_milliseconds)
        result.stages = {
            name: float(value) for name, value in zip(message.stage_names, message.stage_milliseconds, strict=True)
        }
        result.dropped = int(message.dropped_frames)
        result.model, result.reach = message.model, message.reach
        result.complete = True
        self._waiting.append(result)


def _stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)
