# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A sentence as the resolvers read it: its words, which of them are not wanted, and which only say where.

Written for English commands. What the rules here are not sure of becomes a doubt, which makes a slower resolver look again and which
whoever reads the answer sees; nothing is misread in silence.
"""

import re
from dataclasses import dataclass, field

LONGEST_TEXT = 4096
"""Characters of a goal's text that are read; a sentence is far shorter, and a flood must stay cheap."""

_TOKEN = re.compile(r"[^\W_]+|[.,;:!?()]")
_ENDS = frozenset(".,;:!?()")
_CONTRACTIONS = (
    ("can't", "can not"),
    ("cannot", "can not"),
    ("won't", "will not"),
    ("dont", "do not"),
    ("n't", " not"),
)
NUMBERS = {
    word: number
    for number, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
} | {"both": 2, "pair": 2, "couple": 2, "dozen": 12, "half": 1}
ARTICLES = frozenset("the a an my your his her its our their this that these those some any each every all".split())
STOP_WORDS = (
    frozenset(
        "i me we us you he she it they them him who which what where when why how there here one ones and or nor but so if then of to in on "
        "at from for with by as into onto out off up down under over near next beside behind between inside outside is are was were be "
        "been am do does did done have has had can could will would shall should may might must please now again also only just too very "
        "more most other another else not no yes let s t d m ll re ve us got away back around about left right hello hi hey robot ok okay "
        "thanks thank thing things something anything everything object objects item items stuff someone somebody kind type sort place "
        "time way today tomorrow morning evening night day bit lot few many much enough new old big small large little red blue green "
        "black white yellow first second last home top bottom front side middle end favourite".split()
    )
    | ARTICLES
    | NUMBERS.keys()
)
ROOMS = frozenset(
    "kitchen bathroom bedroom room office garage hall hallway garden basement attic cellar lounge house flat apartment street school "
    "shop yard balcony studio lobby corridor desk shelf table counter cupboard drawer cabinet floor ground wall corner door window "
    "rack workplace area building".split()
)
_PLACING = frozenset(
    "in into inside from at to of off on onto within through near by beside behind under above towards".split()
)
_COMMANDS = frozenset(
    "bring fetch get find look search pick take give hand show collect gather grab put place go move carry follow watch use open "
    "close bring locate check see need want count stack wash clean set lay clear tidy make".split()
)
_NEGATORS: tuple[tuple[str, ...], ...] = (
    ("do", "not"), ("does", "not"), ("never", "mind"), ("instead", "of"), ("rather", "than"), ("other", "than"), ("apart", "from"),
    ("leave", "out"), ("not",), ("no",), ("never",), ("without",), ("except",), ("excluding",), ("neither",), ("nor",), ("ignore",),
    ("avoid",), ("skip",), ("excluded",),
)  # fmt: skip
_NOT_NEGATIONS: tuple[tuple[str, ...], ...] = (
    ("do", "not", "forget"), ("never", "forget"), ("not", "only"), ("no", "matter"), ("no", "problem"), ("why", "not"),
    ("can", "not", "find"), ("can", "not", "see"), ("could", "not", "find"), ("not", "find"), ("not", "know", "where"), ("do", "not", "see"),
    ("do", "not", "hesitate"), ("can", "not", "reach"), ("not", "sure"), ("do", "not", "lose"), ("if", "not"),
)  # fmt: skip
_EVERYTHING = frozenset("everything anything all everybody everyone".split())


@dataclass(frozen=True)
class Word:
    """One word: in lower case, whether it is wanted, only says where, follows an article, begins a clause."""

    text: str
    wanted: bool = True
    place: bool = False
    named: bool = False
    begins: bool = False


