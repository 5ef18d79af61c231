# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Long tasks and slow resolvers over DDS: what is known counts at once, the rest later; plans go on step by step, over a crash too."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_llm import chat, server
from harness import LATCHED, DiagnosticsListener, Listener, NodeProcess, Robot, eventually
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from tasktp_ros.msg import TaskCategories, TaskGoal, TaskPlan, TaskPlans, TaskStep
from tasktp_ros.srv import FinishStep
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

Start = Callable[..., NodeProcess]
BOTTLE = {"categories": [{"name": "bottle", "confidence": 0.8, "reason": "holds water"}], "everything": False}

SPEAKERS: dict[tuple[Robot, str], Any] = {}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "goals.json"


@pytest.fixture
def manage(robot: Robot, start: Start, state: Path) -> Callable[..., NodeProcess]:
    def manage(**parameters: Any) -> NodeProcess:
        common = {
            "vocabulary": "coco",
            "autostart": True,
            "diagnostics_period": 0.1,
            "state_file": state,
            "encoder": "none",
        }
        process = start(["-m", "tasktp_ros.nodes.task_manager"], **{**common, **parameters})
        process.says("revision 1")
        return process

    return manage


@pytest.fixture
def task(robot: Robot) -> Iterator[Listener]:
    listener = robot.listen(TaskCategories, "task_categories", LATCHED)
    yield listener
    listener.close()


def send(robot: Robot, kind: Any, topic: str, message: Any) -> None:
    """Publish once there is a reader; publishers stay, since a message may still be on its way when one is destroyed."""
    if (robot, topic) not in SPEAKERS:
        SPEAKERS[robot, topic] = robot.speaker(kind, topic, QoSProfile(depth=50))
    speaker = SPEAKERS[robot, topic]
    eventually(speaker.get_subscription_count, f"somebody listens to {topic}")
    time.sleep(0.2)
    speaker.publish(message)


def goal(robot: Robot, **fields: Any) -> None:
    send(robot, TaskGoal, "task_goal", TaskGoal(**fields))


def see(robot: Robot, *names: str) -> None:
    message = Detection2DArray()
    for name in names:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = name
        message.detections.append(Detection2D(results=[result]))
    send(robot, Detection2DArray, "detections", message)


def looks_for(task: Listener, *names: str) -> Any:
    return task.until(lambda message: list(message.names) == list(names), f"the robot looks for {names}")


def test_what_is_known_counts_at_once_and_what_comes_later_is_a_new_revision(
    robot: Robot, manage: Any, task: Listener, diagnostics: DiagnosticsListener
) -> None:
    def answer(request: dict[str, Any]) -> bytes:
        text = request["messages"][-1]["content"]
        time.sleep(2.0 if "slowly" in text else 0.5)
        return chat("prose") if "badly" in text else chat(BOTTLE)

    with server(answer) as (url, requests):
        process = manage(llm_url=url, llm_seconds=5.0)
        goal(robot, id="fire", text="bring a cup and extinguish the fire")
        first = looks_for(task, "cup")
        second = looks_for(task, "bottle", "cup")
        assert second.revision == first.revision + 1 and second.task_id == "fire"
        diagnostics.says("goals", "1 goals running: bottle, cup")
        goal(robot, id="unknown", text="extinguish slowly")
        goal(robot, id="sink", categories=["sink"], priority=1)
        looks_for(task, "sink")
        assert len(requests) == 2, "the node takes goals while the model thinks"
        goal(robot, id="unknown", action=TaskGoal.CANCEL)
        goal(robot, id="bad", text="extinguish badly", priority=2)
        process.says("did not answer JSON")
        process.says("goal 'bad' with the text 'extinguish badly' names no known task")
    assert not any("unknown" in message.task_id for message in task.heard()) and "Traceback" not in process.log


def test_a_language_model_plans_what_the_rules_do_not_understand(robot: Robot, manage: Any, task: Listener) -> None:
    """What is known of it counts meanwhile; where the model fails, that stays."""

    def answer(request: dict[str, Any]) -> bytes:
        time.sleep(0.5)
        if "badly" in request["messages"][-1]["content"]:
            return chat("prose")
        steps = [
            {"name": "put it out", "categories": ["bottle"], "ends": []},
            {"name": "rest", "categories": ["couch"]},
        ]
        return chat({"steps": steps})

    with server(answer) as (url, requests):
        process = manage(llm_url=url, llm_seconds=5.0)
        goal(robot, id="fire", text="get a cup and extinguish the fire, then frobnicate the gizmo")
        looks_for(task, "cup")
        planned = looks_for(task, "bottle")
        assert planned.task_id == "fire/1 put it out" and len(requests) == 1
        see(robot, "bottle")
        looks_for(task, "couch")
        goal(robot, id="fire", action=TaskGoal.CANCEL)
        goal(robot, id="bad", text="get a vase, then frobnicate it badly")
        looks_for(task, "vase")
        process.says("no plan by a language model: the language model did not answer JSON")
        goal(robot, id="bad", action=TaskGoal.CANCEL)
        goal(robot, id="gone", text="get a cup, then fetch the bowl and the gizmo")
        assert looks_for(task, "cup").task_id.startswith("gone/")
        eventually(lambda: "gizmo" in requests[-1]["messages"][-1]["content"], "the model is asked for a plan")
        send(robot, TaskPlan, "task_plan", TaskPlan(id="gone", action=TaskPlan.CANCEL))
        time.sleep(1.0)
        assert not any(message.task_id == "gone/1 put it out" for message in task.heard())
    assert "Traceback" not in process.log


