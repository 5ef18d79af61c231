# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Asks the slow resolvers in a thread of its own, so that the node never waits for any of them."""

import queue
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.plans import Plan
from tasktp_ros.tasks.words.answer import Understanding
from tasktp_ros.tasks.words.chain import Chain
from tasktp_ros.tasks.words.planner import LanguageModelPlanner

MOST_WAITING = 64


@dataclass(frozen=True)
class Question:
    """A goal whose words are not wholly understood yet; times in seconds, `started` that of its arrival.

    `steps`: its words are several steps, so that a planner is asked first. `planned`: the rules' plan for them runs meanwhile.
    """

    goal_id: str
    text: str
    priority: int
    time_to_live: float | None
    started: float | None
    steps: bool = False
    planned: bool = False


@dataclass(frozen=True)
class Answer:
    """What is known of a goal now; `last`: nobody is left to ask. `problem`: what a resolver complained of.

    `plan`: what a planner made of it, in place of an understanding.
    """

    question: Question
    understanding: Understanding
    problem: str
    last: bool
    plan: Plan | None = None


class Asker:
    """One thread that asks, one question after the other.

    Args:
        chain: whom it asks.
        tell: called in that thread whenever there is an answer to take.
        planner: who makes plans of sentences of several steps.
    """

    def __init__(self, chain: Chain, tell: Callable[[], object], planner: LanguageModelPlanner | None = None) -> None:
        self._chain = chain
        self._planner = planner
        self._tell = tell
        self._questions: queue.Queue[Question | None] = queue.Queue(MOST_WAITING)
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._asked: dict[str, Question] = {}
        self._closed = False
        threading.Thread(target=self._work, name="words", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Goals whose last answer has not come yet."""
        return len(self._asked)

    def ask(self, question: Question) -> bool:
        """Ask about a goal, in place of what was asked about it before; False where too many wait already."""
        before = self._asked.get(question.goal_id)
        self._asked[question.goal_id] = question  # before the thread can see it in the queue
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            self.forget(question.goal_id)
            if before is not None:
                self._asked[question.goal_id] = before
            return False
        return True

    def forget(self, goal_id: str) -> bool:
        """Want no answer about a goal any more; False where none was awaited."""
        return self._asked.pop(goal_id, None) is not None

    def answers(self) -> list[Answer]:
        """Take the answers that have come, without those that nobody wants any more."""
        taken = []
        while not self._answers.empty():
            answer = self._answers.get()
            if self._asked.get(answer.question.goal_id) is answer.question:
                taken.append(answer)
                if answer.last:
                    del self._asked[answer.question.goal_id]
        return taken

    def close(self) -> None:
        """Ask nobody any more; the thread ends with the answer it waits for."""
        self._closed = True
        self._asked.clear()
        while not self._questions.empty():
            self._questions.get()
        self._questions.put(None)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            if self._asked.get(question.goal_id) is not question:
                continue
            said = self._chain.explain(question.goal_id, question.text)
            problem = ""
            try:
                if question.steps and self._planner is not None:
                    try:
                        plan = self._planner.plan(question.goal_id, question.text, question.priority)
                        self._say(Answer(question, said, "", last=True, plan=plan))
                        continue
                    except TaskError as error:
                        self._say(Answer(question, said, f"no plan by a language model: {error}", last=False))
                for said, problem in self._chain.steps(question.goal_id, question.text):
                    self._say(Answer(question, said, problem, last=False))
            except Exception:
                problem = f"a resolver failed: {traceback.format_exc()}"
            self._say(Answer(question, said, problem, last=True))

    def _say(self, answer: Answer) -> None:
        if not self._closed:
            self._answers.put(answer)
            self._tell()
