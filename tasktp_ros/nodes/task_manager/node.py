# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What the task manager does in each lifecycle state; `task_manager.py` lists its topics."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from tasktp_ros.errors import TaskError
from tasktp_ros.msg import TaskCategories, TaskGoal
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.clock import node_time
from tasktp_ros.nodes.diagnostics import OK, WARN, explain_mismatches, status
from tasktp_ros.nodes.lifecycle import ManagedNode
from tasktp_ros.nodes.parameters import declare
from tasktp_ros.nodes.task_manager.kept_goals import KeptGoals, usual_file
from tasktp_ros.runtime.default import DEFAULT_VOCABULARY
from tasktp_ros.runtime.vocabularies import find_vocabulary
from tasktp_ros.tasks.goals import ActiveTask, Goal, GoalBook
from tasktp_ros.tasks.rules import GoalRules
from tasktp_ros.tasks.vocabulary import VOCABULARIES

EXPIRY_PERIOD = 0.1
UNCONFIGURED_ONLY = ("rules_file", "vocabulary", "state_file")


class TaskManagerNode(ManagedNode):
    """Keeps the running goals and publishes what they need together."""

    def __init__(self) -> None:
        super().__init__("task_manager")
        self._book: GoalBook | None = None
        self._kept: KeptGoals | None = None
        self._kept_at = 0.0
        self._unkept = False
        self._published: ActiveTask | None = None
        self._revision = 0
        self._problem = ""
        self._refused = 0
        self._goals: Any = None
        self._categories: Any = None
        self._expiry_timer: Any = None
        only_unconfigured = "can be set while the node is unconfigured"
        declare(
            self,
            "rules_file",
            "",
            "Path of the rules that turn goals into categories; empty for the ones that come with the package.",
            constraints=only_unconfigured,
        )
        declare(
            self,
            "vocabulary",
            DEFAULT_VOCABULARY,
            "Vocabulary of the detectors that listen.",
            constraints=f"one of {', '.join(VOCABULARIES)}, or a model's file; {only_unconfigured}",
        )
        declare(
            self,
            "state_file",
            "auto",
            "Where running goals are kept for a restart after a crash; auto: in ROS's folder, empty: nowhere.",
            constraints=only_unconfigured,
        )
        self.add_on_set_parameters_callback(self._check_parameters)

    def configure(self) -> None:
        """Read the rules."""
        self._vocabulary, categories = find_vocabulary(self.get_parameter("vocabulary").value)
        own = self.get_parameter("rules_file").value
        path = own or shipped_rules()
        rules = GoalRules.from_yaml(path, categories)
        for problem in rules.problems if own else ():
            self.get_logger().warning(f"{problem} ({path})")
        self._book = GoalBook(rules, clock=lambda: node_time(self))
        self._bring_back(self._book)
        self._published = None
        self._problem = ""
        self._categories = self.create_lifecycle_publisher(TaskCategories, "task_categories", qos.LATCHED)
        lacking = f"; {len(rules.problems)} tasks go without what it lacks" if rules.problems else ""
        self.get_logger().info(f"rules {path}, vocabulary {self._vocabulary}{lacking}")

    def activate(self) -> None:
        """Say what is wanted now, then take goals."""
        self._publish_changes()
        self._goals = self.create_subscription(TaskGoal, "task_goal", self._receive, qos.GOALS)
        self._expiry_timer = self.create_timer(EXPIRY_PERIOD, self._expire, clock=self.steady_clock)

    def deactivate(self) -> None:
        """Take no more goals; the running ones are kept, and their time goes on."""
        if self._goals is not None:
            self.destroy_subscription(self._goals)
        if self._expiry_timer is not None:
            self.destroy_timer(self._expiry_timer)
        self._goals = self._expiry_timer = None

    def release(self) -> None:
        """Forget goals and rules."""
        self.deactivate()
        if self._book is not None:
            self._keep([])
        if self._categories is not None:
            self.destroy_lifecycle_publisher(self._categories)
        self._categories = self._book = self._kept = None

    def _bring_back(self, book: GoalBook) -> None:
        """Go on with the goals of a node of this name that crashed, or say that they are lost."""
        asked = self.get_parameter("state_file").value
        if not asked:
            return
        path = usual_file(self.get_fully_qualified_name()) if asked == "auto" else Path(asked)
        self._kept = KeptGoals(path, simulated_time=self.get_clock().ros_time_is_active)
        try:
            goals = self._kept.read(book.rules.vocabulary)
        except TaskError as error:
            self.get_logger().warning(str(error))
            self._keep([])
            return
        book.restore(goals)
        ended = book.expire()
        if goals:
            over = f"; the time of {len(ended)} was over" if ended else ""
            self.get_logger().warning(f"{len(book)} goals are brought back after a crash, from {path}{over}")

    def _goals_changed(self, book: GoalBook) -> None:
        """Keep the goals at once, but in a flood of them ten times a second."""
        self._unkept = True
        if time.monotonic() - self._kept_at >= EXPIRY_PERIOD:
            self._keep(book.goals)

    def _keep(self, goals: Sequence[Goal]) -> None:
        self._unkept, self._kept_at = False, time.monotonic()
        if self._kept is None:
            return
        try:
            self._kept.write(goals)
        except OSError as error:
            self.complaints.say(f"goals would not survive a crash: cannot write {self._kept.path}: {error.strerror}")

    def _receive(self, message: TaskGoal) -> None:
        if self._book is None:
            return
        try:
            self._apply(self._book, message)
        except TaskError as error:
            self._refused += 1
            self._problem = f"{error}; the task stays as it is"
            self.complaints.say(self._problem)
            return
        self._problem = ""
        self._goals_changed(self._book)
        self._publish_changes()

    def _apply(self, book: GoalBook, message: TaskGoal) -> None:
        if message.action == TaskGoal.CANCEL:
            book.cancel(message.id)
        elif message.action == TaskGoal.START:
            book.start(
                message.id,
                text=message.text,
                categories=message.categories,
                priority=message.priority,
                time_to_live=message.time_to_live.sec + message.time_to_live.nanosec / 1e9,
            )
        else:
            raise TaskError(
                f"goal {message.id[:80]!r} has the action {message.action}; "
                f"expected {TaskGoal.START} (start) or {TaskGoal.CANCEL} (cancel)"
            )

    def _expire(self) -> None:
        if self._book is None:
            return
        ended = self._book.expire()
        for goal in ended:
            self.get_logger().info(f"the time of goal {goal.goal_id!r} is over")
        if ended or self._unkept:
            self._keep(self._book.goals)
        self._publish_changes()

    def _publish_changes(self) -> None:
        """Publish what is wanted and by which goal, if that is not what was published last."""
        assert self._book is not None
        wanted = self._book.active()
        if wanted == self._published:
            return
        self._published = wanted
        self._revision += 1
        self._categories.publish(
            TaskCategories(
                stamp=self.get_clock().now().to_msg(),
                task_id=wanted.task_id,
                vocabulary=self._vocabulary,
                names=list(wanted.categories or ()),
                revision=self._revision,
            )
        )
        shown = "all categories" if wanted.categories is None else ", ".join(wanted.categories)
        self.get_logger().info(f"task {wanted.task_id!r}, revision {self._revision}: {shown}")

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name in UNCONFIGURED_ONLY and self.state != "unconfigured":
                reason = f"{parameter.name} can only be set while the node is unconfigured; it is {self.state}"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def statuses(self) -> list[DiagnosticStatus]:
        """Return the status of the goals."""
        if self._book is None:
            return [status("goals", OK, "no rules loaded")]
        mismatches = explain_mismatches(
            self, self.resolve_topic_name("task_goal"), ["tasktp_ros/msg/TaskGoal"], qos.GOALS
        )
        problems = [self._problem, *mismatches] if self._problem else mismatches
        wanted = self._book.active()
        shown = "all categories" if wanted.categories is None else ", ".join(wanted.categories)
        return [
            status(
                "goals",
                WARN if problems else OK,
                "; ".join(problems) or f"{len(self._book)} goals running: {shown}",
                goals_running=len(self._book),
                goals_refused=self._refused,
                task_id=wanted.task_id,
                categories=shown,
                revision=self._revision,
            )
        ]


def shipped_rules() -> Path:
    """Find config/tasks.yaml beside a checkout's code, else in the installed package's share folder."""
    beside = Path(__file__).resolve().parents[3] / "config" / "tasks.yaml"
    if beside.is_file():
        return beside
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        return Path(get_package_share_directory("tasktp_ros")) / "config" / "tasks.yaml"
    except PackageNotFoundError as error:
        raise TaskError("the package tasktp_ros is not installed; set the parameter rules_file") from error
