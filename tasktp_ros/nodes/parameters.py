"""Declaring parameters so that `ros2 param describe` explains them and rclpy itself refuses what is out of range."""

from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

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
    """
    descriptor = ParameterDescriptor(description=description, additional_constraints=constraints, read_only=read_only)
    if minimum is not None and maximum is not None:
        if isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(minimum), to_value=float(maximum))]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(minimum), to_value=int(maximum), step=1)]
    value: Value = node.declare_parameter(name, default, descriptor).value
    return value


def without_blanks(names: list[str]) -> list[str]:
    """Return the names that are not blank, each once.

    ROS cannot tell the type of an empty list in a file, so `[""]` stands for it.
    """
    return list(dict.fromkeys(name for name in names if name.strip()))
