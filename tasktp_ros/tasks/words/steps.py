# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A sentence of several steps: "get the cup from the kitchen, then put it on the table"."""

import re
from collections.abc import Sequence

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.plans import MOST_ENDS, MOST_STEPS, Plan, make_plan, make_step
from tasktp_ros.tasks.words.chain import Chain
from tasktp_ros.tasks.words.reading import LONGEST_TEXT, read

_BETWEEN = re.compile(r"[\s,;.]*\b(?:and\s+)?(?:then|after\s+that|afterwards|finally)\b[\s,;:]*", re.IGNORECASE)
LONGEST_NAME = 80
_PRONOUNS = frozenset(("it", "them", "they", "that", "those"))


def split_steps(text: str) -> list[str]:
    """The parts of a sentence between its "then"s; one part for a sentence without."""
    parts = [part.strip(" ,;.") for part in _BETWEEN.split(text[:LONGEST_TEXT])]
    parts = [part for part in parts if part]
    if parts and len(parts) > 1:
        parts[0] = re.sub(r"^first(?:\s*,)?\s+", "", parts[0], flags=re.IGNORECASE)
    return parts


def all_understood(text: str, chain: Chain) -> bool:
    """Whether those who answer at once have understood every word of every step."""
    return all(chain.understand(part).complete for part in split_steps(text))


def plan_of(plan_id: str, text: str, chain: Chain, priority: int = 0) -> Plan | None:
    """Make a plan of a sentence with several steps; None for a sentence with one.

    A step ends when something that it names is located, the last one when it is called done or cancelled. "It" and "them" are what the
    step before was about.

    Raises:
        TaskError: a step that nobody understands; the sentence says which.
    """
    parts = split_steps(text)
    if not 2 <= len(parts) <= MOST_STEPS:
        return None
    steps = []
    before: Sequence[str] = ()
    for number, part in enumerate(parts, 1):
        reading, said = read(part), chain.understand(part)
        meant = before if _PRONOUNS & set(reading.texts) else ()
        wanted = {*said.ranked, *meant}
        names = tuple(name for name in chain.vocabulary if name in wanted)
        if not names and not said.everything:
            raise TaskError(
                f"step {number} of goal {plan_id[:80]!r}, {part[:80]!r}, names no known task and no category"
            )
        named = [name for name in names if said.ranked.get(name, 0) > 0.5] or names
        new = [name for name in named if name not in meant] or named
        ends = ["call"] if number == len(parts) else [*(f"located {name}" for name in new[: MOST_ENDS - 1]), "call"]
        title = f"{number} {part}".replace("/", " ")[:LONGEST_NAME]
        steps.append(make_step(title, None if said.everything else names, ends, chain.vocabulary))
        before = meant or named
    return make_plan(plan_id or "plan", steps, priority)
