"""One camera of the perception node: its subscription, its publishers and its counters."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from tasktp_ros.errors import InputError
from tasktp_ros.msg import PruningStats
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.conversions import compressed_to_rgb, image_to_rgb
from tasktp_ros.nodes.diagnostics import explain_mismatches
from tasktp_ros.nodes.perception.health import CameraHealth

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
RELIABILITY = {
    "auto": None,
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
    "system_default": ReliabilityPolicy.SYSTEM_DEFAULT,
}


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
        self.topic = node.resolve_topic_name(name)
        self._node = node
        self._take = take
        self._transport = transport
        self._profile = qos.camera()
        self._subscription: Subscription | None = None
        self._listening_to = ""
        self._asked_reliability = self._read_reliability()
        self.detections = node.create_lifecycle_publisher(Detection2DArray, prefix + "detections", qos.RESULTS)
        self.pruning = node.create_lifecycle_publisher(PruningStats, prefix + "pruning", qos.RESULTS)
        self.instances = node.create_lifecycle_publisher(Image, prefix + "instances", qos.IMAGES)
        self.token_mask = node.create_lifecycle_publisher(Image, prefix + "token_mask", qos.PICTURES)
        self.overlay = node.create_lifecycle_publisher(Image, prefix + "overlay", qos.PICTURES)

    def listen(self) -> None:
        """Subscribe to the image topic, unless already done."""
        if self._subscription is None:
            message_type = self._wanted_type()
            self._subscribe(message_type, self._wanted_reliability(message_type))
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

    def follow_sender(self, silent: bool) -> None:
        """Subscribe anew, should the senders offer another reliability; where it is silent, also another type of image."""
        if self._subscription is None:
            return
        message_type = self._wanted_type() if silent else self._listening_to
        reliability = self._wanted_reliability(message_type)
        if (message_type, reliability) != (self._listening_to, self._profile.reliability):
            how = reliability.name.lower().replace("_", " ")
            self._node.get_logger().info(f"{self.topic} is read as {message_type}, {how}, from now on")
            self._node.destroy_subscription(self._subscription)
            self._subscribe(message_type, reliability)

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

    def _wanted_reliability(self, message_type: str) -> ReliabilityPolicy:
        """As asked for; else best effort where some sender is, since that matches all of them, and reliable otherwise.

        Of images above half a megabyte a best-effort reader on the same machine loses about every second one, a reliable one
        none (results/image_reliability.json). Changing over may cost a frame, so a reader starts as reliable: nothing
        changes when a reliable sender comes, and the frames of a best-effort one could not have arrived before.
        """
        if self._asked_reliability is not None:
            return self._asked_reliability
        for sender in self._node.get_publishers_info_by_topic(self.topic):
            if sender.topic_type == message_type and sender.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT:
                return ReliabilityPolicy.BEST_EFFORT
        return ReliabilityPolicy.RELIABLE

    def _read_reliability(self) -> ReliabilityPolicy | None:
        """The parameter that overrides it, by ROS's name for it; None = as the senders offer."""
        name = f"qos_overrides.{self.topic}.subscription.reliability"
        if not self._node.has_parameter(name):
            described = ParameterDescriptor(description=f"one of {', '.join(RELIABILITY)}", read_only=True)
            self._node.declare_parameter(name, "auto", described)
        value = self._node.get_parameter(name).value
        if value not in RELIABILITY:
            raise InputError(f"parameter {name} is {value!r}: expected one of {', '.join(RELIABILITY)}")
        return RELIABILITY[value]

    def _subscribe(self, message_type: str, reliability: ReliabilityPolicy) -> None:
        self._listening_to = message_type
        self._profile = qos.camera()
        self._profile.reliability = reliability
        self._subscription = self._node.create_subscription(
            CompressedImage if message_type == COMPRESSED else Image,
            self.name,
            self._receive,
            self._profile,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._notice_sender),
            qos_overriding_options=QoSOverridingOptions([QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]),
        )

    def _notice_sender(self, event: object) -> None:
        """Follow a sender that offers less than is asked for, once its event is done with the subscription."""
        self._node.executor.create_task(self.follow_sender, False)

    def _receive(self, message: Image | CompressedImage) -> None:
        self._take(Frame(self, message, time.monotonic()))
