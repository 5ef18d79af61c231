# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a resolver of goals answers: categories with a reason and a confidence each, or nothing."""

from dataclasses import dataclass
from typing import Protocol

from tasktp_ros.tasks.words.reading import Reading

Span = tuple[int, int]
"""Words of a reading: the first one's index, and that after the last one's."""


@dataclass(frozen=True)
class Match:
    """Some words of a sentence and the categories that a robot has to see because of them.

    Attributes:
        span: the words, or the whole sentence.
        categories: names of the vocabulary with a confidence in 0..1 each; None means the whole vocabulary.
        reason: why, in words that follow "'mug': ".
        resolver: who says so.
    """

    span: Span
    categories: dict[str, float] | None
    reason: str
    resolver: str


class Resolver(Protocol):
    """Finds what words mean. One that does not know passes: it returns nothing, and the next one is asked.

    `name` is what answers call it; `slow` ones, such as a language model, are asked apart from the others.
    """

    name: str
    slow: bool

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        """Return what the words mean that nobody has answered yet; names of the vocabulary only.

        Args:
            reading: the sentence.
            open_words: indices of the words that resolvers before this one have not claimed and that are wanted.
        """


@dataclass(frozen=True)
class Understanding:
    """What a chain of resolvers makes of a sentence.

    Attributes:
        ranked: category -> confidence in 0..1, the most certain first; empty when nobody knows.
        everything: the whole vocabulary is asked for; `ranked` is empty then.
        matches: who found what, in the order of the sentence.
        unread: wanted words that may be things and that nobody has answered.
        doubts: one sentence for each thing that may have been misread.
        unwanted: words that the sentence excludes.
    """

    ranked: dict[str, float]
    everything: bool
    matches: tuple[Match, ...]
    unread: tuple[str, ...]
    doubts: tuple[str, ...]
    unwanted: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def found(self) -> bool:
        """Whether there is anything to look for."""
        return self.everything or bool(self.ranked)

    @property
    def complete(self) -> bool:
        """Whether nothing is left that another resolver could know better."""
        return self.found and not self.unread and not self.doubts

    @property
    def resolver(self) -> str:
        """Names of those who answered, in the order they were asked; empty for nobody."""
        return " + ".join(dict.fromkeys(match.resolver for match in self.matches))

    @property
    def reason(self) -> str:
        """Everything a person needs to see why, in one line."""
        said = [f"{' '.join(self.words[slice(*match.span)])!r}: {match.reason}" for match in self.matches]
        if self.unwanted:
            said.append(f"not wanted: {', '.join(self.unwanted)}")
        if self.unread:
            said.append(f"nobody knows {', '.join(map(repr, self.unread))}")
        return "; ".join([*said, *self.doubts])
