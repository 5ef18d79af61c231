# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Slow resolvers are asked in a thread of its own: answers come in order, and none that nobody wants any more."""

import threading
import time
from collections.abc import Callable

from tasktp_ros.nodes.task_manager.asker import MOST_WAITING, Answer, Asker, Question
from tasktp_ros.tasks.rules import GoalRules
from tasktp_ros.tasks.words.answer import Match
from tasktp_ros.tasks.words.chain import Chain
from tasktp_ros.tasks.words.reading import Reading


class Slow:
    """Knows that everything is a cup, once it may answer."""

    name, slow = "slow", True

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked = threading.Event()

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        self.asked.set()
        assert self.may_answer.wait(10)
        if "crash" in reading.texts:
            raise RuntimeError("a bug")
        return [Match((0, len(reading.words)), {"cup": 0.5}, "a guess", self.name)]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def last_answers(asker: Asker, count: int) -> list[Answer]:
    found: list[Answer] = []
    eventually(lambda: found.extend(answer for answer in asker.answers() if answer.last) or len(found) >= count)
    return found


def question(name: str, text: str = "fetch something") -> Question:
    return Question(name, text, 0, None, None)


def make() -> tuple[Asker, Slow]:
    slow = Slow()
    return Asker(Chain(GoalRules({"look": {"categories": "all"}}, ["cup"]), [slow]), lambda: None), slow


def test_every_question_has_its_last_answer_even_after_a_bug() -> None:
    asker, slow = make()
    slow.may_answer.set()
    names = [f"goal {number}" for number in range(30)]
    for name in names:
        assert asker.ask(question(name, "crash" if name == "goal 7" else f"fetch {name}"))
    found = {answer.question.goal_id: answer for answer in last_answers(asker, 30)}
    assert list(found) == names and asker.waiting == 0
    assert "a bug" in found["goal 7"].problem and found["goal 8"].understanding.ranked == {"cup": 0.5}
    asker.close()


def test_what_was_forgotten_or_asked_anew_has_no_answer() -> None:
    asker, slow = make()
    for name in ("a", "b", "a"):
        assert asker.ask(question(name))
    assert asker.forget("b") and not asker.forget("b")
    slow.may_answer.set()
    assert [answer.question.goal_id for answer in last_answers(asker, 1)] == ["a"]
    time.sleep(0.05)
    assert asker.answers() == []
    asker.close()


def test_what_is_forgotten_while_it_is_asked_has_no_answer() -> None:
    asker, slow = make()
    asker.ask(question("a"))
    assert slow.asked.wait(10) and asker.forget("a")
    asker.ask(question("b"))
    slow.may_answer.set()
    found: list[Answer] = []
    eventually(lambda: found.extend(asker.answers()) or any(answer.last for answer in found))
    assert {answer.question.goal_id for answer in found} == {"b"}
    asker.close()


def test_too_many_questions_are_refused_and_keep_the_one_before() -> None:
    asker, slow = make()
    accepted = sum(asker.ask(question(f"goal {number}")) for number in range(MOST_WAITING + 10))
    assert MOST_WAITING <= accepted <= MOST_WAITING + 1
    assert not asker.ask(question("goal 0")) and asker.waiting == accepted
    slow.may_answer.set()
    asker.close()
