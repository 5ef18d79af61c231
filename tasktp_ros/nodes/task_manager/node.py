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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from tasktp_ros.errors import TaskError
from tasktp_ros.msg import TaskCategories, TaskGoal, TaskPlan
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.clock import node_time
from tasktp_ros.nodes.diagnostics import OK, WARN, explain_mismatches, status
from tasktp_ros.nodes.lifecycle import ManagedNode
from tasktp_ros.nodes.task_manager.asker import Answer, Asker, Question
from tasktp_ros.nodes.task_manager.kept_goals import KeptGoals, usual_file
from tasktp_ros.nodes.task_manager.parameters import UNCONFIGURED_ONLY, declare_parameters
from tasktp_ros.nodes.task_manager.plan_runner import PlanRunner
from tasktp_ros.runtime.vocabularies import find_vocabulary
from tasktp_ros.tasks.goals import ActiveTask, Goal, GoalBook
from tasktp_ros.tasks.plans import MOST_STEPS, Plan, RunningPlan, make_plan, make_step, read_plans
from tasktp_ros.tasks.rules import GoalRules
from tasktp_ros.tasks.words.build import build_chain, build_planner, shipped_rules_file
from tasktp_ros.tasks.words.chain import Chain
from tasktp_ros.tasks.words.planner import LanguageModelPlanner
from tasktp_ros.tasks.words.steps import all_understood, plan_of, split_steps

EXPIRY_PERIOD = 0.1


