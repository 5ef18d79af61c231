# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""One camera of the perception node: its subscription, its publishers and its counters."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from tasktp_ros.errors import InputError
from tasktp_ros.msg import PruningStats
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.conversions import compressed_to_rgb, image_to_rgb
from tasktp_ros.nodes.parameters import resolve_topic
from tasktp_ros.nodes.perception.health import CameraHealth
from tasktp_ros.nodes.perception.image_reader import ImageReader


@dataclass(frozen=True)
class Frame:
    """A camera message on its way to the detector; `received` is steady time in seconds."""

    camera: "Camera"
    message: Image | CompressedImage
    received: float

    def pixels(self) -> NDArray[np.uint8]:
        """Return the (H, W, 3) uint8 RGB pixels; raises InputError with the reason where they cannot be read."""
        if isinstance(self.message, CompressedImage):
            return compressed_to_rgb(self.message)
        return image_to_rgb(self.message)


class Camera:
    """Topics of one camera.

    Args:
        node: makes the topics.
        name: the image topic, as in parameter `cameras`.
        prefix: in front of the names of the results; empty for the only camera.
        transport: "raw", "compressed", or "auto" to follow the topic's publishers.
        take: called with each frame on the executor's thread.

    Raises:
        InputError: an unknown reliability is asked for.
    """

    def __init__(
        self, node: LifecycleNode, name: str, prefix: str, transport: str, take: Callable[[Frame], None]
    ) -> None:
        self.name = name
        self.health = CameraHealth()
        self.reader = ImageReader(node, name, transport, lambda message: take(Frame(self, message, time.monotonic())))
        self.topic = self.reader.topic
        self._node = node
        self.detections = node.create_lifecycle_publisher(Detection2DArray, prefix + "detections", qos.RESULTS)
        self.pruning = node.create_lifecycle_publisher(PruningStats, prefix + "pruning", qos.RESULTS)
        self.instances = node.create_lifecycle_publisher(Image, prefix + "instances", qos.IMAGES)
        self.token_mask = node.create_lifecycle_publisher(Image, prefix + "token_mask", qos.PICTURES)
        self.overlay = node.create_lifecycle_publisher(Image, prefix + "overlay", qos.PICTURES)

    def listen(self) -> None:
        """Read the camera's images, unless already done."""
        if not self.reader.listening:
            self.reader.start()
            self.health.listen(time.monotonic())

    def ignore(self) -> None:
        """Read them no more."""
        if self.reader.listening:
            self.reader.stop()
            self.health.listen(None)

    def close(self) -> None:
        """Take all topics down."""
        self.ignore()
        for publisher in (self.detections, self.pruning, self.instances, self.token_mask, self.overlay):
            self._node.destroy_lifecycle_publisher(publisher)

    def report(self, no_frames_after: float) -> DiagnosticStatus:
        """Look at the senders, and return the camera's status; diagnostics warn after so many seconds of silence."""
        now = time.monotonic()
        silent_for = self.health.silent_for(now)
        self.reader.follow_senders(silent_for, no_frames_after)
        problems = self.reader.problems(silent_for > no_frames_after)
        read = ", ".join(f"{source.topic} as {source.message_type}" for source in self.reader.sources)
        return self.health.report(f"camera {self.name}", self.topic, read, now, no_frames_after, problems)


def camera_topics(node: LifecycleNode, names: Sequence[str]) -> dict[str, list[str]]:
    """Return what a list of cameras names: a camera's first name -> all of its names.

    Two names that lead to one topic are one camera.

    Raises:
        InputError: a name that cannot be a topic's, or whose results could not have theirs; two cameras whose results would
            have the same names.
    """
    cameras: dict[str, list[str]] = {}
    by_topic: dict[str, str] = {}
    for name in names:
        first = by_topic.setdefault(resolve_topic(node, name), name)
        cameras.setdefault(first, []).append(name)
    results: dict[str, str] = {}
    for name in cameras if len(cameras) > 1 else ():
        other = results.setdefault(resolve_topic(node, results_prefix(name) + "token_mask"), name)
        if other != name:
            raise InputError(
                f"the results of cameras {other!r} and {name!r} would have the same names; remap one of them"
            )
    return cameras


def results_prefix(camera: str) -> str:
    """Names below which the results of one of several cameras are: its own, but always in the node's namespace."""
    return camera.lstrip("/") + "/"
