# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Plans by a language model: what servers answer, how they misbehave, and that nothing but plans over the vocabulary gets through."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from fake_llm import chat, drip, http, server

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.plans import MOST_ENDS, MOST_STEPS, Plan
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.tasks.words.build import build_planner
from tasktp_ros.tasks.words.endpoint import MOST_BYTES

TEXT = "erst die Tasse holen, dann den Tisch decken"
FETCH = {"name": "get the cup", "categories": ["cup"], "everything": False,
         "ends": [{"by": "located", "category": "cup", "number": 0}]}  # fmt: skip
LAY = {"name": "lay the table", "categories": ["dining table", "fork"], "everything": False,
       "ends": [{"by": "time", "category": "", "number": 60}]}  # fmt: skip


def ask(url: str, seconds: float = 5.0, times: int = 1) -> Plan:
    planner = build_planner(COCO, url, "some-model", seconds)
    assert planner is not None
    return [planner.plan("goal", TEXT, priority=3) for _ in range(times)][-1]


def answered(*steps: Any) -> Plan:
    with server(lambda request: chat({"steps": list(steps)})) as (url, _):
        return ask(url)


def ends(plan: Plan) -> list[list[str]]:
    return [[end.text for end in step.ends] for step in plan.steps]


def test_a_plan_is_taken_and_kept() -> None:
    with server(lambda request: chat({"steps": [FETCH, LAY]})) as (url, requests):
        plan = ask(url, times=3)
    assert len(requests) == 1 and (plan.plan_id, plan.priority) == ("goal", 3)
    assert [step.name for step in plan.steps] == ["1 get the cup", "2 lay the table"]
    assert [step.categories for step in plan.steps] == [("cup",), ("fork", "dining table")]
    assert ends(plan) == [["located cup", "call"], ["time 60", "call"]]
    schema = requests[0]["response_format"]["json_schema"]["schema"]["properties"]["steps"]["items"]["properties"]
    assert schema["categories"]["items"]["enum"] == list(COCO)
    assert schema["ends"]["items"]["properties"]["by"]["enum"] == ["located", "lost", "time", "call"], "no topics"


def test_what_no_plan_may_hold_is_left_out() -> None:
    wild = {"name": "a/b\n" + "x" * 500, "categories": ["cup", "unicorn", 7, "CUP"], "ends": [
        {"by": "topic", "category": "/cmd_vel", "number": 1}, {"by": "located", "category": "fork", "number": 0},
        {"by": "time", "category": "", "number": 1e12}, {"by": "lost", "category": "cup", "number": -1}, "call", None]}  # fmt: skip
    many = {"name": 3, "everything": True, "ends": [{"by": "time", "number": n} for n in range(1, 50)]}
    plan = answered(wild, many)
    assert plan.steps[0].categories == ("cup",) and plan.steps[1].categories is None
    assert ends(plan)[0] == ["located cup", "call"] and len(plan.steps[1].ends) == MOST_ENDS
    assert "/" not in plan.steps[0].name and len(plan.steps[0].name) <= 80


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Sure! First you get the cup, then ...", "did not answer JSON"),
        (json.dumps({"steps": [FETCH, LAY]})[:-30], "did not answer JSON"),
        ({"steps": []}, "has 0 steps"),
        ({"steps": [FETCH] * (MOST_STEPS + 1)}, f"has {MOST_STEPS + 1} steps"),
        ({"steps": [{**FETCH, "categories": ["unicorn"]}]}, "step 1 of the language model's plan names no category"),
        ({"steps": ["get the cup"]}, "no list `steps`"),
        ({"plan": [FETCH]}, "no list `steps`"),
        ({"steps": {"1": FETCH}}, "no list `steps`"),
    ],
)
def test_what_is_no_plan_is_refused_and_not_kept(content: Any, said: str) -> None:
    answers = [content, {"steps": [FETCH]}]
    with server(lambda request: chat(answers.pop(0))) as (url, requests):
        planner = build_planner(COCO, url, llm_seconds=5.0)
        with pytest.raises(TaskError, match=said):
            planner.plan("goal", TEXT)
        assert len(planner.plan("goal", TEXT).steps) == 1 and len(requests) == 2


def never_ends() -> Any:
    yield f"HTTP/1.1 200 OK\r\nContent-Length: {10 * MOST_BYTES}\r\n\r\n".encode()
    for _ in range(10):
        yield b" " * MOST_BYTES


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda request: (time.sleep(3), b"")[1], "gave no answer in 0.5 s"),
        (lambda request: drip(), "gave no (whole )?answer in 0.5 s"),
        (lambda request: never_ends(), "answered more than 1 MB|gave no whole answer"),
        (lambda request: http("", "302 Found", "Location: http://127.0.0.1:1/v1"), "answered 302"),
        (lambda request: http("busy", "503 Service Unavailable"), "answered 503"),
        (lambda request: b"", "no answer"),
    ],
)
def test_servers_that_misbehave_cost_one_sentence_and_little_time(answer: Callable[[Any], Any], said: str) -> None:
    with server(answer) as (url, requests):
        begun = time.monotonic()
        with pytest.raises(TaskError, match=said):
            ask(url, seconds=0.5)
        assert time.monotonic() - begun < 2.5 and len(requests) == 1


def test_without_a_server_nobody_plans() -> None:
    assert build_planner(COCO, "") is None
    with pytest.raises(TaskError, match="no answer from"):
        ask("http://127.0.0.1:9/v1")
