# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Long tasks: steps one after the other, each with a set of its own and with what ends it.

How a step may end, as it is written in YAML and in messages:

    located cup        a cup is detected; "located cup 3": on three frames in a row; "located" alone: anything the step looks for
    lost cup 5         no cup on the frames of the last 5 seconds
    time 20            20 seconds after its start
    call               somebody says so; every step ends by this
    topic /mission std_msgs/msg/String data SUCCESS
                       a message whose field has this value; fields within fields and list entries are joined by dots, as in
                       status_list.-1.status of Nav2's action_msgs/msg/GoalStatusArray

Nothing here knows ROS: what happens is told to a plan, and it says why its step has ended.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.goals import LONGEST_ID, check_id

MOST_STEPS = 64
MOST_ENDS = 8
LONGEST_END = 512
KINDS = ("located", "lost", "time", "call", "topic")


@dataclass(frozen=True)
class End:
    """One thing that ends a step.

    Attributes:
        text: as it was written.
        kind: located, lost, time, call or topic.
        category: what is located or lost; empty: anything the step looks for.
        number: frames in a row (located), seconds (lost, time).
        topic: its name, message type, field and the value of it.
    """

    text: str
    kind: str
    category: str = ""
    number: float = 0.0
    topic: tuple[str, str, str, str] = ("", "", "", "")


@dataclass(frozen=True)
class Step:
    """One step; `categories` None means the whole vocabulary."""

    name: str
    categories: tuple[str, ...] | None
    ends: tuple[End, ...]


@dataclass(frozen=True)
class Plan:
    """Steps under one name; their set has the plan's priority."""

    plan_id: str
    steps: tuple[Step, ...]
    priority: int = 0


@dataclass(frozen=True)
class Record:
    """When a step began and ended, in seconds of the clock, and why; `ended` None while it runs."""

    started: float
    ended: float | None = None
    reason: str = ""


def make_step(name: str, categories: Sequence[str] | None, ends: Sequence[str], vocabulary: Collection[str]) -> Step:
    """Check a step.

    Args:
        categories: names of the vocabulary, None for all.
        ends: as the top of this file has them.

    Raises:
        TaskError: an empty step, an unknown name or end, or one that waits for something the step does not look for.
    """
    if not name.strip() or len(name) > LONGEST_ID or "/" in name:
        raise TaskError(f"{name[:80]!r} cannot be the name of a step: expected 1 to {LONGEST_ID} characters without /")
    if categories is not None:
        unknown = sorted(set(categories) - set(vocabulary))
        if unknown or not categories:
            what = f"the vocabulary does not have {unknown[0][:80]!r}" if unknown else "it looks for nothing"
            raise TaskError(f"step {name!r}: {what}")
    if not ends or len(ends) > MOST_ENDS:
        raise TaskError(
            f"step {name!r} has {len(ends)} ends: expected 1 to {MOST_ENDS}, such as 'call' or 'located cup'"
        )
    read = tuple(_read_end(text, name) for text in ends)
    for end in read:
        if end.category and end.category not in (vocabulary if categories is None else categories):
            raise TaskError(f"step {name!r} ends when {end.category!r} is {end.kind}, but does not look for it")
    return Step(name, None if categories is None else tuple(categories), read)


def make_plan(plan_id: str, steps: Sequence[Step], priority: int = 0) -> Plan:
    """Check a plan; raises TaskError for one without a name or without steps, with too many, or with two of one name."""
    check_id(plan_id)
    if not plan_id or "/" in plan_id:
        raise TaskError(f"{plan_id!r} cannot be the name of a plan: expected at least one character and no /")
    if not 1 <= len(steps) <= MOST_STEPS:
        raise TaskError(f"plan {plan_id!r} has {len(steps)} steps: expected 1 to {MOST_STEPS}")
    names = [step.name for step in steps]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TaskError(f"plan {plan_id!r} has two steps {twice!r}; a step is done once, and no plan goes back")
    return Plan(plan_id, tuple(steps), priority)


