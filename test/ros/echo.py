"""Answers every image with an empty detection array under the same header, as a perception node would.

Arguments: leave out every n-th answer (0 = none), answer every image so many times.
"""

import contextlib
import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray


def main() -> None:
    leave_out, times = int(sys.argv[1]), int(sys.argv[2])
    rclpy.init()
    node = rclpy.create_node("echo")
    publisher = node.create_publisher(Detection2DArray, "detections", 10)
    seen = 0

    def answer(message: Image) -> None:
        nonlocal seen
        seen += 1
        stamp = message.header.stamp
        node.get_logger().info(f"image {stamp.sec}.{stamp.nanosec:09d} mean {sum(message.data[:30])}")
        if leave_out and seen % leave_out == 0:
            return
        for _ in range(times):
            publisher.publish(Detection2DArray(header=message.header))

    node.create_subscription(Image, "image", answer, QoSProfile(depth=50))
    node.get_logger().info("listening")
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
