"""Starts the perception and task manager nodes; `ros2 launch tasktp_ros perception.launch.py --show-args`.

The nodes bring themselves up (their parameter `autostart`) rather than being brought up by launch's lifecycle events:
that works the same on every ROS 2 distribution, and also after a respawn. With autostart:=false a lifecycle manager
does it.
"""

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

ARGUMENTS = {
    "namespace": ("", "namespace of both nodes and all their topics"),
    "params_file": (
        f"{get_package_share_directory('tasktp_ros')}/config/perception.yaml",
        "YAML file with the parameters of both nodes",
    ),
    "use_sim_time": ("false", "take the time from /clock"),
    "model": ("", "shipped model or .safetensors file; empty: as in params_file"),
    "cameras": ("", "image topics, as [/front/image, /rear/image]; empty: as in params_file"),
    "autostart": ("true", "configure and activate at once; false: wait for a lifecycle manager"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "respawn": ("false", "start a node again two seconds after it ended"),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start both nodes."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    common = {"use_sim_time": _switch(given, "use_sim_time"), "autostart": _switch(given, "autostart")}
    perception: dict[str, object] = dict(common)
    if given["model"]:
        perception["model"] = given["model"]
    if given["cameras"]:
        perception["cameras"] = _topics(given["cameras"])
    return [
        Node(
            package="tasktp_ros",
            executable=name,
            name=name,
            namespace=given["namespace"],
            parameters=[given["params_file"], overrides],
            arguments=["--ros-args", "--log-level", given["log_level"]],
            output="screen",
            respawn=_switch(given, "respawn"),
            respawn_delay=2.0,
        )
        for name, overrides in (("perception", perception), ("task_manager", common))
    ]


def _switch(given: dict[str, str], name: str) -> bool:
    if given[name].lower() not in ("true", "false"):
        raise ValueError(f"launch argument {name} is {given[name]!r}: expected true or false")
    return given[name].lower() == "true"


def _topics(text: str) -> list[str]:
    """Topics of `[a, b]` or of a single name."""
    value = yaml.safe_load(text)
    topics = [value] if isinstance(value, str) else value
    if not isinstance(topics, list) or not topics or not all(isinstance(topic, str) for topic in topics):
        raise ValueError(
            f"launch argument cameras is {text!r}: expected topic names such as [/front/image, /rear/image]"
        )
    return topics
