# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Searches for one object along a recorded walk, through the ROS graph.

`ros2 launch tasktp_ros scannet_search.launch.py scan:=<scans/scene0000_00> target:=cup`

The player shows one image per three seconds in lock step; the searcher asks the task manager for the object, decides on
which image it is located, and ends the launch. Perception's other arguments can be given too.
"""

from typing import Any

from launch import LaunchDescription
from launch_ros.actions import Node

from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.search.criteria import CRITERIA
from tasktp_ros.nodes.launching import perception
from tasktp_ros.nodes.launching.actions import description, ends_launch, fails_launch, node
from tasktp_ros.nodes.launching.arguments import (
    Argument,
    file,
    file_to_write,
    folder,
    one_of,
    optional,
    required,
    switch,
)
from tasktp_ros.runtime.default import DEFAULT_VOCABULARY
from tasktp_ros.runtime.vocabularies import find_vocabulary

ARGUMENTS = (
    Argument("scan", None, "scan folder in ScanNet's layout, with label and instance pictures", folder),
    Argument("target", None, "category to search for", required),
    Argument(
        "labels", "", "label table; empty: scannetv2-labels.combined.tsv two folders above the scan", optional(file)
    ),
    Argument("criterion", "verified", f"when it is located: {', '.join(CRITERIA)}", one_of(*CRITERIA)),
    Argument("narrow", "true", "send the goal; false: the detector looks for everything, as a dense one would", switch),
    Argument("summary", "", "also write the result to this JSON file", optional(file_to_write)),
    *perception.ARGUMENTS,
)


def generate_launch_description() -> LaunchDescription:
    return description(ARGUMENTS, nodes)


def nodes(given: dict[str, Any]) -> list[Node]:
    vocabulary = perception.vocabulary(given, DEFAULT_VOCABULARY)
    name, categories = find_vocabulary(vocabulary)
    if given["target"] not in categories:
        raise DataError(
            f"launch argument target is {given['target']!r}: expected a category of {name}, such as {categories[0]}"
        )
    cameras = perception.cameras(given)
    if len(cameras) > 1:
        raise DataError(f"launch argument cameras is {cameras}: a search looks through one camera")
    player = {
        "source": given["scan"],
        "topic": cameras[0],
        "every": 90,
        "subscribers": 2,  # perception and the searcher
        "stamps": "source",
        "results": "search_steps",
        "results_type": "tasktp_ros/msg/SearchStatus",
    }
    searcher = {name: given[name] for name in ("scan", "target", "labels", "criterion", "narrow", "summary")}
    searcher |= {"vocabulary": vocabulary}
    return [
        *perception.nodes(given),
        node("player", given, player, fails_launch),
        node("searcher", given, searcher, ends_launch, topics={"image": cameras[0]}),
    ]