class TaskManagerNode(ManagedNode):
    """Keeps the running goals and publishes what they need together."""

    def __init__(self) -> None:
        super().__init__("task_manager")
        self._book: GoalBook | None = None
        self._chain: Chain | None = None
        self._planner: LanguageModelPlanner | None = None
        self._asker: Asker | None = None
        self._plans: PlanRunner | None = None
        self._known_plans: dict[str, Plan] = {}
        self._first_plan: Plan | None = None
        self._kept: KeptGoals | None = None
        self._kept_at = 0.0
        self._unkept = False
        self._published: ActiveTask | None = None
        self._revision = 0
        self._problem = ""
        self._refused = 0
        self._reason = ""
        self._goals: Any = None
        self._plan_orders: Any = None
        self._categories: Any = None
        self._expiry_timer: Any = None
        declare_parameters(self)
        self._answered = self.create_guard_condition(self._take_answers)
        self.add_on_set_parameters_callback(self._check_parameters)

    def configure(self) -> None:
        """Read the rules."""
        self._vocabulary, categories = find_vocabulary(self.get_parameter("vocabulary").value)
        own = self.get_parameter("rules_file").value
        path = own or shipped_rules_file()
        rules = GoalRules.from_yaml(path, categories)
        for problem in rules.problems if own else ():
            self.get_logger().warning(f"{problem} ({path})")
        self._chain = self._build_chain(rules)
        plans = self.get_parameter("plans_file").value
        self._known_plans = read_plans(plans, categories) if plans else {}
        self._first_plan = self._known_plan(plan) if (plan := self.get_parameter("plan").value) else None
        self._book = GoalBook(self._chain, clock=lambda: node_time(self))
        self._plans = PlanRunner(self, self._book, self._book_changed)
        self._bring_back(self._book)
        self._planner = build_planner(categories, **self._language_model())
        slow = self._chain.has_slow
        self._asker = Asker(self._chain, self._answered.trigger, self._planner) if slow else None
        self._published = None
        self._problem = ""
        self._categories = self.create_lifecycle_publisher(TaskCategories, "task_categories", qos.LATCHED)
        lacking = f"; {len(rules.problems)} tasks go without what it lacks" if rules.problems else ""
        self.get_logger().info(f"rules {path}, vocabulary {self._vocabulary}{lacking}")

    def _build_chain(self, rules: GoalRules) -> Chain:
        chain = build_chain(rules, self.get_parameter("encoder").value, **self._language_model())
        self.get_logger().info(f"words are understood by {', '.join(resolver.name for resolver in chain.resolvers)}")
        return chain

    def _language_model(self) -> dict[str, Any]:
        values = {name: self.get_parameter(name).value for name in ("llm_model", "llm_seconds")}
        return values | {"llm": self.get_parameter("llm_url").value}

    def activate(self) -> None:
        """Say what is wanted now, then take goals."""
        self._publish_changes()
        if self._plans is not None:
            self._plans.activate()
            if self._first_plan is not None and not self._plans.running:
                self._plans.start(self._first_plan)
        self._plan_orders = self.create_subscription(TaskPlan, "task_plan", self._receive_plan, qos.GOALS)
        self._goals = self.create_subscription(TaskGoal, "task_goal", self._receive, qos.GOALS)
        self._expiry_timer = self.create_timer(EXPIRY_PERIOD, self._expire, clock=self.steady_clock)

    def deactivate(self) -> None:
        """Take no more goals; the running ones are kept, and their time goes on."""
        for subscription in (self._goals, self._plan_orders):
            if subscription is not None:
                self.destroy_subscription(subscription)
        if self._plans is not None:
            self._plans.deactivate()
        if self._expiry_timer is not None:
            self.destroy_timer(self._expiry_timer)
        self._goals = self._plan_orders = self._expiry_timer = None

    def release(self) -> None:
        """Forget goals and rules."""
        self.deactivate()
        if self._asker is not None:
            self._asker.close()
        if self._book is not None:
            self._keep([])
        if self._plans is not None:
            self._plans.close()
        if self._categories is not None:
            self.destroy_lifecycle_publisher(self._categories)
        self._categories = self._book = self._kept = self._chain = self._asker = self._plans = self._planner = None

    def _bring_back(self, book: GoalBook) -> None:
        """Go on with the goals of a node of this name that crashed, or say that they are lost."""
        asked = self.get_parameter("state_file").value
        if not asked:
            return
        path = usual_file(self.get_fully_qualified_name()) if asked == "auto" else Path(asked)
        self._kept = KeptGoals(path, simulated_time=self.get_clock().ros_time_is_active)
        try:
            goals, plans = self._kept.read(book.words.vocabulary)
        except TaskError as error:
            self.get_logger().warning(str(error))
            self._keep([])
            return
        book.restore(goals)
        ended = book.expire()
        if plans and self._plans is not None:
            self._plans.restore(plans)
            self.get_logger().warning(f"{len(plans)} plans are brought back after a crash")
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
            self._kept.write(goals, self._plans.running if goals and self._plans else ())
        except OSError as error:
            self.complaints.say(f"goals would not survive a crash: cannot write {self._kept.path}: {error.strerror}")

    def _book_changed(self) -> None:
        if self._book is not None:
            self._goals_changed(self._book)
            self._publish_changes()

    def _receive(self, message: TaskGoal) -> None:
        self._attempt_goal(lambda book: self._apply(book, message))

    def _receive_plan(self, message: TaskPlan) -> None:
        self._attempt_goal(lambda book: self._apply_plan(message))

    def _attempt_goal(self, action: Callable[[GoalBook], None]) -> None:
        """Do what a message asks for; what cannot be done is said, and changes nothing."""
        if self._book is None:
            return
        try:
            action(self._book)
        except TaskError as error:
            self._refuse(str(error))
            return
        self._problem = ""
        self._book_changed()

    def _refuse(self, reason: str) -> None:
        self._refused += 1
        self._problem = f"{reason}; the task stays as it is"
        self.complaints.say(self._problem)

    def _apply(self, book: GoalBook, message: TaskGoal) -> None:
        assert self._plans is not None and self._chain is not None
        if message.action not in (TaskGoal.START, TaskGoal.CANCEL):
            raise TaskError(
                f"goal {message.id[:80]!r} has the action {message.action}; "
                f"expected {TaskGoal.START} (start) or {TaskGoal.CANCEL} (cancel)"
            )
        plan = None
        if message.action == TaskGoal.CANCEL:
            self._cancel(book, message.id)
            return
        if not message.categories and not _seconds(message):
            plan = self._plan_in_words(self._chain, message)
        if plan is None:
            self._start_goal(book, self._chain, message)
        else:
            self._plans.start(plan)
            self._forget(message.id)
            if self._planner is not None and not all_understood(message.text, self._chain):
                self._ask(Question(plan.plan_id, message.text, message.priority, None, node_time(self), True, True))

    def _plan_in_words(self, chain: Chain, message: TaskGoal) -> Plan | None:
        """The plan that a sentence of several steps is; a step that nobody knows is left to slow resolvers, where there are any."""
        try:
            return plan_of(message.id, message.text, chain, message.priority)
        except TaskError:
            if self._asker is None:
                raise
            return None

    def _cancel(self, book: GoalBook, goal_id: str) -> None:
        assert self._plans is not None
        gone = self._forget(goal_id), self._plans.cancel(goal_id)
        if book.running(goal_id) or not any(gone):
            book.cancel(goal_id)

    def _start_goal(self, book: GoalBook, chain: Chain, message: TaskGoal) -> None:
        """Put in force what is known now, and ask the slow resolvers for what is not."""
        assert self._plans is not None
        said = None if message.categories else chain.explain(message.id, message.text)
        asks = self._asker is not None and said is not None and not said.complete and bool(message.text.strip())
        if said is None or said.found or not asks or _seconds(message) < 0:
            book.start(message.id, message.text, message.categories, message.priority, _seconds(message))
            self._forget(message.id)
            self._plans.cancel(message.id)
            self._reason = said.reason if said else ""
        else:
            self.get_logger().info(
                f"goal {message.id[:80]!r}: {message.text[:80]!r} is not known yet, slower resolvers are asked"
            )
        if self._asker is not None and asks:
            lives = _seconds(message) or None
            steps = lives is None and self._planner is not None and len(split_steps(message.text)) > 1
            self._ask(Question(message.id, message.text, message.priority, lives, node_time(self), steps))

    def _ask(self, question: Question) -> None:
        if self._asker is not None and not self._asker.ask(question):
            self.complaints.say(
                f"goal {question.goal_id[:80]!r}: too many goals wait for slow resolvers, they are not asked"
            )

    def _forget(self, goal_id: str) -> bool:
        return self._asker is not None and self._asker.forget(goal_id)

    def _take_answers(self) -> None:
        """Bring what slow resolvers found into force, as a new revision."""
        if self._asker is None or self._book is None or self._chain is None:
            return
        for answer in self._asker.answers():
            if answer.problem:
                self.complaints.say(f"goal {answer.question.goal_id[:80]!r}: {answer.problem}")
            running = self._running_plan(answer.question.goal_id)
            untouched = running is not None and len(running.records) == 1 and answer.plan is not None
            if (answer.question.planned or running is not None) and not untouched:
                continue  # what the rules made of it goes on or is over, and no step is done twice
            try:
                if answer.plan is not None:
                    self._take_plan(self._book, answer.plan)
                else:
                    self._revise(self._book, self._chain, answer)
            except TaskError as error:
                if answer.last:
                    self._refuse(str(error))

    def _running_plan(self, plan_id: str) -> RunningPlan | None:
        running = self._plans.running if self._plans is not None else []
        return next((each for each in running if each.plan.plan_id == (plan_id or "plan")), None)

    def _take_plan(self, book: GoalBook, plan: Plan) -> None:
        """Bring a language model's plan into force, in place of what was known of its goal."""
        assert self._plans is not None
        self._plans.start(plan)
        if book.running(plan.plan_id):
            book.cancel(plan.plan_id)
        self._reason, self._problem = f"a language model's plan of {len(plan.steps)} steps", ""
        self.get_logger().info(f"goal {plan.plan_id[:80]!r}: a language model made a plan of {len(plan.steps)} steps")
        self._book_changed()

    def _revise(self, book: GoalBook, chain: Chain, answer: Answer) -> None:
        asked = answer.question
        categories = chain.categories(asked.goal_id, asked.text, answer.understanding)
        now = node_time(self)
        if (
            asked.time_to_live
            and asked.started is not None
            and now is not None
            and now - asked.started >= asked.time_to_live
        ):
            return  # it is over
        book.put(asked.goal_id, categories, asked.priority, asked.time_to_live, asked.started)
        self._reason, self._problem = answer.understanding.reason, ""
        self._book_changed()

    def _apply_plan(self, message: TaskPlan) -> None:
        assert self._plans is not None and self._chain is not None
        self._forget(message.id)
        if message.action == TaskPlan.CANCEL:
            if not self._plans.cancel(message.id):
                raise TaskError(f"cannot cancel plan {message.id[:80]!r}: no plan of this id is running")
        elif message.action == TaskPlan.START:
            self._plans.start(self._plan(message, self._chain))
        else:
            raise TaskError(
                f"plan {message.id[:80]!r} has the action {message.action}; expected 0 (start) or 1 (cancel)"
            )

    def _plan(self, message: TaskPlan, chain: Chain) -> Plan:
        if not message.steps:
            return replace(self._known_plan(message.id), priority=message.priority)
        steps = []
        for step in message.steps[: MOST_STEPS + 1]:
            names = chain.resolve(step.name, step.text, step.categories)
            steps.append(make_step(step.name, names, list(step.ends), chain.vocabulary))
        return make_plan(message.id, steps, message.priority)

    def _known_plan(self, name: str) -> Plan:
        if name not in self._known_plans:
            listed = ", ".join(self._known_plans) or "none"
            raise TaskError(f"plan {name[:80]!r} has no steps, and the file of plans has none of this name: {listed}")
        return self._known_plans[name]

    def _expire(self) -> None:
        if self._book is None:
            return
        ended = self._book.expire()
        for goal in ended:
            self.get_logger().info(f"the time of goal {goal.goal_id!r} is over")
        if ended or self._unkept:
            self._keep(self._book.goals)
        self._publish_changes()
        if self._plans is not None:
            self._plans.look_at_the_clock()

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
        problems += self._plans.silent_topics() if self._plans is not None else []
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
                reason=self._reason,
                still_asked=self._asker.waiting if self._asker is not None else 0,
                plans_running=len(self._plans.running) if self._plans is not None else 0,
            )
        ]


def _seconds(message: TaskGoal) -> float:
    return float(message.time_to_live.sec + message.time_to_live.nanosec / 1e9)
