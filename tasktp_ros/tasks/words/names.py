# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The first two resolvers: names of the vocabulary, also misspelt, and the rules of `config/tasks.yaml`."""

from itertools import pairwise

from tasktp_ros.tasks.rules import GoalRules, Phrase
from tasktp_ros.tasks.words.answer import Match, Span
from tasktp_ros.tasks.words.dictionary import is_known
from tasktp_ros.tasks.words.reading import STOP_WORDS, Reading

SHORTEST_TYPO = 4
SURE, JOINED, MISSPELT, RULE = 1.0, 0.95, 0.8, 0.9


class NameResolver:
    """Finds names of the vocabulary: as they are, in plural, written as one word or two, and misspelt.

    A word is misspelt when no dictionary has it and one name is within one slip of it (two from seven letters on), a slip being a
    letter too much, too few, wrong, or two exchanged.
    """

    name, slow = "name", False

    def __init__(self, rules: GoalRules) -> None:
        self._rules = rules
        self._joined = {name.casefold().replace(" ", ""): name for name in rules.vocabulary}

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        """See `Resolver`."""
        return [*self._exact(reading, open_words), *self._joined_or_misspelt(reading, open_words)]

    def _exact(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        found = []
        for span, phrase in _phrases(self._rules, reading, open_words):
            if not phrase.task and phrase.categories:
                found.append(Match(span, dict.fromkeys(phrase.categories, SURE), "a name of the vocabulary", self.name))
        return found

    def _joined_or_misspelt(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        if reading.foreign:
            return []
        texts, found = reading.texts, []
        for first, second in pairwise(open_words):
            name = self._joined.get(texts[first] + texts[second]) if second == first + 1 else None
            if name and texts[first] not in STOP_WORDS:
                found.append(Match((first, second + 1), {name: JOINED}, f"{name}, written apart", self.name))
        for index in open_words:
            word = texts[index]
            if word in self._joined and " " in self._joined[word]:
                name = self._joined[word]
                found.append(Match((index, index + 1), {name: JOINED}, f"{name}, written as one word", self.name))
            elif len(word) >= SHORTEST_TYPO and not is_known(word) and (name := self._nearest(word)):
                found.append(Match((index, index + 1), {name: MISSPELT}, f"{name}, misspelt", self.name))
        return found

    def _nearest(self, word: str) -> str | None:
        allowed = 2 if len(word) >= 7 else 1
        near: dict[int, set[str]] = {}
        for joined, name in self._joined.items():
            if len(joined) >= SHORTEST_TYPO and abs(len(joined) - len(word)) <= allowed:
                near.setdefault(slips(word, joined), set()).add(name)
        best = min(near, default=allowed + 1)
        return next(iter(near[best])) if best <= allowed and len(near[best]) == 1 else None


class RuleResolver:
    """Finds what the tasks of `config/tasks.yaml` say; what a sentence only goes to counts where it says nothing else."""

    name, slow = "rule", False

    def __init__(self, rules: GoalRules) -> None:
        self._rules = rules

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        """See `Resolver`."""
        found: list[Match] = []
        for span, phrase in _phrases(self._rules, reading, open_words):
            if phrase.task:
                categories = None if phrase.categories is None else dict.fromkeys(phrase.categories, RULE)
                match = Match(span, categories, f"the task {phrase.task}", self.name)
                found += [match] if match not in found else []
        only_places = [match for match in found if all(word.place for word in reading.words[slice(*match.span)])]
        rest = [match for match in found if match not in only_places]
        somewhere_else = any(not reading.words[i].place for i in range(len(reading.words)) if i not in open_words)
        return rest if rest or somewhere_else else only_places


def _phrases(rules: GoalRules, reading: Reading, open_words: tuple[int, ...]) -> list[tuple[Span, Phrase]]:
    """Phrases of wanted words; of those that were answered already only within a longer phrase."""
    texts = [word.text if word.wanted else "" for word in reading.words]
    found = (((start, end), phrase) for start, end, phrases in rules.phrases(texts) for phrase in phrases)
    return [(span, phrase) for span, phrase in found if set(range(*span)) & set(open_words)]


def slips(word: str, other: str) -> int:
    """Letters to add, drop, replace or exchange with their neighbour to turn one word into the other, each at most once."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == wanted:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