def test_a_plan_goes_on_by_what_happens_and_tells_its_history(
    robot: Robot, manage: Any, task: Listener, tmp_path: Path, diagnostics: DiagnosticsListener
) -> None:
    plans = tmp_path / "plans.yaml"
    plans.write_text("plans: {rest: [{name: sit, categories: [chair], ends: [time 0.5]}]}")
    manage(plans_file=plans)
    reports = robot.listen(TaskPlans, "task_plans", LATCHED)
    steps = [
        TaskStep(name="find", categories=["cup"], ends=["located cup"]),
        TaskStep(
            name="wash",
            text="wash the bowls in the sink",
            ends=["topic /mission std_msgs/msg/String data DONE", "time 600"],
        ),
        TaskStep(name="rest", categories=["couch", "chair"], ends=["call"]),
    ]
    send(robot, TaskPlan, "task_plan", TaskPlan(id="p", steps=steps))
    assert looks_for(task, "cup").task_id == "p/find"
    see(robot, "cup", "sink")
    looks_for(task, "bowl", "sink")
    send(robot, String, "mission", String(data="BUSY"))
    send(robot, String, "mission", String(data="DONE"))
    looks_for(task, "chair", "couch")
    assert not robot.call(FinishStep, "/task_manager/finish_step", FinishStep.Request(plan_id="q")).success
    done = robot.call(FinishStep, "/task_manager/finish_step", FinishStep.Request())
    assert done.success and "'rest' of plan 'p'" in done.message
    looks_for(task)
    last = reports.until(lambda message: [plan.outcome for plan in message.plans] == ["done"], "the plan is done")
    (report,) = last.plans
    assert [step.reason for step in report.steps] == ["located cup", "/mission says data = DONE", "called"]
    assert all(step.state == TaskStep.DONE for step in report.steps)
    times = [step.started.sec + step.started.nanosec / 1e9 for step in report.steps]
    assert times == sorted(times)
    goal(robot, id="g", text="first get the cup from the kitchen, then put it on the table")
    looks_for(task, "cup")
    goal(robot, id="g", action=TaskGoal.CANCEL)
    looks_for(task)
    send(robot, TaskPlan, "task_plan", TaskPlan(id="rest"))
    looks_for(task, "chair")
    looks_for(task)
    reports.close()


def test_plans_that_cannot_be_are_refused_in_one_sentence(
    robot: Robot, manage: Any, diagnostics: DiagnosticsListener
) -> None:
    process = manage()

    def step(**fields: Any) -> TaskStep:
        return TaskStep(**{"name": "a", "categories": ["cup"], "ends": ["call"], **fields})

    for plan, reason in (
        (TaskPlan(id="p"), "has no steps, and the file of plans has none"),
        (TaskPlan(id="", steps=[step()]), "cannot be the name of a plan"),
        (TaskPlan(id="p", steps=[step(), step()]), "two steps 'a'"),
        (TaskPlan(id="p", steps=[step(name=str(i)) for i in range(70)]), "has 65 steps"),
        (TaskPlan(id="p", steps=[step(categories=["unicorn"])]), "does not have: 'unicorn'"),
        (TaskPlan(id="p", steps=[step(categories=[], text="blah")]), "names no known task"),
        (TaskPlan(id="p", steps=[step(ends=["topic /x no_msgs/msg/Thing a 1"])]), "which is not installed"),
        (TaskPlan(id="p", steps=[step(ends=["topic /x os/path/sep a 1"])]), "is no type of messages"),
        (
            TaskPlan(id="p", steps=[step(ends=["topic /1/x std_msgs/msg/String data 1"])]),
            "cannot be the name of a topic",
        ),
        (TaskPlan(id="p", action=TaskPlan.CANCEL), "no plan of this id is running"),
        (TaskPlan(id="p", action=7), "has the action 7"),
    ):
        send(robot, TaskPlan, "task_plan", plan)
        diagnostics.says("goals", reason)
    assert "Traceback" not in process.log


def test_a_running_plan_survives_a_crash(robot: Robot, manage: Any, task: Listener, state: Path) -> None:
    first = manage()
    steps = [
        TaskStep(name="a", categories=["cup"], ends=["call"]),
        TaskStep(name="b", categories=["sink"], ends=["call"]),
    ]
    send(robot, TaskPlan, "task_plan", TaskPlan(id="p", steps=steps))
    looks_for(task, "cup")
    assert robot.call(FinishStep, "/task_manager/finish_step", FinishStep.Request()).success
    eventually(lambda: state.is_file() and "p/b" in state.read_text(), "the second step is kept")
    first.end(signal.SIGKILL)
    robot.forget_servers()
    manage().says("1 plans are brought back after a crash")
    looks_for(task, "sink")
    assert robot.call(FinishStep, "/task_manager/finish_step", FinishStep.Request(plan_id="p")).success
    looks_for(task)
