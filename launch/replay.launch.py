"""Plays a bag, folder of images or video through perception; `ros2 launch tasktp_ros replay.launch.py source:=<path>`.

In lock step (rate:=0) each frame waits for the detections of the one before, so no frame is skipped however slow the
detector is. The launch ends with the source.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PERCEPTION = str(Path(__file__).with_name("perception.launch.py"))
ARGUMENTS = {
    "source": (None, "rosbag2 folder or file, folder of images, or video"),
    "source_topic": ("", "which image topic of a bag with several"),
    "rate": ("0.0", "frames per second; 0: lock step, the next frame when the last one's detections have arrived"),
    "summary": ("", "also write what was sent and received to this JSON file"),
    "namespace": ("", "namespace of all nodes"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, start perception and the player; perception's other arguments can be given too."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    perception = IncludeLaunchDescription(PythonLaunchDescriptionSource(PERCEPTION))
    return LaunchDescription([*declared, perception, OpaqueFunction(function=_player)])


def _player(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    return [
        Node(
            package="tasktp_ros",
            executable="player",
            namespace=given["namespace"],
            parameters=[
                {
                    "source": given["source"],
                    "source_topic": given["source_topic"],
                    "rate": float(given["rate"]),
                    "summary": given["summary"],
                }
            ],
            arguments=["--ros-args", "--log-level", given["log_level"]],
            output="screen",
            on_exit=Shutdown(),
        )
    ]
