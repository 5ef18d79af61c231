# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Reads one camera's images, however they are sent: raw or compressed, on its topic or on the one beside it, reliably or not.

What is being sent shows only after a while, and may change. A reader that hears nothing looks at the senders again and
listens to what they send; as soon as frames come from one topic, it stays with that one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from tasktp_ros.errors import InputError
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.diagnostics import explain_mismatches

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
TYPES = {"auto": (RAW, COMPRESSED), "raw": (RAW,), "compressed": (COMPRESSED,)}
BESIDE = "/compressed"
"""Where image_transport sends the compressed images of a topic."""
SOON = 0.5
"""Seconds without a frame until a topic that nobody sends on is left for one that has a sender."""
RELIABILITY = {
    "auto": None,
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
    "system_default": ReliabilityPolicy.SYSTEM_DEFAULT,
}


@dataclass(frozen=True)
class Source:
    """A topic by its full name, and the type of the images on it."""

    topic: str
    message_type: str


@dataclass(frozen=True)
class _Reading:
    subscription: Subscription
    reliability: ReliabilityPolicy


class ImageReader:
    """The subscriptions of one camera; usually one.

    Args:
        node: makes them.
        name: the image topic, as in parameter `cameras`.
        transport: "raw", "compressed", or "auto" for both.
        take: called with each message on the executor's thread.

    Raises:
        InputError: an unknown reliability is asked for.
    """

    def __init__(
        self, node: LifecycleNode, name: str, transport: str, take: Callable[[Image | CompressedImage], None]
    ) -> None:
        self.topic = node.resolve_topic_name(name)
        self._node = node
        self._name = name
        self._take = take
        self._transport = transport
        self._readings: dict[Source, _Reading] = {}
        self._heard: Source | None = None
        self._sources = _sources_of(self.topic)
        self._asked_reliability = self._read_reliability()

    @property
    def listening(self) -> bool:
        """Whether frames are expected."""
        return bool(self._readings)

    @property
    def sources(self) -> list[Source]:
        """What is being read."""
        return list(self._readings)

    def start(self) -> None:
        """Read what is being sent; if nothing is, what the topic's name lets expect."""
        usual = COMPRESSED if self.topic.endswith(BESIDE) else RAW
        types = TYPES[self._transport]
        expected = Source(self.topic, usual if usual in types else types[0])
        self._read([*self._sent(), expected][:1])

    def stop(self) -> None:
        """Read nothing."""
        self._read([])
        self._heard = None

    def follow_senders(self, silent_for: float, patience: float) -> None:
        """Read what is being sent, as reliably as its senders offer.

        Args:
            silent_for: seconds without a frame.
            patience: seconds of silence after which everything that has a sender is listened to; before, a topic that has
                one is kept.
        """
        if not self._readings:
            return
        sent = self._sent()
        wanted = [self._heard] if self._heard else list(self._readings)
        if silent_for > patience and sent:
            self._heard, wanted = None, sent
        elif silent_for > SOON and sent and not set(wanted) & set(sent):
            self._heard, wanted = None, sent[:1]
        self._read(wanted)

    def problems(self, silent: bool) -> list[str]:
        """Return one sentence for each sender whose frames cannot arrive, and, while it is silent, for images not read."""
        sentences = []
        for topic in dict.fromkeys(source.topic for source in self._readings):
            types = [source.message_type for source in self._readings if source.topic == topic]
            profile = qos.camera()
            profile.reliability = self._readings[Source(topic, types[0])].reliability
            sentences += explain_mismatches(self._node, topic, types, profile)
        beside = self._sources[-1]
        if silent and self._readings and beside.message_type not in TYPES[self._transport] and self._is_sent(beside):
            sentences.append(
                f"{beside.message_type} is sent on {beside.topic}, but the parameter transport is {self._transport}; "
                "set it to auto"
            )
        return sentences

    def _sent(self) -> list[Source]:
        types = TYPES[self._transport]
        return [source for source in self._sources if source.message_type in types and self._is_sent(source)]

    def _is_sent(self, source: Source) -> bool:
        senders = self._node.get_publishers_info_by_topic(source.topic)
        return any(sender.topic_type == source.message_type for sender in senders)

    def _read(self, wanted: list[Source]) -> None:
        """Subscribe to these and to no others."""
        first = not self._readings
        for source, reading in list(self._readings.items()):
            if source not in wanted or reading.reliability != self._wanted_reliability(source):
                self._node.destroy_subscription(reading.subscription)
                del self._readings[source]
        for source in wanted:
            if source not in self._readings:
                reliability = self._wanted_reliability(source)
                self._readings[source] = _Reading(self._subscribe(source, reliability), reliability)
                if not first:
                    where = "" if source.topic == self.topic else f" from {source.topic}"
                    how = f"{source.message_type}, {reliability.name.lower().replace('_', ' ')}"
                    self._node.get_logger().info(f"{self.topic} is read{where} as {how}, from now on")

    def _wanted_reliability(self, source: Source) -> ReliabilityPolicy:
        """As asked for; else best effort where some sender is, since that matches all of them, and reliable otherwise.

        Of images above half a megabyte a best-effort reader on the same machine loses about every second one, a reliable one
        none (results/image_reliability.json). Changing over may cost a frame, so a reader starts as reliable: nothing
        changes when a reliable sender comes, and the frames of a best-effort one could not have arrived before.
        """
        if self._asked_reliability is not None:
            return self._asked_reliability
        for sender in self._node.get_publishers_info_by_topic(source.topic):
            careless = sender.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
            if sender.topic_type == source.message_type and careless:
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

    def _subscribe(self, source: Source, reliability: ReliabilityPolicy) -> Subscription:
        profile = qos.camera()
        profile.reliability = reliability
        return self._node.create_subscription(
            CompressedImage if source.message_type == COMPRESSED else Image,
            self._name if source.topic == self.topic else source.topic,
            lambda message: self._receive(source, message),
            profile,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._notice_sender),
            qos_overriding_options=QoSOverridingOptions([QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]),
        )

    def _notice_sender(self, event: object) -> None:
        """Follow a sender that offers less than is asked for, once its event is done with the subscription."""
        self._node.executor.create_task(lambda: self._read(list(self._readings)))

    def _receive(self, source: Source, message: Image | CompressedImage) -> None:
        """Take the frames of the source that was heard first; others that are still read may bring the same ones."""
        if self._heard in (None, source):
            self._heard = source
            self._take(message)


def _sources_of(topic: str) -> list[Source]:
    """What a camera's images may come as, what is preferred first; the last is on the topic beside the named one."""
    base = topic.removesuffix(BESIDE)
    beside = Source(base, RAW) if base and base != topic else Source(topic + BESIDE, COMPRESSED)
    return [Source(topic, RAW), Source(topic, COMPRESSED), beside]
