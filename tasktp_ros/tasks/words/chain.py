# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Resolvers one after the other: each answers the words it knows, and passes the others on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.rules import GoalRules
from tasktp_ros.tasks.words.answer import Match, Resolver, Understanding
from tasktp_ros.tasks.words.dictionary import may_be_a_thing
from tasktp_ros.tasks.words.reading import Reading, read

SHOWN = 80


class Chain:
    """Turns the words of a goal into categories.

    Args:
        rules: the rules, which also check explicit categories.
        resolvers: in the order they are asked.

    Attributes:
        vocabulary: category names of the detector, in its order.
    """

    def __init__(self, rules: GoalRules, resolvers: Sequence[Resolver]) -> None:
        self.rules = rules
        self.vocabulary = rules.vocabulary
        self.resolvers = tuple(resolvers)
        self._understand = lru_cache(maxsize=64)(self._understand_fast)

    @property
    def has_slow(self) -> bool:
        """Whether some resolvers are asked apart from the others."""
        return any(resolver.slow for resolver in self.resolvers)

    def understand(self, text: str, slow: bool = False) -> Understanding:
        """Say what a sentence asks for; with `slow` also by resolvers that take their time, whose TaskError it raises."""
        if not slow:
            return self._understand(text)
        quick = self._understand(text)
        return quick if quick.complete or not self.has_slow else self._ask(read(text), self.resolvers)

    def steps(self, goal_id: str, text: str) -> Iterator[tuple[Understanding, str]]:
        """What is known at once, and then after each slow resolver that had to be asked, with what it complained of."""
        said, asked = self.explain(goal_id, text), [resolver for resolver in self.resolvers if not resolver.slow]
        yield said, ""
        for resolver in self.resolvers:
            if not resolver.slow or said.complete or not text.strip():
                continue
            try:
                newer = self._ask(read(text), [*asked, resolver])
            except TaskError as error:
                yield said, str(error)
                continue
            asked.append(resolver)
            said = newer if newer.found else said
            yield said, ""

    def _understand_fast(self, text: str) -> Understanding:
        return self._ask(read(text), [resolver for resolver in self.resolvers if not resolver.slow])

    def explain(self, goal_id: str, text: str) -> Understanding:
        """What the text of a goal asks for, or else its id read as words; asks no slow resolver."""
        said = self.understand(text)
        by_id = self.understand(goal_id.replace("_", " ")) if goal_id and not said.found else said
        return by_id if by_id.found else said

    def resolve(self, goal_id: str, text: str, categories: Sequence[str]) -> tuple[str, ...] | None:
        """Return the categories of one goal in vocabulary order, None for the whole vocabulary; asks no slow resolver.

        Explicit categories come first, then what the text says, then the id read as words.

        Raises:
            TaskError: nothing of this is known, or an explicit category is not in the vocabulary.
        """
        if categories:
            return self.rules.explicit(goal_id, categories)
        return self.categories(goal_id, text, self.explain(goal_id, text))

    def categories(self, goal_id: str, text: str, said: Understanding) -> tuple[str, ...] | None:
        """The categories that were understood, in vocabulary order; None for all. Raises TaskError for nothing."""
        if said.everything:
            return None
        if said.ranked:
            return tuple(name for name in self.vocabulary if name in said.ranked)
        with_text = f" with the text {_shortened(text)!r}" if text.strip() else ""
        excluded = f"; it only says what is not wanted: {_shortened(', '.join(said.unwanted))}" if said.unwanted else ""
        raise TaskError(
            f"goal {goal_id!r}{with_text} names no known task and no category of the vocabulary "
            f"({len(self.vocabulary)} names){excluded}"
        )

    def _ask(self, reading: Reading, resolvers: Sequence[Resolver]) -> Understanding:
        matches = self._matches(reading, resolvers)
        inverted = replace(
            reading, words=tuple(replace(word, wanted=not word.wanted, place=False) for word in reading.words)
        )
        unwanted = tuple(word.text for word in reading.words if not word.wanted)
        quick = [resolver for resolver in resolvers if not resolver.slow and resolver.name != "activity"]
        without = (
            {name for match in self._matches(inverted, quick) for name in match.categories or ()} if unwanted else set()
        )
        whole = _covers_all(matches, len(reading.words))
        everything = any(match.categories is None for match in matches) or (reading.all_but and bool(without))
        ranked: dict[str, float] = {}
        for match in matches:
            for name, confidence in (match.categories or {}).items():
                ranked[name] = max(confidence, ranked.get(name, 0.0))
        if everything and without:
            ranked = dict.fromkeys(self.vocabulary, 0.9)
        if not whole:
            ranked = {name: confidence for name, confidence in ranked.items() if name not in without}
        order = sorted(ranked, key=lambda name: (-ranked[name], self.vocabulary.index(name)))
        left = self._open(reading, matches)
        return Understanding(
            ranked={} if everything and not without else {name: ranked[name] for name in order},
            everything=everything and not without,
            matches=tuple(sorted(matches, key=lambda match: match.span)),
            unread=() if whole else tuple(dict.fromkeys(reading.words[i].text for i in left if _thing(reading, i))),
            doubts=() if whole else reading.doubts,
            unwanted=unwanted,
            words=reading.texts,
        )

    def _matches(self, reading: Reading, resolvers: Sequence[Resolver]) -> list[Match]:
        matches: list[Match] = []
        for resolver in resolvers:
            if (resolver.slow or resolver.name == "activity") and _complete(self, reading, matches):
                continue
            for match in resolver.resolve(reading, self._open(reading, matches)):
                if match in matches:
                    continue
                inner = [old for old in matches if _within(old.span, match.span) and old.span != match.span]
                if resolver.name in ("rule", "wordnet"):
                    matches = [old for old in matches if old not in inner]
                elif getattr(resolver, "whole", False):
                    matches = [old for old in matches if old.resolver == "name"]
                matches.append(match)
        return _without_descriptions(self, reading, matches)

    def _open(self, reading: Reading, matches: Sequence[Match]) -> tuple[int, ...]:
        claimed = {
            i
            for match in matches
            for i in range(*match.span)
            if match.resolver != "activity" and match.categories != {}
        }
        return tuple(i for i, word in enumerate(reading.words) if word.wanted and i not in claimed)


def _complete(chain: Chain, reading: Reading, matches: Sequence[Match]) -> bool:
    left = chain._open(reading, matches)
    return (
        any(match.categories != {} for match in matches)
        and not reading.doubts
        and not any(_thing(reading, i) for i in left)
    )


def _without_descriptions(chain: Chain, reading: Reading, matches: list[Match]) -> list[Match]:
    """Leave out what only describes a thing that nobody knows: the car of "car keys"."""
    things = {i for i in chain._open(reading, matches) if _thing(reading, i) and not reading.words[i].begins}
    describing = [match for match in matches if match.span[1] in things and match.resolver in ("name", "wordnet")]
    return [match for match in matches if match not in describing]


def _thing(reading: Reading, index: int) -> bool:
    return not reading.words[index].place and may_be_a_thing(reading, index)


def _covers_all(matches: Sequence[Match], words: int) -> bool:
    """Whether somebody who reads whole sentences has answered this one."""
    return any(
        match.span == (0, words) and match.resolver not in ("name", "rule", "wordnet", "activity") for match in matches
    )


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
