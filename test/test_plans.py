# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Long tasks: how steps end, what a plan must be, and sentences of several steps."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.plans import RunningPlan, field_of, make_plan, make_step, read_plans, same_value
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.tasks.words.build import build_chain, shipped_rules
from tasktp_ros.tasks.words.steps import plan_of, split_steps

GOOD = "plans: {serve: [{name: find, categories: [cup], ends: [located cup]}, {name: look, categories: all, ends: [time 3]}]}"


def running(*ends: str, categories: tuple[str, ...] = ("cup", "sink")) -> RunningPlan:
    steps = [make_step("first", categories, ends, COCO), make_step("second", ["book"], ["call"], COCO)]
    plan = RunningPlan(make_plan("p", steps))
    plan.begin(100.0)
    return plan


def test_a_step_ends_when_something_is_located() -> None:
    plan = running("located cup")
    assert plan.why_after_frame(101, {"sink", "book"}) == ""
    assert plan.why_after_frame(102, {"cup"}) == "located cup"
    anything = running("located")
    assert anything.why_after_frame(101, {"book"}) == "" and anything.why_after_frame(102, {"sink"}) == "located sink"


def test_frames_in_a_row_have_no_gap() -> None:
    plan = running("located cup 3")
    frames = [{"cup"}, {"cup"}, set(), {"cup"}, {"cup"}, {"cup"}]
    assert [bool(plan.why_after_frame(100 + i, seen)) for i, seen in enumerate(frames)] == [False] * 5 + [True]


def test_what_is_lost_was_not_on_the_frames_of_some_seconds() -> None:
    plan = running("lost cup 2")
    told = [(101, {"cup"}), (102, set()), (102.9, {"cup"}), (104, set()), (104.8, {"sink"}), (105, set())]
    assert [plan.why_after_frame(now, seen) for now, seen in told] == [""] * 5 + ["lost cup for 2 s"]


def test_a_step_ends_by_time_and_a_clock_set_back_starts_it_anew() -> None:
    plan = running("time 5")
    assert plan.why_by_time(104.9) == "" and plan.why_by_time(105) == "5 s are over"
    assert plan.why_by_time(50) == "" and plan.why_by_time(54.9) == "" and plan.why_by_time(55.1)


def test_a_step_ends_by_a_topic_of_the_robot() -> None:
    plan = running("topic /nav/status action_msgs/msg/GoalStatusArray status_list.-1.status 4")
    (end,) = plan.ends("topic")
    message = SimpleNamespace(status_list=[SimpleNamespace(status=6), SimpleNamespace(status=4)])
    assert plan.why_after_message(end, field_of(message, end.topic[2])) == "/nav/status says status_list.-1.status = 4"
    assert field_of(message, "status_list.7.status") is None and field_of(message, "nothing.here") is None
    assert plan.why_after_message(end, None) == ""


def test_values_are_compared_as_what_they_are() -> None:
    assert same_value(True, "true") and same_value(4.0, "4") and same_value("DONE", "DONE") and same_value(b"\x04", "4")
    assert not same_value(1, "one") and not same_value(False, "0") and not same_value("done", "DONE")


def test_history_tells_when_each_step_ended_and_why() -> None:
    plan = running("call")
    assert plan.goal_id == "p/first"
    plan.advance(103.0, "called")
    assert plan.goal_id == "p/second" and not plan.over
    plan.advance(104.0, "called")
    assert [(r.started, r.ended, r.reason) for r in plan.records] == [(100, 103, "called"), (103, 104, "called")]
    assert plan.over == "done" and plan.why_by_time(1e6) == "" and plan.why_after_frame(200, {"cup"}) == ""


