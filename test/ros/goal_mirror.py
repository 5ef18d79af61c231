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
