# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

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
