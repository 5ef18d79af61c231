"""Starts the perception and task manager nodes; `ros2 launch tasktp_ros perception.launch.py --show-args`."""

from launch import LaunchDescription

from tasktp_ros.nodes.launching import perception
from tasktp_ros.nodes.launching.actions import description


def generate_launch_description() -> LaunchDescription:
    return description(perception.ARGUMENTS, perception.nodes)
