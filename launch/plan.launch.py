# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Plays a recording through perception while a plan of several steps runs; `ros2 launch tasktp_ros plan.launch.py`.

Without arguments it is the drive through a rendered flat that comes with the package, and a plan of three steps whose set shrinks and
grows. `ros2 topic echo /task_plans` tells its history, `ros2 topic echo /pruning` the kept tokens and times of each frame.
"""

from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch_ros.actions import Node

from tasktp_ros.datasets.sample import SAMPLE
from tasktp_ros.nodes.launching import perception
from tasktp_ros.nodes.launching.actions import description, ends_launch, node
from tasktp_ros.nodes.launching.arguments import Argument, file, file_to_write, optional, path_or_camera, rate, required

ARGUMENTS = (
    Argument("source", str(SAMPLE), "rosbag2 folder or file, folder of images, video, or camera", path_or_camera),
    Argument("rate", "0.0", "frames per second; 0: lock step, the next frame after the last one's detections", rate),
    Argument(
        "plans_file", f"{get_package_share_directory('tasktp_ros')}/config/plans.yaml", "YAML file with plans", file
    ),
    Argument("plan", "watch_and_pack", "name of the plan that starts at once", required),
    Argument("summary", "", "also write what was sent and received to this JSON file", optional(file_to_write)),
    *perception.ARGUMENTS,
)


def generate_launch_description() -> LaunchDescription:
    return description(ARGUMENTS, nodes)


def nodes(given: dict[str, Any]) -> list[Node]:
    camera, *others = perception.cameras(given)
    parameters = {name: given[name] for name in ("source", "rate", "summary")}
    parameters["topic"] = camera
    parameters["results"] = f"{camera.lstrip('/')}/detections" if others else "detections"
    return [*perception.nodes(given), node("player", given, parameters, ends_launch)]
