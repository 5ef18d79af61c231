"""Reads overlays reliably, as RViz does, and does nothing with them."""

import contextlib

import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node("overlay_reader")
node.create_subscription(Image, "overlay", lambda _: None, 5)
with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
    rclpy.spin(node)
