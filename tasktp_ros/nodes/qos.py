# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Quality of service of every topic, in one place, because a mismatch is silent."""

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription


def _profile(
    depth: int,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


def camera() -> QoSProfile:
    """Return the profile for images in: depth 1 is the newest frame, as whole as a reliable sender can make it.

    A new one each time, since overrides are written into it.
    """
    return _profile(1)


def connected_publishers(node: Node, subscription: Subscription) -> int:
    """How many senders a subscription is connected to; Humble's rclpy only tells how many there are."""
    if hasattr(subscription, "get_publisher_count"):
        return int(subscription.get_publisher_count())
    return int(node.count_publishers(subscription.topic_name))


SETTLE_SECONDS = 0.5
"""The other side may know of a new connection a moment later than we do; what is sent before may not arrive."""
RESULTS = _profile(200)
"""Small messages. A reliable sender repairs a loss only after seconds, so it must still have it by then."""
IMAGES = _profile(10)
PICTURES = _profile(1)
"""Reliable, since that serves readers of both kinds; depth 1, so that a slow reader gets the newest and delays nobody."""
LATCHED = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
GOALS = _profile(5000)
DIAGNOSTICS = _profile(10)
ROSOUT = _profile(1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""As ROS's own loggers offer it."""
