# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The part that all launch files start: perception and the task manager.

The nodes bring themselves up (their parameter `autostart`) rather than being brought up by launch's lifecycle events:
that works the same on every ROS 2 distribution, and also after a respawn. With autostart:=false a lifecycle manager
does it.
"""

from collections.abc import Mapping
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch_ros.actions import Node

from tasktp_ros.nodes.launching.actions import ends_launch, node
from tasktp_ros.nodes.launching.arguments import Argument, log_level, model, one_of, optional, switch, topics
from tasktp_ros.nodes.launching.parameter_files import parameter_file, parameter_of
from tasktp_ros.nodes.names import namespace_name
from tasktp_ros.runtime.execution import EXECUTIONS
from tasktp_ros.runtime.vocabularies import name_of_vocabulary
from tasktp_ros.vision.reach import REACHES

ARGUMENTS = (
    Argument("namespace", "", "namespace of all nodes and all their topics", namespace_name),
    Argument(
        "params_file",
        f"{get_package_share_directory('tasktp_ros')}/config/perception.yaml",
        "YAML file with the parameters of perception and task_manager",
        parameter_file,
    ),
    Argument("use_sim_time", "", "true: take the time from /clock; empty: as in params_file", optional(switch)),
    Argument("model", "", "shipped or fetched model, or .safetensors file; empty: as in params_file", optional(model)),
    Argument("cameras", "", "image topics, as [/front/image, /rear/image]; empty: as in params_file", optional(topics)),
    Argument(
        "reach",
        "",
        f"how far the task is followed: {', '.join(REACHES)}; empty: as in params_file",
        optional(one_of(*REACHES)),
    ),
    Argument(
        "execution",
        "",
        f"how frames are run: {', '.join(EXECUTIONS)}; empty: as in params_file",
        optional(one_of(*EXECUTIONS)),
    ),
    Argument("autostart", "true", "configure and activate at once; false: wait for a lifecycle manager", switch),
    Argument("log_level", "info", "debug, info, warn, error or fatal", log_level),
    Argument(
        "respawn",
        "false",
        "true: start perception or task_manager again two seconds after it ended; false: the launch ends with it",
        switch,
    ),
)


def nodes(given: Mapping[str, Any]) -> list[Node]:
    """Perception and task manager for some values of :data:`ARGUMENTS`."""
    common = {"autostart": given["autostart"], **_named(given, "use_sim_time")}
    own_words = {"vocabulary": name_of_vocabulary(given["model"])} if given["model"] else {}
    own = {
        "perception": common | _named(given, "model", "cameras", "reach", "execution"),
        "task_manager": common | own_words | _named({"plans_file": "", "plan": "", **given}, "plans_file", "plan"),
    }
    return [
        node(name, given, parameters, ends_launch, files=[given["params_file"]], respawn=given["respawn"])
        for name, parameters in own.items()
    ]


def _named(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if given[name] != ""}


def cameras(given: Mapping[str, Any]) -> list[str]:
    """Image topics that perception will look at."""
    named = given["cameras"] or _from_file(given, "perception", "cameras", []) or ["image"]
    return [named] if isinstance(named, str) else list(named)


def vocabulary(given: Mapping[str, Any], default: str) -> str:
    """Vocabulary in which the task manager will speak of categories: the named model's, or else as in params_file."""
    if given["model"]:
        return name_of_vocabulary(given["model"])
    return str(_from_file(given, "task_manager", "vocabulary", default))


def _from_file(given: Mapping[str, Any], name: str, parameter: str, default: Any) -> Any:
    space = given["namespace"].strip("/")
    full_name = f"/{space}/{name}" if space else f"/{name}"
    return parameter_of(given["params_file"], full_name, parameter, default)