@dataclass(frozen=True)
class Reading:
    """A sentence.

    Attributes:
        text: as it was said, cut after 4096 characters.
        words: what is left of it without punctuation.
        all_but: everything is wanted but the words that are not.
        doubts: one sentence for each thing that may have been misread.
        counts: index of a word -> how many of it.
        alternatives: any one of several things will do.
        foreign: the sentence is not in Latin letters, so nothing here was made for it.
    """

    text: str
    words: tuple[Word, ...]
    all_but: bool = False
    doubts: tuple[str, ...] = ()
    counts: dict[int, int] = field(default_factory=dict)
    alternatives: bool = False
    foreign: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The words alone."""
        return tuple(word.text for word in self.words)


def read(text: str) -> Reading:
    """Read a sentence; never fails."""
    text = text[:LONGEST_TEXT]
    plain = text.casefold().replace("’", "'")
    for short, full in _CONTRACTIONS:
        plain = plain.replace(short, full)
    tokens = _TOKEN.findall(re.sub(r"'s\b", "", plain).replace("'", " "))
    letters = [letter for letter in plain if letter.isalpha()]
    foreign = sum(not letter.isascii() for letter in letters) * 3 > len(letters)
    unwanted, doubts, all_but = _negated(tokens)
    places = _places(tokens)
    words: list[Word] = []
    counts: dict[int, int] = {}
    begins = True
    for index, token in enumerate(tokens):
        if token in _ENDS:
            begins = True
            continue
        previous = tokens[index - 1] if index else ""
        words.append(Word(token, index not in unwanted, index in places, previous in ARTICLES | NUMBERS.keys(), begins))
        number = NUMBERS.get(previous, int(previous) if previous.isdecimal() and len(previous) < 5 else None)
        if number is not None:
            counts[len(words) - 1] = number
        begins = token in ("and", "then", "or", "please", "to", "you", "not", "just") and index + 1 < len(tokens)
    return Reading(text, tuple(words), all_but, tuple(doubts), counts, "or" in tokens or "either" in tokens, foreign)


def _negated(tokens: list[str]) -> tuple[set[int], list[str], bool]:
    """Indices of the tokens that are not wanted, what is unsure about it, and whether all the others are."""
    unwanted: set[int] = set()
    doubts: list[str] = []
    all_but = False
    index = 0
    while index < len(tokens):
        if any(_at(tokens, index, idiom) for idiom in _NOT_NEGATIONS):
            index += max(len(idiom) for idiom in _NOT_NEGATIONS if _at(tokens, index, idiom))
            continue
        length = next((len(negator) for negator in _NEGATORS if _at(tokens, index, negator)), 0)
        before = [token for token in tokens[:index] if token not in _ENDS]
        everything = bool(_EVERYTHING & set(before[-3:]))
        if not length and tokens[index] == "but" and everything:
            length = 1
            if tokens[index + 1 : index + 2] == ["not"]:
                length = 2
        if not length:
            index += 1
            continue
        all_but = all_but or (
            everything and tokens[index] in ("but", "except", "excluding", "without", "apart", "other")
        )
        end = _scope_end(tokens, index + length)
        unwanted.update(range(index, end))
        rest = tokens[end + 1 : end + 3]
        listed = tokens[end : end + 1] == [","] and rest and rest[0] not in _COMMANDS | ARTICLES | STOP_WORDS
        if listed and tokens[index] in ("no", "without", "except", "excluding"):
            doubts.append(f"unsure whether {rest[0]!r} is wanted")
        index = end
    return unwanted, doubts, all_but


def _scope_end(tokens: list[str], start: int) -> int:
    for index in range(start, len(tokens)):
        if tokens[index] in _ENDS or tokens[index] in ("but", "just", "only", "then", "instead", "please"):
            return index
        if tokens[index] == "and" and set(tokens[index + 1 : index + 2]) & _COMMANDS:
            return index
    return len(tokens)


def _places(tokens: list[str]) -> set[int]:
    """Indices of rooms and surfaces that something lies in or on: "from the kitchen", "on my small desk"."""
    found: set[int] = set()
    for index, token in enumerate(tokens):
        singular = token.removesuffix("s")
        if token not in ROOMS and singular not in ROOMS:
            continue
        for before in range(index - 1, max(-1, index - 5), -1):
            if tokens[before] in _ENDS or tokens[before] in _COMMANDS:
                break
            if tokens[before] in _PLACING:
                found.update(range(before, index + 1))
                break
    return found


def _at(tokens: list[str], index: int, phrase: tuple[str, ...]) -> bool:
    return tuple(tokens[index : index + len(phrase)]) == phrase
