# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Runs plans: listens for what ends their steps and reports their history.

A step is a goal of the book, named PLAN/STEP, so its set counts as any goal's does, and perception changes sets between two frames only.
Detections and the robot's topics are listened to only while a step waits for them.
"""

import importlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from vision_msgs.msg import Detection2DArray

from tasktp_ros.errors import InputError, TaskError
from tasktp_ros.msg import TaskPlan, TaskPlans, TaskStep
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.clock import node_time
from tasktp_ros.nodes.parameters import resolve_topic
from tasktp_ros.nodes.task_manager.kept_goals import OTHER_CLOCK
from tasktp_ros.srv import FinishStep
from tasktp_ros.tasks.goals import GoalBook
from tasktp_ros.tasks.plans import End, Plan, RunningPlan, field_of

MOST_PLANS = 16
MOST_ENDED = 8


class PlanRunner:
    """The plans of one task manager.

    Args:
        node: whose topics are used.
        book: where running steps are goals.
        changed: called when the book has changed.
    """

    def __init__(self, node: Node, book: GoalBook, changed: Callable[[], None]) -> None:
        self._node = node
        self._book = book
        self._changed = changed
        self._running: dict[str, RunningPlan] = {}
        self._ended: deque[RunningPlan] = deque(maxlen=MOST_ENDED)
        self._detections: Any = None
        self._listening: dict[tuple[str, str], Any] = {}
        self._reports: Any = node.create_lifecycle_publisher(TaskPlans, "task_plans", qos.LATCHED)
        self._service: Any = None
        self._active = False

    @property
    def running(self) -> list[RunningPlan]:
        """The plans that run, oldest first."""
        return list(self._running.values())

    def restore(self, plans: list[RunningPlan]) -> None:
        """Go on with plans of a node that crashed; their goals are restored with the book."""
        for plan in plans:
            last = plan.records[-1]
            plan.records[-1] = replace(last, started=self._now() if last.started == OTHER_CLOCK else last.started)
        self._running = {plan.plan.plan_id: plan for plan in plans if self._book.running(plan.goal_id)}

    def activate(self) -> None:
        """Listen, and report."""
        self._active = True
        self._service = self._node.create_service(FinishStep, "~/finish_step", self._finish_step)
        self._listen()
        self._report()

    def deactivate(self) -> None:
        """Listen no more; plans stay where they are."""
        self._active = False
        if self._service is not None:
            self._node.destroy_service(self._service)
        self._service = None
        self._listen()

    def close(self) -> None:
        """Forget all plans."""
        self._running.clear()
        self.deactivate()
        self._node.destroy_lifecycle_publisher(self._reports)

    def start(self, plan: Plan) -> None:
        """Start a plan, or start it anew.

        Raises:
            TaskError: too many plans, or a step that waits for a topic whose type is not installed or whose name cannot be.
        """
        now = self._now()
        for step in plan.steps:
            for end in step.ends:
                if end.kind == "topic":
                    self._find(end)
        if plan.plan_id not in self._running and len(self._running) >= MOST_PLANS:
            raise TaskError(
                f"plan {plan.plan_id!r} rejected: {MOST_PLANS} plans are running already, cancel some first"
            )
        running = RunningPlan(plan)
        running.begin(now)
        before = self._running.pop(plan.plan_id, None)
        if before is not None:
            self._end_goal(before)
            before.cancel(now, "started anew")
            self._ended.append(before)
        self._book.put(running.goal_id, running.step.categories, plan.priority)
        self._running[plan.plan_id] = running
        self._after_change()

    def cancel(self, plan_id: str) -> bool:
        """End a plan; False where none of this id runs."""
        running = self._running.pop(plan_id, None)
        if running is None:
            return False
        self._end_goal(running)
        running.cancel(self._now(), "cancelled")
        self._ended.append(running)
        self._after_change()
        return True

    def look_at_the_clock(self) -> None:
        """End the steps whose time is over."""
        for running in self.running:
            self._end_step(running, running.why_by_time(self._now()))

    def silent_topics(self) -> list[str]:
        """One sentence for each topic that a step waits for and nobody sends."""
        return [
            f"a step waits for {topic}, which nobody sends"
            for topic, _ in self._listening
            if not self._node.count_publishers(topic)
        ]

    def _now(self) -> float:
        return node_time(self._node) or 0.0

    def _end_step(self, running: RunningPlan, reason: str) -> None:
        if not reason or running.over:
            return
        self._end_goal(running)
        step = running.step.name
        running.advance(self._now(), reason)
        if running.over:
            self._running.pop(running.plan.plan_id, None)
            self._ended.append(running)
        else:
            self._book.put(running.goal_id, running.step.categories, running.plan.priority)
        follows = "the plan is done" if running.over else f"{running.step.name!r} begins"
        self._node.get_logger().info(f"plan {running.plan.plan_id!r}: step {step!r} ends ({reason}), {follows}")
        self._after_change()

    def _end_goal(self, running: RunningPlan) -> None:
        if self._book.running(running.goal_id):
            self._book.cancel(running.goal_id)

    def _after_change(self) -> None:
        self._listen()
        self._changed()
        self._report()

    # What is listened to

    def _listen(self) -> None:
        """Subscribe to what running steps wait for, and to nothing else."""
        ends = [(plan, end) for plan in self.running for end in plan.step.ends] if self._active else []
        seeing = any(end.kind in ("located", "lost") for _, end in ends)
        if seeing and self._detections is None:
            self._detections = self._node.create_subscription(
                Detection2DArray, "detections", self._on_frame, qos.RESULTS
            )
        elif not seeing and self._detections is not None:
            self._node.destroy_subscription(self._detections)
            self._detections = None
        wanted = {}
        for _, end in ends:
            if end.kind == "topic":
                topic, kind = self._find(end)
                wanted[topic, end.topic[1]] = kind
        for key in [key for key in self._listening if key not in wanted]:
            self._node.destroy_subscription(self._listening.pop(key))
        for key, kind in wanted.items():
            if key not in self._listening:

                def receive(message: Any, key: tuple[str, str] = key) -> None:
                    self._on_message(key, message)

                self._listening[key] = self._node.create_subscription(kind, key[0], receive, qos.RESULTS)

    def _find(self, end: End) -> tuple[str, Any]:
        """The topic of an end in full, and the class of its messages; raises TaskError."""
        topic, type_name, _, _ = end.topic
        parts = type_name.split("/")
        try:
            full = resolve_topic(self._node, topic)
            if len(parts) != 3 or parts[1] != "msg" or not all(part.isidentifier() for part in parts):
                raise TaskError(f"{type_name[:80]!r} is no type of messages: expected one such as std_msgs/msg/String")
            kind = getattr(importlib.import_module(f"{parts[0]}.msg"), parts[2])
            if not hasattr(kind, "get_fields_and_field_types"):
                raise AttributeError
        except InputError as error:
            raise TaskError(str(error)) from error
        except (ImportError, AttributeError) as error:
            raise TaskError(f"a step waits for {topic} of type {type_name}, which is not installed") from error
        return full, kind

    def _on_frame(self, message: Detection2DArray) -> None:
        seen = {detection.results[0].hypothesis.class_id for detection in message.detections if detection.results}
        for running in self.running:
            self._end_step(running, running.why_after_frame(self._now(), seen))

    def _on_message(self, key: tuple[str, str], message: Any) -> None:
        for running in self.running:
            for end in running.ends("topic"):
                if (self._find(end)[0], end.topic[1]) == key:
                    self._end_step(running, running.why_after_message(end, field_of(message, end.topic[2])))
                    break

    def _finish_step(self, request: Any, response: Any) -> Any:
        plan_id = request.plan_id or (next(iter(self._running)) if len(self._running) == 1 else "")
        running = self._running.get(plan_id)
        if running is None:
            which = f"no plan {plan_id[:80]!r} runs" if plan_id else f"{len(self._running)} plans run: name one"
            response.success, response.message = False, which
            return response
        step = running.step.name
        self._end_step(running, "called")
        response.success, response.message = True, f"step {step!r} of plan {plan_id!r} has ended"
        return response

    # What is reported

    def _report(self) -> None:
        if self._active:
            plans = [_message(running) for running in (*self._ended, *self.running)]
            self._reports.publish(TaskPlans(stamp=self._node.get_clock().now().to_msg(), plans=plans))


def _message(running: RunningPlan) -> TaskPlan:
    steps = []
    for number, step in enumerate(running.plan.steps):
        report = TaskStep(name=step.name, categories=list(step.categories or ()), ends=[end.text for end in step.ends])
        if number < len(running.records):
            record = running.records[number]
            report.state = TaskStep.RUNNING if record.ended is None else TaskStep.DONE
            report.started, report.reason = _time(record.started), record.reason
            report.ended = _time(record.ended or 0.0)
        steps.append(report)
    return TaskPlan(id=running.plan.plan_id, priority=running.plan.priority, steps=steps, outcome=running.over)


def _time(seconds: float) -> Time:
    nanoseconds = max(0, min(round(seconds * 1e9), (2**31 - 1) * 10**9))
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
