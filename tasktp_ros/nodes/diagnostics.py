# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a robot builder has to know when no detections arrive: in words, not in log levels alone."""

from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def status(name: str, level: bytes, message: str, **values: Any) -> DiagnosticStatus:
    """Return one diagnostic status; values become its key-value pairs, underscores in keys become spaces."""
    pairs = [KeyValue(key=key.replace("_", " "), value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=message, values=pairs)


def explain_mismatches(node: Node, topic: str, expected: Sequence[str], profile: QoSProfile) -> list[str]:
    """Return one sentence for each publisher of a topic whose messages cannot arrive, with the reason.

    Args:
        node: any node, to look at the graph.
        topic: resolved name.
        expected: accepted types, such as "sensor_msgs/msg/Image".
        profile: quality of service of the subscription.
    """
    sentences = []
    for publisher in node.get_publishers_info_by_topic(topic):
        sender = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
        if "UNKNOWN" in sender:
            sender = "a node that is still being discovered"
        if publisher.topic_type not in expected:
            sentences.append(f"{sender} sends {publisher.topic_type} on {topic}, expected {' or '.join(expected)}")
            continue
        compatibility, reason = qos_check_compatible(publisher.qos_profile, profile)
        if compatibility == QoSCompatibility.ERROR:
            sentences.append(f"{sender} and this node cannot agree on the QoS of {topic}: {_plain(reason)}")
    return sentences


def _plain(reason: str) -> str:
    """Return the middleware's list of reasons without its level marks."""
    parts = (part.strip().removeprefix("ERROR:").strip() for part in reason.split(";"))
    return ", ".join(part for part in parts if part and not part.startswith("WARNING"))
