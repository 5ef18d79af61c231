# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Declaring parameters so that `ros2 param describe` explains them and rclpy itself refuses what is out of range."""

import re
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name

from tasktp_ros.errors import InputError

_LOCATION = re.compile(r", at /.*")
"""The place in ROS's own code that its errors end with."""

Value = TypeVar("Value", bool, int, float, str, list[str])


def declare(
    node: Node,
    name: str,
    default: Value,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    constraints: str = "",
    read_only: bool = False,
) -> Value:
    """Declare one parameter and return its value.

    Args:
        node: the node that has it.
        name: the parameter's name.
        default: also fixes the type.
        description: one sentence with the unit.
        minimum: smallest allowed number; needs `maximum` too.
        maximum: largest allowed number.
        constraints: what else is demanded, in words.
        read_only: can only be set at start.

    Raises:
        InputError: an empty list where one that is not empty is needed; a list whose default stands for "none named"
            takes an empty one for the default.
    """
    descriptor = ParameterDescriptor(description=description, additional_constraints=constraints, read_only=read_only)
    if minimum is not None and maximum is not None:
        if isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(minimum), to_value=float(maximum))]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(minimum), to_value=int(maximum), step=1)]
    value: Value | None = node.declare_parameter(name, default, descriptor).value
    if value is None:  # ROS finds no type in an empty list
        if default != [""]:
            raise InputError(f"parameter {name} must not be an empty list; its default is {default!r}")
        node.undeclare_parameter(name)
        value = node.declare_parameter(name, default, descriptor, ignore_override=True).value
    assert value is not None
    return value


def resolve_topic(node: Node, name: str) -> str:
    """Return the full name of a topic, remapped as the node's topics are.

    Raises:
        InputError: it cannot be the name of a topic.
    """
    try:
        validate_topic_name(name)
        topic = str(node.resolve_topic_name(name))
        validate_full_topic_name(topic)
    except Exception as error:  # rclpy has a kind of error for each of the three
        reason = _LOCATION.sub("", str(error).splitlines()[0]).rpartition("opic name: ")[2].strip(" :")
        raise InputError(
            f"{name[:256]!r} cannot be the name of a topic ({reason}); expected letters, digits and underscores in parts "
            "joined by /, none of which begins with a digit"
        ) from error
    return topic


def without_blanks(names: list[str]) -> list[str]:
    """Return the names that are not blank, each once.

    ROS cannot tell the type of an empty list in a file, so `[""]` stands for it.
    """
    return list(dict.fromkeys(name for name in names if name.strip()))
