"""Searches for one object along a recorded walk, through the ROS graph.

`ros2 launch tasktp_ros scannet_search.launch.py scan:=<scans/scene0000_00> target:=cup`

The player shows one image per three seconds in lock step; the searcher asks the task manager for the object, decides on
which image it is located, and ends the launch. Perception's other arguments can be given too.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PERCEPTION = str(Path(__file__).with_name("perception.launch.py"))
ARGUMENTS = {
    "scan": (None, "scan folder in ScanNet's layout, with label and instance pictures"),
    "target": (None, "category to search for"),
    "labels": ("", "label table; empty: scannetv2-labels.combined.tsv two folders above the scan"),
    "criterion": ("verified", "when it is located: verified, claimed or lenient"),
    "narrow": ("true", "send the goal; false: the detector looks for everything, as a dense one would"),
    "summary": ("", "also write the result to this JSON file"),
    "namespace": ("", "namespace of all nodes"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, start perception, task manager, player and searcher."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    perception = IncludeLaunchDescription(PythonLaunchDescriptionSource(PERCEPTION))
    return LaunchDescription([*declared, perception, OpaqueFunction(function=_search)])


def _search(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    player = {
        "source": given["scan"],
        "every": 90,
        "subscribers": 2,  # perception and the searcher
        "stamps": "source",
        "results": "search_steps",
        "results_type": "tasktp_ros/msg/SearchStatus",
    }
    searcher = {name: given[name] for name in ("scan", "target", "labels", "criterion", "summary")}
    return [
        Node(
            package="tasktp_ros",
            executable=name,
            namespace=given["namespace"],
            parameters=[parameters],
            arguments=["--ros-args", "--log-level", given["log_level"]],
            output="screen",
            on_exit=Shutdown() if name == "searcher" else None,
        )
        for name, parameters in (
            ("player", player),
            ("searcher", searcher | {"narrow": given["narrow"].lower() == "true"}),
        )
    ]