@pytest.mark.parametrize(
    ("name", "categories", "ends", "sentence"),
    [
        ("a", [], ["call"], "it looks for nothing"),
        ("a", ["unicorn"], ["call"], "does not have 'unicorn'"),
        ("a", ["cup"], [], "has 0 ends"),
        ("a", ["cup"], ["call"] * 9, "has 9 ends"),
        ("a", ["cup"], ["located sink"], "'sink' is located, but does not look for it"),
        ("a", ["cup"], ["soon"], "cannot end by 'soon'"),
        ("a", ["cup"], [""], "cannot end by ''"),
        ("a", ["cup"], ["time -3"], "cannot end by"),
        ("a", ["cup"], ["time nan"], "cannot end by"),
        ("a", ["cup"], ["time inf"], "cannot end by"),
        ("a", ["cup"], ["lost cup"], "cannot end by"),
        ("a", ["cup"], ["located cup 1.5"], "cannot end by"),
        ("a", ["cup"], ["topic /a std_msgs/msg/String data"], "cannot end by"),
        ("a", ["cup"], ["topic /a std_msgs/msg/String data " + "x" * 1_000_000], "cannot end by"),
        ("", ["cup"], ["call"], "cannot be the name of a step"),
        ("a/b", ["cup"], ["call"], "cannot be the name of a step"),
    ],
)
def test_a_step_that_cannot_be_is_one_sentence(name: str, categories: list, ends: list, sentence: str) -> None:
    with pytest.raises(TaskError, match=sentence) as error:
        make_step(name, categories, ends, COCO)
    assert len(str(error.value)) < 400


def test_no_plan_goes_in_circles_or_nowhere() -> None:
    step = make_step("a", ["cup"], ["call"], COCO)
    for steps, sentence in (([step, step], "two steps 'a'"), ([], "has 0 steps"), ([step] * 65, "has 65 steps")):
        with pytest.raises(TaskError, match=sentence):
            make_plan("p", steps)


def test_plans_are_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(GOOD)
    (plan,) = read_plans(path, COCO).values()
    assert [(step.name, step.categories) for step in plan.steps] == [("find", ("cup",)), ("look", None)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("plans: [", "not valid YAML"),
        ("", "no table `plans`"),
        ("plans: 3", "no table `plans`"),
        ("plans: {a: cup}", "must be a list of steps"),
        ("plans: {a: []}", "has 0 steps"),
        ("plans: {a: [cup]}", "must be a table with name, categories and ends"),
        (
            "plans: {a: [{name: b, categories: [cup], ends: [call], next: b}]}",
            "must be a table with name, categories and ends",
        ),
        ("plans: {a: [{name: 3, categories: [cup], ends: [call]}]}", "must have a text"),
        ("plans: {a: [{name: b, categories: some, ends: [call]}]}", "must have a text"),
        ("plans: {a: &x [*x]}", "must be a table with name, categories and ends"),
        ("plans: &x {a: *x}", "must be a list of steps"),
        ("plans: {a: [{name: b, categories: [unicorn], ends: [call]}]}", "does not have 'unicorn'"),
        ("plans: " + "[" * 5000, "not valid YAML"),
    ],
)
def test_a_broken_file_of_plans_is_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(content)
    with pytest.raises(TaskError, match=sentence) as error:
        read_plans(path, COCO)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(TaskError, match="cannot read the plans"):
        read_plans(tmp_path / "none.yaml", COCO)


def test_a_sentence_of_several_steps_is_a_plan() -> None:
    chain = build_chain(shipped_rules(COCO), encoder="none")
    plan = plan_of(
        "g", "First get the cup from the kitchen, then put it on the table; and after that go to the sink.", chain
    )
    assert plan is not None
    assert [step.categories for step in plan.steps] == [("cup",), ("cup", "dining table"), ("sink",)]
    assert [[end.text for end in step.ends] for step in plan.steps] == [
        *(["located cup", "call"], ["located dining table", "call"], ["call"]),
    ]
    assert plan_of("g", "bring a cup", chain) is None
    with pytest.raises(TaskError, match="step 2 of goal 'g', 'juggle', names no known task"):
        plan_of("g", "get a cup, then juggle", chain)
    assert len(split_steps("cup then " * 100_000)) < 1000
