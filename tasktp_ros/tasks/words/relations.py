# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A resolver that knows which words mean the same and what is a kind of what, from WordNet."""

from tasktp_ros.tasks.rules import forms
from tasktp_ros.tasks.words.answer import Match
from tasktp_ros.tasks.words.dictionary import may_be_a_thing
from tasktp_ros.tasks.words.nouns import Nouns
from tasktp_ros.tasks.words.reading import Reading

LONGEST_PHRASE = 3
SAME, KIND, SORTS, PLACE = 0.9, 0.8, 0.7, 0.5
"""Confidence of a word that means the category, a kind of it, or a sort that it is a kind of; of what only says where."""
SENSES = (1.0, 0.85, 0.75, 0.6)
"""What is left of it where not the word's first sense was meant."""
MOST_STEPS = 6
TOO_GENERAL = (
    "entity physical_entity object whole artifact instrumentality matter substance thing organism living_thing causal_agent device "
    "unit part article commodity covering structure being causal_agency cause natural_object container"
).split()


class RelationResolver:
    """Answers "sofa" by couch (the same), "armchair" by chair (a kind of it), "fruit" by banana, apple and orange (its sorts)."""

    name, slow = "wordnet", False

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        self._nouns = nouns = Nouns.shipped()
        self._meant: dict[int, str] = {}
        self._sorts: dict[int, dict[str, int]] = {}
        for name in vocabulary:
            meanings = nouns.meanings(name)
            for synset in meanings:
                self._meant.setdefault(synset, name)
            for synset in meanings[:1]:
                for steps, level in enumerate(nouns.upwards(synset)):
                    for parent in level:
                        self._sorts.setdefault(parent, {}).setdefault(name, steps)
        for lemma in TOO_GENERAL:
            for synset in nouns.senses(lemma)[:1]:
                self._sorts.pop(synset, None)

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        """See `Resolver`."""
        if reading.foreign:
            return []
        found: list[Match] = []
        position = 0
        while position < len(reading.words):
            match = self._at(reading, position, frozenset(open_words))
            if match:
                found.append(match)
            position = match.span[1] if match else position + 1
        return found

    def _at(self, reading: Reading, start: int, open_words: frozenset[int]) -> Match | None:
        """The longest words that WordNet has, also around those that were answered: "car seat" is no car, and nothing of ours."""
        for length in range(LONGEST_PHRASE, 0, -1):
            span = range(start, start + length)
            if length == 1:
                if start not in open_words or not may_be_a_thing(reading, start):
                    return None
            elif not open_words & set(span) or not _in_one_piece(reading, span):
                continue
            head = [reading.words[i].text for i in span]
            for last in sorted(forms(head[-1]) | {self._nouns.singulars.get(head[-1], head[-1])}):
                match = self._answer((start, start + length), "_".join([*head[:-1], last]), reading.words[start].place)
                if match:
                    return match
        return None

    def _answer(self, span: tuple[int, int], lemma: str, place: bool) -> Match | None:
        senses = self._nouns.numbered(lemma)
        for place_in_order, (rank, synset) in enumerate(senses.items()):
            related, reason = self._related(synset, usual=place_in_order == 0 or rank == 2, first=rank == 1)
            if related:
                share = SENSES[min(rank, len(SENSES)) - 1]
                weight = min(share, PLACE) if place else share
                ranked = {name: round(weight * confidence, 3) for name, confidence in related.items()}
                return Match(span, ranked, reason, self.name)
        return Match(span, {}, "nothing of the vocabulary", self.name) if senses and span[1] - span[0] > 1 else None

    def _related(self, synset: int, usual: bool, first: bool) -> tuple[dict[str, float], str]:
        """What a sense has to do with the vocabulary; sorts and kinds only of a word's first two senses, people only of its first."""
        if synset in self._meant:
            name = self._meant[synset]
            return {name: SAME}, f"means {name}"
        if not usual:
            return {}, ""
        if synset in self._sorts:
            return dict.fromkeys(self._sorts[synset], SORTS), "a sort of things, these among them"
        for steps, level in enumerate(self._nouns.upwards(synset)):
            names = dict.fromkeys(self._meant[parent] for parent in sorted(level) if parent in self._meant)
            if names and (first or "person" not in names) and steps <= MOST_STEPS:
                return dict.fromkeys(names, KIND), f"a kind of {' or '.join(names)}"
        return {}, ""


def _in_one_piece(reading: Reading, span: range) -> bool:
    """Whether these are wanted words of the sentence with nothing between them."""
    if span[-1] >= len(reading.words) or any(reading.words[i].begins for i in span[1:]):
        return False
    return all(reading.words[i].wanted for i in span)
