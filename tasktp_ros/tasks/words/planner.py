# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Plans by a language model: a sentence of several steps that the rules do not wholly understand.

What the model may say is narrow: categories of the vocabulary, and ends by what is seen, by time or by a call. Topics, which a plan
written by hand may wait for, it cannot name. Whatever else it answers is left out, or refused as a whole.
"""

from typing import Any

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.plans import MOST_ENDS, MOST_STEPS, Plan, Step, make_plan, make_step
from tasktp_ros.tasks.words.model_server import LastAnswers, ModelServer
from tasktp_ros.tasks.words.steps import LONGEST_NAME

KINDS = ("located", "lost", "time", "call")
LONGEST_WAIT = 24 * 3600.0
"""Seconds that a model may let a step wait."""
PROMPT = (
    "A robot has to do what its user says, step by step. Its camera can recognise only these categories: {names}. Split the task into "
    "steps in their order. For each give a name of a few words, the categories it has to see for that step (or everything: true), and "
    "what ends the step: located (a category is seen), lost (a category was not seen for `number` seconds), time (`number` seconds "
    "are over) or call (the robot says that it is done). Never list what the user excludes. Answer JSON of the form "
    '{{"steps": [{{"name": ..., "categories": [...], "everything": false, "ends": [{{"by": ..., "category": ..., "number": 0}}]}}]}}.'
)


class LanguageModelPlanner:
    """Asks a language model to make a plan of a sentence; the last 256 answers are kept. Safe to use from several threads.

    Args:
        server: who is asked.
        vocabulary: the detector's category names.
    """

    def __init__(self, server: ModelServer, vocabulary: tuple[str, ...]) -> None:
        self._server, self._vocabulary = server, vocabulary
        self._kept: LastAnswers[tuple[Step, ...]] = LastAnswers()

    def plan(self, plan_id: str, text: str, priority: int = 0) -> Plan:
        """The plan for a sentence.

        Raises:
            TaskError: no answer in time, or none that is a plan over the vocabulary; one sentence says what was wrong.
        """
        steps = self._kept.get(text)
        if steps is None:
            prompt = PROMPT.format(names=", ".join(self._vocabulary))
            steps = self._steps(self._server.ask(prompt, text, "plan", plan_schema(self._vocabulary)))
            make_plan(plan_id or "plan", steps)  # only what is a plan is kept
            self._kept.put(text, steps)
        return make_plan(plan_id or "plan", steps, priority)

    def _steps(self, answer: Any) -> tuple[Step, ...]:
        listed = answer.get("steps") if isinstance(answer, dict) else None
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise TaskError("the language model's answer has no list `steps`")
        if not 1 <= len(listed) <= MOST_STEPS:
            raise TaskError(f"the language model's plan has {len(listed)} steps: expected 1 to {MOST_STEPS}")
        return tuple(self._step(number, entry, number == len(listed)) for number, entry in enumerate(listed, 1))

    def _step(self, number: int, entry: dict[str, Any], last: bool) -> Step:
        everything = entry.get("everything") is True
        names = self._known(entry.get("categories"))
        if not names and not everything:
            raise TaskError(f"step {number} of the language model's plan names no category of the vocabulary")
        said = entry.get("name") if isinstance(entry.get("name"), str) else ""
        title = " ".join(f"{number} {said}".replace("/", " ").split())[:LONGEST_NAME]
        ends = list(dict.fromkeys(self._ends(entry.get("ends"), self._vocabulary if everything else names)))
        if not ends and not last:
            ends = [f"located {name}" for name in names] or ["located"]
        return make_step(title, None if everything else names, [*ends[: MOST_ENDS - 1], "call"], self._vocabulary)

    def _known(self, listed: Any) -> tuple[str, ...]:
        """What of a list of names is in the vocabulary, in its order."""
        wanted = {str(name).casefold() for name in listed} if isinstance(listed, list) else set()
        return tuple(name for name in self._vocabulary if name.casefold() in wanted)

    def _ends(self, listed: Any, names: tuple[str, ...]) -> list[str]:
        """Ends in the words of `tasks.plans`; what is none, or waits for what the step does not look for, is left out."""
        found = []
        for entry in listed if isinstance(listed, list) else []:
            by, number = (entry.get("by"), _seconds(entry.get("number"))) if isinstance(entry, dict) else (None, 0.0)
            known = self._known([entry.get("category")]) if by in ("located", "lost") else ()
            if by == "located" and known and known[0] in names:
                found.append(f"located {known[0]}")
            elif by == "lost" and known and known[0] in names and number:
                found.append(f"lost {known[0]} {number:g}")
            elif by == "time" and number:
                found.append(f"time {number:g}")
        return found


def plan_schema(vocabulary: tuple[str, ...]) -> dict[str, Any]:
    """JSON schema of an answer; names can be none but the vocabulary's, and ends none that listen to topics."""
    end = {
        "type": "object",
        "properties": {
            "by": {"type": "string", "enum": list(KINDS)},
            "category": {"type": "string", "enum": ["", *vocabulary]},
            "number": {"type": "number"},
        },
        "required": ["by", "category", "number"],
        "additionalProperties": False,
    }
    step = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "categories": {"type": "array", "items": {"type": "string", "enum": list(vocabulary)}},
            "everything": {"type": "boolean"},
            "ends": {"type": "array", "items": end},
        },
        "required": ["name", "categories", "everything", "ends"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": step}},
        "required": ["steps"],
        "additionalProperties": False,
    }


def _seconds(value: Any) -> float:
    """A number of seconds that a step may wait; 0 for what is none."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_WAIT
    return float(value) if usable else 0.0