def read_plans(path: str | Path, vocabulary: Collection[str]) -> dict[str, Plan]:
    """Read the plans of a YAML file: a table `plans` of names and lists of {name, categories or `all`, ends}.

    Raises:
        TaskError: the file cannot be read, or holds something else; the sentence names the plan.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise TaskError(f"cannot read the plans {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise TaskError(f"the plans {path} are not valid YAML: {' '.join(str(error).split())}") from error
    plans = content.get("plans") if isinstance(content, Mapping) else None
    if not isinstance(plans, Mapping) or not plans:
        raise TaskError(f"the plans {path} have no table `plans`")
    try:
        return {str(name): make_plan(str(name), _steps(name, steps, vocabulary)) for name, steps in plans.items()}
    except TaskError as error:
        raise TaskError(f"{error} (in {path})") from error


def _steps(plan: Any, steps: Any, vocabulary: Collection[str]) -> list[Step]:
    if not isinstance(steps, list):
        raise TaskError(f"plan {str(plan)[:80]!r} must be a list of steps")
    return [_step(plan, entry, vocabulary) for entry in steps[: MOST_STEPS + 1]]


def _step(plan: Any, entry: Any, vocabulary: Collection[str]) -> Step:
    known = {"name", "categories", "ends"}
    if not isinstance(entry, Mapping) or not known >= set(entry) or not known <= set(entry):
        raise TaskError(f"each step of plan {str(plan)[:80]!r} must be a table with name, categories and ends")
    names, ends = entry["categories"], entry["ends"]
    lists_of_texts = all(
        isinstance(some, list) and all(isinstance(text, str) for text in some) for some in (ends, names)
    )
    if not isinstance(entry["name"], str) or not (lists_of_texts or (names == "all" and isinstance(ends, list))):
        raise TaskError(
            f"a step of plan {str(plan)[:80]!r} must have a text `name`, a list `ends` and `categories`, a list or all"
        )
    return make_step(entry["name"], None if names == "all" else names, [str(end) for end in ends], vocabulary)


def _read_end(text: str, step: str) -> End:
    words = text[:LONGEST_END].split()
    kind, rest = (words[0], words[1:]) if words else ("", [])
    number = _number(rest[-1]) if rest else None
    if kind == "call" and not rest:
        return End(text, kind)
    if kind == "time" and len(rest) == 1 and number:
        return End(text, kind, number=number)
    if kind == "lost" and number:
        return End(text, kind, " ".join(rest[:-1]), number)
    if kind == "located":
        name = " ".join(rest if number is None else rest[:-1])
        if number is None or (number >= 1 and number == int(number)):
            return End(text, kind, name, number or 1.0)
    if kind == "topic" and len(rest) >= 4 and len(text) <= LONGEST_END:
        return End(text, kind, topic=(rest[0], rest[1], rest[2], " ".join(rest[3:])))
    raise TaskError(
        f"step {step!r} cannot end by {text[:80]!r}; expected 'located NAME [FRAMES]', 'lost NAME SECONDS', 'time SECONDS', 'call' or "
        "'topic NAME TYPE FIELD VALUE'"
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < 1e9 else None


@dataclass
class RunningPlan:
    """A plan on its way.

    Attributes:
        plan: what is done.
        records: one for each step that has begun.
        over: why it ended, empty while it runs.
    """

    plan: Plan
    records: list[Record] = field(default_factory=list)
    over: str = ""
    _in_a_row: dict[str, int] = field(default_factory=dict)
    _last_seen: dict[str, float] = field(default_factory=dict)

    @property
    def step(self) -> Step:
        """The step that runs, or that ran last."""
        return self.plan.steps[max(len(self.records) - 1, 0)]

    @property
    def goal_id(self) -> str:
        """What the goal of the running step is called."""
        return f"{self.plan.plan_id}/{self.step.name}"

    def ends(self, kind: str) -> tuple[End, ...]:
        """What of one kind ends the running step."""
        return tuple(end for end in self.step.ends if end.kind == kind and not self.over)

    def begin(self, now: float) -> None:
        """Start with the first step."""
        self.records = [Record(now)]

    def advance(self, now: float, reason: str) -> None:
        """End the running step for a reason and begin the next; the plan is over after the last."""
        self.records[-1] = replace(self.records[-1], ended=now, reason=reason)
        self._in_a_row, self._last_seen = {}, {}
        if len(self.records) == len(self.plan.steps):
            self.over = "done"
        else:
            self.records.append(Record(now))

    def cancel(self, now: float, reason: str) -> None:
        """End the plan."""
        self.records[-1] = replace(self.records[-1], ended=now, reason=reason)
        self.over = reason

    def why_after_frame(self, now: float, seen: Collection[str]) -> str:
        """Tell the plan what one frame shows; returns why the step ends by it, or nothing."""
        for end in self.ends("located"):
            wanted = (
                {end.category} if end.category else set(seen if self.step.categories is None else self.step.categories)
            )
            found = sorted(wanted & set(seen))
            self._in_a_row[end.text] = self._in_a_row.get(end.text, 0) + 1 if found else 0
            if self._in_a_row[end.text] >= end.number:
                return f"located {found[0]}"
        for end in self.ends("lost"):
            wanted = {end.category} if end.category else set(self.step.categories or seen)
            last = self._last_seen.setdefault(end.text, self.records[-1].started)
            if wanted & set(seen) or now < last:
                self._last_seen[end.text] = now
            elif now - last >= end.number:
                return f"lost {end.category or 'everything'} for {end.number:g} s"
        return ""

    def why_by_time(self, now: float) -> str:
        """Why the step ends by the time that has passed, or nothing; a clock set back starts it anew."""
        if self.over:
            return ""
        if now < self.records[-1].started:
            self.records[-1] = replace(self.records[-1], started=now)
        passed = now - self.records[-1].started
        over = next((end for end in self.ends("time") if passed >= end.number), None)
        return f"{over.number:g} s are over" if over else ""

    def why_after_message(self, end: End, value: Any) -> str:
        """Why the step ends by a message on an end's topic, or nothing."""
        _, _, name, wanted = end.topic
        return (
            f"{end.topic[0]} says {name} = {wanted}" if end in self.ends("topic") and same_value(value, wanted) else ""
        )


def field_of(message: Any, path: str) -> Any:
    """The field of a message at a path such as status_list.-1.status; None where there is none."""
    for name in path.split("."):
        if isinstance(message, str | bytes):
            return None
        try:
            message = message[int(name)] if name.lstrip("-").isdecimal() else getattr(message, name)
        except (AttributeError, IndexError, TypeError, KeyError):
            return None
    return message


def same_value(value: Any, wanted: str) -> bool:
    """Whether a field's value is the one that was written; numbers as numbers, booleans as true and false."""
    if isinstance(value, bool):
        return wanted.casefold() == str(value).casefold()
    if isinstance(value, bytes) and len(value) == 1:
        value = value[0]
    if isinstance(value, int | float):
        try:
            return float(wanted) == value
        except ValueError:
            return False
    return value is not None and str(value) == wanted
