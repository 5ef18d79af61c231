# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Sends every goal it receives back under another topic, so that a test sees what another process has read.

Both topics keep their messages for those who connect later, so nothing has to wait for a connection.
"""

import contextlib

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import DurabilityPolicy, QoSProfile
from tasktp_ros.msg import TaskGoal


def main() -> None:
    rclpy.init()
    node = rclpy.create_node("goal_mirror")
    kept = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = node.create_publisher(TaskGoal, "mirrored_goal", kept)
    node.create_subscription(TaskGoal, "goal", publisher.publish, kept)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
