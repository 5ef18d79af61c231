# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Plays a bag, folder of images, video or camera through perception; `ros2 launch tasktp_ros replay.launch.py source:=<path>`.

In lock step (rate:=0) each frame waits for the detections of the one before, so no frame is skipped however slow the
detector is. With several cameras the first one is played. The launch ends with the source.
"""

from typing import Any

from launch import LaunchDescription
from launch_ros.actions import Node

from tasktp_ros.nodes.launching import perception
from tasktp_ros.nodes.launching.actions import description, ends_launch, node
from tasktp_ros.nodes.launching.arguments import Argument, file_to_write, optional, path_or_camera, rate

ARGUMENTS = (
    Argument(
        "source", None, "rosbag2 folder or file, folder of images, video, or camera such as camera:0", path_or_camera
    ),
    Argument("source_topic", "", "which image topic of a bag with several"),
    Argument("rate", "0.0", "frames per second; 0: lock step, the next frame after the last one's detections", rate),
    Argument("summary", "", "also write what was sent and received to this JSON file", optional(file_to_write)),
    *perception.ARGUMENTS,
)


def generate_launch_description() -> LaunchDescription:
    return description(ARGUMENTS, nodes)


def nodes(given: dict[str, Any]) -> list[Node]:
    camera, *others = perception.cameras(given)
    parameters = {name: given[name] for name in ("source", "source_topic", "rate", "summary")}
    parameters["topic"] = camera
    parameters["results"] = f"{camera.lstrip('/')}/detections" if others else "detections"
    return [*perception.nodes(given), node("player", given, parameters, ends_launch)]
