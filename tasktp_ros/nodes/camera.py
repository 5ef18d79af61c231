"""One camera of the perception node: its subscription, its publishers and its counters."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from tasktp_ros.msg import PruningStats
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.conversions import compressed_to_rgb, image_to_rgb
from tasktp_ros.nodes.diagnostics import CameraHealth, explain_mismatches

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"


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
    """

    def __init__(
        self, node: LifecycleNode, name: str, prefix: str, transport: str, take: Callable[[Frame], None]
    ) -> None:
        self.name = name
        self.health = CameraHealth()
        self.topic = node.resolve_topic_name(name)
        self._node = node
        self._take = take
        self._transport = transport
        self._profile = qos.camera()
        self._subscription: Subscription | None = None
        self._listening_to = ""
        self.detections = node.create_lifecycle_publisher(Detection2DArray, prefix + "detections", qos.RESULTS)
        self.pruning = node.create_lifecycle_publisher(PruningStats, prefix + "pruning", qos.RESULTS)
        self.instances = node.create_lifecycle_publisher(Image, prefix + "instances", qos.IMAGES)
        self.token_mask = node.create_lifecycle_publisher(Image, prefix + "token_mask", qos.PICTURES)
        self.overlay = node.create_lifecycle_publisher(Image, prefix + "overlay", qos.PICTURES)

    def listen(self) -> None:
        """Subscribe to the image topic, unless already done."""
        if self._subscription is None:
            self._subscribe(self._wanted_type())
            self.health.listen(time.monotonic())

    def ignore(self) -> None:
        """Unsubscribe, unless already done."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self.health.listen(None)

    def close(self) -> None:
        """Take all topics down."""
        self.ignore()
        for publisher in (self.detections, self.pruning, self.instances, self.token_mask, self.overlay):
            self._node.destroy_lifecycle_publisher(publisher)

    def follow_sender(self) -> None:
        """Change between Image and CompressedImage when only the other one is being sent."""
        wanted = self._wanted_type()
        if self._subscription is not None and wanted != self._listening_to:
            self._node.get_logger().info(f"{self.topic} carries {wanted}, so that is what is subscribed to")
            self._node.destroy_subscription(self._subscription)
            self._subscribe(wanted)

    def mismatches(self) -> list[str]:
        """Return one sentence for each sender whose frames cannot arrive."""
        if self._subscription is None:
            return []
        return explain_mismatches(self._node, self.topic, [self._listening_to], self._profile)

    def _wanted_type(self) -> str:
        if self._transport != "auto":
            return COMPRESSED if self._transport == "compressed" else RAW
        sent = {publisher.topic_type for publisher in self._node.get_publishers_info_by_topic(self.topic)}
        if RAW in sent or COMPRESSED in sent:
            return RAW if RAW in sent else COMPRESSED
        return self._listening_to or (COMPRESSED if self.topic.endswith("/compressed") else RAW)

    def _subscribe(self, message_type: str) -> None:
        self._listening_to = message_type
        self._profile = qos.camera()
        self._subscription = self._node.create_subscription(
            CompressedImage if message_type == COMPRESSED else Image,
            self.name,
            self._receive,
            self._profile,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _receive(self, message: Image | CompressedImage) -> None:
        self._take(Frame(self, message, time.monotonic()))
