# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Real nodes in their own processes, and a client in this one: everything the tests see has crossed DDS."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no node was run: ROS 2 is not installed")
pytest.importorskip("tasktp_ros.msg", reason="no node was run: the messages of this package are not built (make setup)")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

REPOSITORY = Path(__file__).resolve().parents[2]
FAKE_PERCEPTION = Path(__file__).parent / "fake_perception.py"
PATIENCE = 30.0
SOON = 10.0  # seconds in which a node ends: it needs less than two, a busy machine more, what it leaves off thirty
Result = TypeVar("Result")
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE = QoSProfile(depth=100)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}


def eventually(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until a condition holds and return its value."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not happen in {patience:g} s: {what}")


class NodeProcess:
    """A node's process: what it says, how much memory it holds, how it ends."""

    def __init__(self, log: Path, program: Sequence[str | Path], *ros_arguments: str) -> None:
        command = [sys.executable, *map(str, program)]
        if ros_arguments:
            command += ["--ros-args", *ros_arguments]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        parts = [str(REPOSITORY), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(part for part in parts if part)
        self._path = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)

    @property
    def log(self) -> str:
        return self._path.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def says(self, text: str, times: int = 1) -> None:
        """Wait until the log holds a text."""
        eventually(lambda: self.log.count(text) >= times or not self.running, f"the log says {text!r}")
        assert self.log.count(text) >= times, f"ended without saying {text!r}:\n{self.log}"

    def resident_megabytes(self) -> float:
        """Memory held now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS")

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def end(self, number: int = signal.SIGINT, patience: float = 20.0) -> tuple[int, float]:
        """Send a signal; return exit status and seconds until the end."""
        started = time.monotonic()
        if self.running:
            self.process.send_signal(number)
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running {patience:g} s after signal {number}:\n{self.log}") from None
        return code, time.monotonic() - started


class Robot:
    """The rest of the robot: camera, lifecycle manager, parameter client, listener."""

    def __init__(self, name: str = "robot") -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node(name, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._work = self.node.create_guard_condition(self._run_jobs)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._stopping.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def _run_jobs(self) -> None:
        while not self._jobs.empty():
            self._jobs.get()()

    def do(self, job: Callable[[], Result]) -> Result:
        """Run something on the thread that spins, and return what it returns.

        Everything that makes or destroys an entity goes through here: rclpy raises InvalidHandle in a spinning thread
        when another one destroys what is being waited for, and from then on nothing would arrive any more.
        """
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except Exception as error:
                future.set_exception(error)

        self._jobs.put(run)
        self._work.trigger()
        return future.result(PATIENCE)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.node.destroy_node()
        self._executor.shutdown()
        rclpy.shutdown(context=self.context)

    # Services

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        client = self._client(service_type, name)
        future = client.call_async(request)
        eventually(future.done, f"an answer from {name}")
        return future.result()

    def _client(self, service_type: Any, name: str) -> Any:
        """A client that is connected in both directions: a server may know of a new client a moment after the client.

        Participants tell each other of their endpoints in order, so who answers the second client knows the first.
        """
        if name not in self._clients:
            self._clients[name] = self.do(lambda: self.node.create_client(service_type, name))
            assert self._clients[name].wait_for_service(PATIENCE), f"no service {name}"
            listing = f"{name.rpartition('/')[0]}/list_parameters"
            second = self.do(lambda: self.node.create_client(ListParameters, listing))
            assert second.wait_for_service(PATIENCE), f"no service {listing}"

            def answered() -> bool:
                future = second.call_async(ListParameters.Request())
                return _holds(lambda: eventually(future.done, "an answer", patience=0.5))

            eventually(answered, f"an answer from {listing}")
            self.do(partial(self.node.destroy_client, second))
        return self._clients[name]

    def forget_servers(self) -> None:
        """Drop the connections to nodes that have ended."""
        for client in self._clients.values():
            self.do(partial(self.node.destroy_client, client))
        self._clients.clear()

    def transition(self, name: str, node: str = "perception") -> bool:
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[name]
        return bool(self.call(ChangeState, f"{node}/change_state", request).success)

    def state(self, node: str = "perception") -> str:
        return str(self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label)

    def set(self, node: str = "perception", **values: Any) -> str:
        """Set parameters and return why it was refused, empty when it was not."""
        request = SetParameters.Request()
        request.parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        for result in self.call(SetParameters, f"{node}/set_parameters", request).results:
            if not result.successful:
                return str(result.reason) or "refused without a reason"
        return ""

    def get(self, name: str, node: str = "perception") -> Any:
        answer = self.call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=[name]))
        return Parameter.from_parameter_msg(_named(name, answer.values[0])).value

    def parameters(self, node: str) -> dict[str, Any]:
        """Names and descriptors of a node's own parameters."""
        names = self.call(ListParameters, f"{node}/list_parameters", ListParameters.Request()).result.names
        answer = self.call(DescribeParameters, f"{node}/describe_parameters", DescribeParameters.Request(names=names))
        return {descriptor.name: descriptor for descriptor in answer.descriptors}

    # Topics

    def listen(self, message_type: Any, topic: str, profile: QoSProfile = RELIABLE) -> "Listener":
        return Listener(self, message_type, topic, profile)

    def speaker(self, message_type: Any, topic: str, profile: QoSProfile = RELIABLE) -> Any:
        return self.do(lambda: self.node.create_publisher(message_type, topic, profile))

    def silence(self, speaker: Any) -> None:
        """Destroy a publisher."""
        self.do(lambda: self.node.destroy_publisher(speaker))

    @contextmanager
    def camera(self, topic: str = "image", message_type: Any = Image, readers: int = 1) -> Iterator[Any]:
        """A publisher of images that is connected."""
        publisher = self.speaker(message_type, topic, QoSProfile(depth=5))
        try:
            eventually(lambda: publisher.get_subscription_count() >= readers, f"a reader of {topic}")
            yield publisher
        finally:
            self.silence(publisher)


