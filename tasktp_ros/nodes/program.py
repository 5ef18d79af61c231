# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A node that does one thing and ends, such as playing a recording: its parameters, its errors, its end."""

import math
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rclpy
from rcl_interfaces.msg import Log, ParameterDescriptor
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from tasktp_ros.errors import DataError, TaskTPError
from tasktp_ros.files import readable, refusal
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.process import SIGNALS

Parameters = Mapping[str, tuple[Any, str]]
"""Default and description of each parameter."""
KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
SPIN_SECONDS = 0.05
_PLACE = re.compile(r", at /[^,]*")
"""Where in ROS's own code an error arose."""


def run_program(name: str, arguments: Sequence[str] | None, work: Callable[[Node, SingleThreadedExecutor], int]) -> int:
    """Make a node, let it do its work, and take it down again.

    Args:
        name: of the node.
        arguments: command line for ROS, None for the process's own.
        work: returns the exit status; an error that bad input causes is logged as one sentence.

    Returns:
        The exit status: what `work` returned, 2 after an error.
    """
    try:
        _check_arguments(sys.argv[1:] if arguments is None else arguments)
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = Node(name)
    except Exception as error:  # ROS has many kinds of it for what cannot be an argument
        sentence = _PLACE.sub("", " ".join(str(error).split()))
        quote = "; a text needs quotes: -p 'name:=\"...\"'" if "parameter override" in sentence else ""
        print(f"{name}: {sentence}{quote}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        return work(node, executor)
    except TaskTPError as error:
        return _refused(node, str(error))
    except OSError as error:
        return _refused(node, refusal(error))
    except ExternalShutdownException:
        return 0
    finally:
        for number in SIGNALS:  # one that comes while Python takes itself apart would make the exit status another
            signal.signal(number, signal.SIG_IGN)
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()


def _check_arguments(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"the argument {readable(argument)} is not UTF-8, which ROS's must be: rename it"
            ) from error


def _refused(node: Node, sentence: str) -> int:
    """Log an error, and stay until those have it who read the log through ROS."""
    twin = node.create_publisher(Log, "/rosout", qos.LATCHED)  # tells of readers, which the logger's own does not
    deadline = time.monotonic() + 2 * qos.SETTLE_SECONDS
    while not twin.get_subscription_count() and time.monotonic() < deadline:
        time.sleep(SPIN_SECONDS)
    node.get_logger().error(readable(sentence))
    if twin.get_subscription_count():
        time.sleep(qos.SETTLE_SECONDS)
    return 2


def read_parameters(node: Node, parameters: Parameters) -> dict[str, Any]:
    """Declare parameters that are fixed from the start, and return their values.

    Raises:
        DataError: one of another kind than its default, or a number that is negative or not finite.
    """
    values: dict[str, Any] = {}
    for name, (default, description) in parameters.items():
        descriptor = ParameterDescriptor(description=description, read_only=True, dynamic_typing=True)
        value = node.declare_parameter(name, default, descriptor).value
        wanted = type(default)
        fits = isinstance(value, (float, int) if wanted is float else wanted)
        if not fits or isinstance(value, bool) != (wanted is bool):
            quote = f"; put quotes around it: -p '{name}:=\"...\"'" if wanted is str else ""
            raise DataError(f"parameter {name} is {value!r}: expected {KINDS[wanted]} ({description}){quote}")
        if wanted in (int, float) and not (math.isfinite(value) and 0 <= value < 1e9):
            raise DataError(f"parameter {name} is {value}: expected 0 or more ({description})")
        values[name] = wanted(value)
    return values


def spin_once(node: Node, executor: SingleThreadedExecutor, seconds: float = SPIN_SECONDS) -> None:
    """Handle one message that arrives within the given time; one that cannot be handled is complained of."""
    try:
        executor.spin_once(timeout_sec=seconds)
    except ExternalShutdownException:
        raise
    except Exception as error:  # one message must not end the program
        sentence = " ".join(str(error).split()) or type(error).__name__
        node.get_logger().error(f"a message could not be handled: {sentence}", throttle_duration_sec=10.0)
