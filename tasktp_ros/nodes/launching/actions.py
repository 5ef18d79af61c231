# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Actions of launch that the launch files are made of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from tasktp_ros.errors import DataError
from tasktp_ros.nodes.launching.arguments import Argument, read_arguments
from tasktp_ros.nodes.launching.parameter_files import write_parameters

RESPAWN_SECONDS = 2.0
WhenItEnds = Callable[[ProcessExited, LaunchContext], list[Shutdown]]


def description(arguments: Sequence[Argument], start: Callable[[dict[str, Any]], list[Node]]) -> LaunchDescription:
    """Declare arguments, check them all, then start the nodes that `start` makes of their values."""

    def check_and_start(context: LaunchContext) -> list[Node]:
        given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in arguments}
        return start(read_arguments(arguments, given))

    declared = [
        DeclareLaunchArgument(argument.name, default_value=argument.default, description=argument.description)
        for argument in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=check_and_start)])


def node(
    name: str,
    given: Mapping[str, Any],
    parameters: Mapping[str, Any],
    when_it_ends: WhenItEnds,
    files: Sequence[str] = (),
    respawn: bool = False,
    topics: Mapping[str, str] | None = None,
) -> Node:
    """Start a node of this package.

    Args:
        name: of the program, and of the node.
        given: values of the launch file's arguments, `namespace` and `log_level` among them.
        parameters: by name; they count more than those in the files.
        when_it_ends: what is done then, unless it is started again.
        files: parameter files.
        respawn: start it again when it ended.
        topics: others to use in place of its own.
    """
    return Node(
        package="tasktp_ros",
        executable=name,
        name=name,
        namespace=given["namespace"],
        parameters=[*files, write_parameters(parameters)],
        remappings=list((topics or {}).items()),
        arguments=["--ros-args", "--log-level", given["log_level"]],
        output="screen",
        respawn=respawn,
        respawn_delay=RESPAWN_SECONDS,
        on_exit=None if respawn else when_it_ends,
    )


def ends_launch(event: ProcessExited, context: LaunchContext) -> list[Shutdown]:
    """The launch ends with this process, and fails if it failed."""
    fails_launch(event, context)
    return [] if context.is_shutdown else [Shutdown(reason=f"{event.process_name} has ended")]


def fails_launch(event: ProcessExited, context: LaunchContext) -> list[Shutdown]:
    """The launch fails if this process failed; the error is all that makes launch's own exit status other than 0."""
    name, _, _ = event.process_name.rpartition("-")
    if event.returncode and not context.is_shutdown:
        how = f"with status {event.returncode}" if event.returncode > 0 else f"by signal {-event.returncode}"
        raise DataError(f"{name} ended {how}, so this launch has failed; the last lines of {name} say why")
    return []
