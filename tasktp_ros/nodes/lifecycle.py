# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Lifecycle nodes that say why a transition failed and can always be configured again.

rclpy swallows what a transition callback raises, and ends the process when a client asks for a transition that the
present state does not have. This base class catches, logs with the cause, and undoes what was half done.
"""

import traceback
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from tasktp_ros.errors import TaskTPError
from tasktp_ros.nodes.bond import Bond
from tasktp_ros.nodes.clock import clock_problem
from tasktp_ros.nodes.complaints import Complaints
from tasktp_ros.nodes.diagnostics import OK, WARN, status
from tasktp_ros.nodes.parameters import declare
from tasktp_ros.nodes.qos import DIAGNOSTICS


class ManagedNode(LifecycleNode):
    """A lifecycle node with guarded transitions, diagnostics and an own autostart.

    Subclasses fill in :meth:`configure`, :meth:`activate`, :meth:`deactivate`, :meth:`release` and :meth:`statuses`.
    `release` undoes configure and activate from any state, is called after every failure, and must not raise.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._failure = ""
        self._levels: list[bytes] = []
        self.complaints = Complaints(lambda text: self.get_logger().warning(text))
        self._bond: Bond | None = None
        self._guard_transition_requests()
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", DIAGNOSTICS)
        autostart = declare(
            self,
            "autostart",
            False,
            "Configure and activate by itself at start, without a lifecycle manager.",
            read_only=True,
        )
        period = declare(
            self,
            "diagnostics_period",
            1.0,
            "Seconds between two diagnostic messages.",
            minimum=0.05,
            maximum=60.0,
            read_only=True,
        )
        declare(
            self,
            "bond",
            False,
            "Keep a bond with nav2's lifecycle manager while active; needs ROS's package bondpy.",
            read_only=True,
        )
        self.create_timer(period, self._watch, clock=self.steady_clock)
        self._start_timer = self.create_timer(0.0, self._start, clock=self.steady_clock) if autostart else None

    # What a node is made of; each may raise, and what it says is logged.

    def configure(self) -> None:
        """Acquire everything that needs no input."""

    def activate(self) -> None:
        """Begin to take input."""

    def deactivate(self) -> None:
        """Stop taking input and forget what has not been worked on."""

    def release(self) -> None:
        """Give back everything, from whatever state."""

    def statuses(self) -> list[DiagnosticStatus]:
        """Return what the node has to report now."""
        return []

    # Transitions

    @property
    def state(self) -> str:
        """Label of the lifecycle state, such as "inactive"."""
        return str(self._state_machine.current_state[1])

    @property
    def active(self) -> bool:
        """Whether the node is in state active."""
        return self.state == "active"

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Acquire; on failure nothing is kept and the node stays unconfigured."""

        def configure() -> None:
            if self.get_parameter("bond").value:
                Bond.check()
            self.configure()

        return self._attempt("configure", configure, undo=self.release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin; on failure the node stays inactive and activate may be tried again."""

        def activate() -> None:
            super(ManagedNode, self).on_activate(state)
            self.activate()
            if self.get_parameter("bond").value:
                self._bond = Bond(self)

        def undo() -> None:
            self.deactivate()
            super(ManagedNode, self).on_deactivate(state)

        return self._attempt("activate", activate, undo)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop; on failure everything is released and the node is unconfigured."""

        def deactivate() -> None:
            self._break_bond()
            self.deactivate()
            super(ManagedNode, self).on_deactivate(state)

        return self._attempt("deactivate", deactivate, failed=TransitionCallbackReturn.ERROR)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back."""
        return self._attempt("cleanup", self.release, failed=TransitionCallbackReturn.ERROR)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back, for good."""
        self._break_bond()
        return self._attempt("shutdown", self.release, failed=TransitionCallbackReturn.ERROR)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release what is left, so that configure works again."""
        self._break_bond()
        self._attempt("error processing", self.release)
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Give back everything before the process ends."""
        self._break_bond()
        self._attempt("shutdown", self.release)

    def _break_bond(self) -> None:
        bond, self._bond = self._bond, None
        if bond is not None:
            bond.end()

    def _attempt(
        self,
        name: str,
        action: Callable[[], None],
        undo: Callable[[], None] = lambda: None,
        failed: TransitionCallbackReturn = TransitionCallbackReturn.FAILURE,
    ) -> TransitionCallbackReturn:
        try:
            action()
        except Exception as error:
            self._failure = f"{name} failed: {' '.join(str(error).split()) or type(error).__name__}"
            details = "" if isinstance(error, TaskTPError) else "\n" + traceback.format_exc()
            self.get_logger().error(self._failure + details)
            try:
                undo()
            except Exception:
                self.get_logger().error(f"undoing {name} failed:\n{traceback.format_exc()}")
            return failed
        self._failure = ""
        return TransitionCallbackReturn.SUCCESS

    def _guard_transition_requests(self) -> None:
        service = self._service_change_state
        change_state = service.callback

        def answer(request: Any, response: Any) -> Any:
            try:
                return change_state(request, response)
            except Exception as error:
                asked = request.transition.label or request.transition.id
                reason = " ".join(str(error).split())
                self.complaints.say(f"transition {asked} is not possible in state {self.state}: {reason}")
                response.success = False
                return response

        service.callback = answer

    def _start(self) -> None:
        if self._start_timer is not None:
            self._start_timer.cancel()
        if self.state == "unconfigured" and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # Parameters

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]) -> SetParametersResult:
        """Set parameters; one that already has its value is no change and succeeds, so that a dumped file can be loaded."""
        changes = [parameter for parameter in parameter_list if not self._is_set(parameter)]
        return super().set_parameters_atomically(changes) if changes else SetParametersResult(successful=True)

    def _is_set(self, parameter: Parameter) -> bool:
        if not self.has_parameter(parameter.name):
            return False
        present = self.get_parameter_or(parameter.name)
        return bool(present.type_ == parameter.type_ and present.value == parameter.value)

    # Diagnostics

    def _watch(self) -> None:
        try:
            self.publish_diagnostics()
        except Exception:
            self.complaints.say("diagnostics failed", traceback.format_exc())

    def publish_diagnostics(self) -> None:
        """Publish all statuses now."""
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [self._lifecycle_status(), *self._clock_statuses(), *self.statuses()]
        for entry in message.status:
            entry.name = f"{self.get_fully_qualified_name().lstrip('/')}: {entry.name}"
            entry.hardware_id = entry.hardware_id or "tasktp_ros"
        self._diagnostics.publish(message)

    def _clock_statuses(self) -> list[DiagnosticStatus]:
        if not self.get_clock().ros_time_is_active:
            return []
        problem = clock_problem(self)
        if problem:
            self.complaints.say(problem)
        return [status("clock", WARN if problem else OK, problem or "time comes from /clock")]

    def _lifecycle_status(self) -> DiagnosticStatus:
        namesakes = [
            pair for pair in self.get_node_names_and_namespaces() if pair == (self.get_name(), self.get_namespace())
        ]
        if len(namesakes) > 1:
            sentence = f"{len(namesakes)} nodes are named {self.get_fully_qualified_name()}; give each its own name or namespace"
            self.complaints.say(sentence)
            return status("lifecycle", DiagnosticStatus.WARN, sentence, state=self.state)
        if self._failure:
            return status("lifecycle", DiagnosticStatus.ERROR, self._failure, state=self.state)
        return status("lifecycle", DiagnosticStatus.OK, self.state, state=self.state)