class Listener:
    """What arrived on a topic, in order."""

    def __init__(self, robot: Robot, message_type: Any, topic: str, profile: QoSProfile) -> None:
        self._robot = robot
        self.topic = topic
        self.messages: queue.Queue[Any] = queue.Queue()
        self._subscription = robot.do(
            lambda: robot.node.create_subscription(message_type, topic, self.messages.put, profile)
        )

    def connected(self, writers: int = 1) -> "Listener":
        eventually(lambda: self._robot.node.count_publishers(self.topic) >= writers, f"a writer of {self.topic}")
        return self

    def next(self, patience: float = PATIENCE) -> Any:
        try:
            return self.messages.get(timeout=patience)
        except queue.Empty:
            raise AssertionError(f"nothing on {self.topic} for {patience:g} s") from None

    def until(self, wanted: Callable[[Any], bool], what: str, patience: float = PATIENCE) -> Any:
        """Return the next message for which something holds, skipping others."""
        deadline = time.monotonic() + patience
        seen: Any = None
        while time.monotonic() < deadline:
            try:
                seen = self.messages.get(timeout=0.1)
            except queue.Empty:
                continue
            if wanted(seen):
                return seen
        raise AssertionError(f"not on {self.topic} in {patience:g} s: {what}; last was {seen}")

    def heard(self) -> list[Any]:
        """Take what has arrived."""
        return [self.messages.get() for _ in range(self.messages.qsize())]

    def close(self) -> None:
        self._robot.do(lambda: self._robot.node.destroy_subscription(self._subscription))


class DiagnosticsListener(Listener):
    """Statuses on /diagnostics."""

    def __init__(self, robot: Robot) -> None:
        super().__init__(robot, DiagnosticArray, "/diagnostics", RELIABLE)

    def says(self, status_name: str, text: str, patience: float = PATIENCE) -> DiagnosticStatus:
        """Wait until a status whose name ends so has a message that holds a text; return it."""
        found: list[DiagnosticStatus] = []

        def wanted(message: DiagnosticArray) -> bool:
            found[:] = [entry for entry in message.status if entry.name.endswith(status_name) and text in entry.message]
            return bool(found)

        self.heard()
        self.until(wanted, f"{status_name} says {text!r}", patience)
        return found[0]


def picture(
    number: int = 1, height: int = 24, width: int = 32, encoding: str = "rgb8", channels: int = 3, value: int = 100
) -> Image:
    """A camera image of one colour whose stamp tells its number."""
    message = Image(height=height, width=width, encoding=encoding, step=width * channels)
    message.header.frame_id = "camera_optical"
    message.header.stamp.sec = number
    message.header.stamp.nanosec = 5
    message.data.frombytes(np.full(height * width * channels, value, np.uint8).tobytes())
    return message


def connect(camera: Any, *listeners: Listener) -> None:
    """Publish until one frame is answered on every topic: the last one under way, since answers keep their order."""
    numbers = count(6)  # pictures of tests have 5

    def answered() -> bool:
        frame = picture()
        frame.header.stamp.nanosec = next(numbers)
        camera.publish(frame)
        return _holds(
            lambda: [one.until(lambda answer: answer.header == frame.header, "", patience=0.5) for one in listeners]
        )

    eventually(answered, "an answer to a frame on every topic")


def _holds(wait: Callable[[], Any]) -> bool:
    try:
        wait()
    except AssertionError:
        return False
    return True


def _named(name: str, value: Any) -> Any:
    from rcl_interfaces.msg import Parameter as ParameterMessage

    return ParameterMessage(name=name, value=value)
