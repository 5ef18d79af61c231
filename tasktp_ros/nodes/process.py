# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Runs one node as a process that ends cleanly at any moment.

SIGINT and SIGTERM arrive while Python imports, while a model loads, in the middle of a detection. Handlers that run
between two byte codes of whatever is going on cannot end all of that in time; so the signals are blocked everywhere,
the main thread only waits for them, and the node lives on another thread.
"""

import contextlib
import gc
import inspect
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tasktp_ros.nodes.complaints import Complaints
from tasktp_ros.runtime.threads import wait_asleep

HELP = ("-h", "--help")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 1.2
"""Seconds a node has to put things away; what still runs then (a long detection) is left to the operating system."""

DISCOVERY = 2.0
"""Seconds in which those who read a topic are found, if there are any."""


def run_node(create_node: Callable[[], Any], arguments: Sequence[str] | None = None) -> int:
    """Run a node until SIGINT or SIGTERM and return the process's exit status.

    Args:
        create_node: imports and makes the node; the node may have a method `close`, called before it is destroyed.
        arguments: command line for ROS, None for the process's own.

    Returns:
        1 when the node could not be made. Otherwise the process ends here with status 0 once the node is put away:
        taking apart the interpreter with everything torch has loaded would take longer than a robot waits.
    """
    wait_asleep()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    host = _NodeThread(create_node, arguments)
    host.start()
    while host.is_alive() and signal.sigtimedwait(SIGNALS, 0.1) is None:
        pass
    host.stop()
    host.join(GRACE)
    if host.status == 0:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return host.status


def shows_help(description: str | None, arguments: Sequence[str] | None = None) -> bool:
    """Print what a program is if its command line asks for it, without ROS; return whether it did.

    Args:
        description: the docstring of the program's module.
        arguments: its command line, None for the process's own.
    """
    own = list(sys.argv[1:] if arguments is None else arguments)
    own = own[: own.index("--ros-args")] if "--ros-args" in own else own
    if not set(HELP).intersection(own):
        return False
    print(f"usage: {_program()} [-h] [--ros-args -p PARAMETER:=VALUE -r NAME:=OTHER --params-file FILE ...]\n")
    print(inspect.cleandoc(description or ""))
    return True


def stopping() -> threading.Event:
    """An event that SIGINT and SIGTERM set, instead of ending the process."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


class _NodeThread(threading.Thread):
    """Makes the node, serves its callbacks, and takes it down again."""

    def __init__(self, create_node: Callable[[], Any], arguments: Sequence[str] | None) -> None:
        super().__init__(name="executor", daemon=True)
        self._create_node = create_node
        self._arguments = arguments
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._wake: Callable[[], None] = lambda: None
        self.status = 0

    def stop(self) -> None:
        """Ask the thread to end; returns at once."""
        self._stopping.set()
        with self._lock:
            self._wake()

    def run(self) -> None:
        """Live through the node's whole life."""
        try:
            import rclpy
            from rclpy.signals import SignalHandlerOptions

            rclpy.init(args=self._arguments, signal_handler_options=SignalHandlerOptions.NO)
        except Exception as error:
            self._refuse(error)
            with contextlib.suppress(Exception):  # without the arguments, which it refused, ROS can carry the news
                rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
                _tell_rosout(_sentence(error))
                rclpy.try_shutdown()
            return
        context = rclpy.get_default_context()
        try:
            self._serve()
        finally:
            rclpy.try_shutdown()
            context.destroy()
            del context
            gc.collect()  # the last reference says goodbye on the network; else others take the node for alive

    def _serve(self) -> None:
        from rclpy.executors import SingleThreadedExecutor

        if self._stopping.is_set():
            return
        try:
            node = self._create_node()
        except Exception as error:
            self._refuse(error)
            with contextlib.suppress(Exception):
                _tell_rosout(_sentence(error))
            return
        complaints = Complaints(lambda text: node.get_logger().error(text))
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        guard = node.create_guard_condition(lambda: None)
        with self._lock:
            self._wake = guard.trigger
        while executor.context.ok() and not self._stopping.is_set():
            try:
                executor.spin_once()
            except Exception as error:  # one callback's error must not take the node down
                complaints.say(f"a callback failed: {_sentence(error)}", traceback.format_exc())
        with self._lock:
            self._wake = lambda: None
        with contextlib.suppress(Exception):
            getattr(node, "close", lambda: None)()
        executor.shutdown(timeout_sec=0)
        node.destroy_node()

    def _refuse(self, error: Exception) -> None:
        if not self._stopping.is_set():
            print(f"{_program()}: {_sentence(error)}", file=sys.stderr)
            self.status = 1


def _tell_rosout(sentence: str) -> None:
    """Write an error to /rosout for a node that could not be made, and stay until whoever reads it has it.

    Standard error has it already.
    """
    import rclpy
    from rcl_interfaces.msg import Log
    from rclpy.duration import Duration
    from rclpy.logging import LoggingSeverity

    from tasktp_ros.nodes.qos import ROSOUT, SETTLE_SECONDS

    node = rclpy.create_node(_program().partition(".")[0], enable_rosout=False, start_parameter_services=False)
    news = node.create_publisher(Log, "/rosout", ROSOUT)
    stamp = node.get_clock().now().to_msg()
    news.publish(Log(stamp=stamp, level=int(LoggingSeverity.ERROR), name=node.get_name(), msg=sentence))
    deadline = time.monotonic() + DISCOVERY
    while time.monotonic() < deadline and not news.get_subscription_count():
        time.sleep(0.02)
    if news.get_subscription_count():
        time.sleep(SETTLE_SECONDS)  # for readers that are found later
        news.wait_for_all_acked(Duration(seconds=DISCOVERY))
    node.destroy_node()


def _program() -> str:
    """The running program's name; `python -m package` starts it as `package/__main__.py`."""
    started = Path(sys.argv[0])
    return started.parent.name if started.name == "__main__.py" else started.name


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
