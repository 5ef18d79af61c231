# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Words to categories: which things a robot has to see to do what it was told.

Deliberately a table and not a language model: a robot builder can read why a goal led to a category, and change it in
one line of YAML. Words are compared whole and without regard to case, plural, hyphens and underscores.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasktp_ros.errors import TaskError

LONGEST_TEXT = 4096
"""Characters of a goal's text that are read; a sentence is far shorter, and a flood must stay cheap."""

MOST_NAMES = 10_000
ALL = "all"

ARTICLES = frozenset("the a an my your his her its our their this that these those some".split())

_WORD = re.compile(r"[^\W_]+")
_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "teeth": "tooth",
}


@dataclass(frozen=True)
class Phrase:
    """Some words in a row and what they stand for; `categories` None means the whole vocabulary.

    `task` is the rule that says so, empty for a name of the vocabulary.
    """

    words: tuple[frozenset[str], ...]
    categories: tuple[str, ...] | None
    task: str = ""


class GoalRules:
    """Finds the categories that a goal needs.

    Args:
        tasks: task name -> {"words": phrases that name the task in a sentence, "categories": names or "all"}.
        vocabulary: category names of the detector, in its order.

    Attributes:
        problems: one sentence for each rule, or part of one, that was left out because the vocabulary lacks it.

    Raises:
        TaskError: tasks of another form.
    """

    def __init__(self, tasks: Mapping[str, Mapping[str, Any]], vocabulary: Sequence[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        self._known = {" ".join(_words(name)): name for name in self.vocabulary}
        self._phrases: dict[str, list[Phrase]] = {}
        problems: list[str] = []
        for name in self.vocabulary:
            self._add_phrase(name, (name,))
        for task, rule in tasks.items():
            self._add_task(task, rule, problems)
        self.problems = tuple(problems)

    @classmethod
    def from_yaml(cls, path: str | Path, vocabulary: Sequence[str]) -> "GoalRules":
        """Read rules of the form documented in `config/tasks.yaml`.

        Raises:
            TaskError: the file is missing, not YAML, or not of that form.
        """
        import yaml

        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise TaskError(f"cannot read the task rules {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise TaskError(f"the task rules {path} are not valid YAML: {reason}") from error
        tasks = content.get("tasks") if isinstance(content, dict) else None
        if not isinstance(tasks, dict) or not tasks:
            raise TaskError(f"the task rules {path} have no table `tasks`")
        try:
            return cls(tasks, vocabulary)
        except TaskError as error:
            raise TaskError(f"{error} (in {path})") from error

    def resolve(self, goal_id: str, text: str, categories: Sequence[str]) -> tuple[str, ...] | None:
        """Return the categories of one goal in vocabulary order, None for the whole vocabulary.

        Explicit categories come first, then what the text says, then the id read as a task name.

        Raises:
            TaskError: nothing of this is known, or an explicit category is not in the vocabulary.
        """
        if categories:
            return self.explicit(goal_id, categories)
        for sentence in (text[:LONGEST_TEXT], goal_id):
            found, matched = self._search(_words(sentence))
            if matched:
                return found
        said = f"goal {goal_id!r}" + (f" with the text {_shortened(text)!r}" if text.strip() else "")
        raise TaskError(f"{said} names no known task and no category of the vocabulary ({len(self.vocabulary)} names)")

    def explicit(self, goal_id: str, categories: Sequence[str]) -> tuple[str, ...]:
        """Check the names that a goal lists and return them in vocabulary order; raises TaskError."""
        if len(categories) > MOST_NAMES:
            raise TaskError(f"goal {goal_id!r} lists {len(categories)} categories; expected at most {MOST_NAMES}")
        normal = {" ".join(_words(name[:LONGEST_TEXT])): name for name in categories if name.strip()}
        if not normal:
            raise TaskError(f"goal {goal_id!r} lists only empty category names; list none to have its text read")
        unknown = sorted(_shortened(name) for key, name in normal.items() if key not in self._known)
        if unknown:
            shown = ", ".join(repr(name) for name in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            raise TaskError(f"goal {goal_id!r} lists categories the vocabulary does not have: {shown}")
        return self._ordered(self._known[key] for key in normal)

    def _search(self, words: Sequence[str]) -> tuple[tuple[str, ...] | None, bool]:
        """Walk over the words, taking at each the longest phrases that start there ("hot dog" holds no dog)."""
        phrases = [phrase for _, _, found in self.phrases(words) for phrase in found]
        if any(phrase.categories is None for phrase in phrases):
            return None, True
        return self._ordered(name for phrase in phrases for name in phrase.categories or ()), bool(phrases)

    def phrases(self, words: Sequence[str]) -> Iterator[tuple[int, int, list[Phrase]]]:
        """The phrases in a sentence of lower-case words: index of their first word, that after the last, and all that fit there.

        Articles may stand between the words of a phrase, and need not: "set table" is "set the table".
        """
        kept = [index for index, word in enumerate(words) if word not in ARTICLES]
        bare = [words[index] for index in kept]
        position = 0
        while position < len(bare):
            found = self._longest_at(bare, position)
            length = len(found[0].words) if found else 1
            if found:
                yield kept[position], kept[position + length - 1] + 1, found
            position += length

    def _longest_at(self, words: Sequence[str], position: int) -> list[Phrase]:
        longest: list[Phrase] = []
        candidates = {id(p): p for form in forms(words[position]) for p in self._phrases.get(form, ())}
        for phrase in candidates.values():
            here = words[position : position + len(phrase.words)]
            if len(here) < len(phrase.words) or (longest and len(phrase.words) < len(longest[0].words)):
                continue
            if all(same & forms(word) for same, word in zip(phrase.words, here, strict=True)):
                if longest and len(phrase.words) > len(longest[0].words):
                    longest.clear()
                longest.append(phrase)
        return longest

    def _add_task(self, task: Any, rule: Any, problems: list[str]) -> None:
        if not isinstance(task, str) or not _words(task):
            raise TaskError(f"task name {task!r} is not a name")
        if not isinstance(rule, Mapping) or not set(rule) <= {"words", "categories"} or "categories" not in rule:
            raise TaskError(f"task {task!r} must be a table with `categories` and, if wanted, `words`")
        words, names = rule.get("words") or [], rule["categories"]
        if not _is_list_of_names(words):
            raise TaskError(f"`words` of task {task!r} must be a list of words or phrases, not {words!r}")
        if names != ALL and not (names and _is_list_of_names(names)):
            raise TaskError(f"`categories` of task {task!r} must be `all` or a list of category names, not {names!r}")
        categories: tuple[str, ...] | None = None
        if names != ALL:
            unknown = [name for name in names if name not in self.vocabulary]
            if unknown:
                problems.append(f"task {task!r}: the vocabulary has no {', '.join(map(repr, unknown))}")
            categories = self._ordered(names)
            if not categories:
                return
        for phrase in (task, *words):
            self._add_phrase(phrase, categories, task)

    def _add_phrase(self, phrase: str, categories: tuple[str, ...] | None, task: str = "") -> None:
        words = _words(phrase)
        entry = Phrase(
            tuple(forms(word) for word in words if word not in ARTICLES or len(words) == 1), categories, task
        )
        for form in entry.words[0]:
            self._phrases.setdefault(form, []).append(entry)

    def _ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        wanted = set(names)
        return tuple(name for name in self.vocabulary if name in wanted)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def forms(word: str) -> frozenset[str]:
    """Return the word and what it may be the plural of; two words are the same if they share a form."""
    found = {word, _IRREGULAR.get(word, word)}
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        found.add(word[:-1])
        if word.endswith("es"):
            found.add(word[:-2])
        if word.endswith("ies"):
            found.add(word[:-3] + "y")
        if word.endswith("ves"):
            found.update((word[:-3] + "f", word[:-3] + "fe"))
    return frozenset(form for form in found if len(form) > 1 or form == word)


def _is_list_of_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) and _words(name) for name in names)


def _shortened(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[:length] + "..."
