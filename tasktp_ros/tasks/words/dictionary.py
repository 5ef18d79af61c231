# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Whether a word is one, what its base form is, and whether it may be a thing where it stands."""

from tasktp_ros.tasks.rules import forms
from tasktp_ros.tasks.words.nouns import Nouns
from tasktp_ros.tasks.words.reading import STOP_WORDS, Reading


def is_known(word: str) -> bool:
    """Whether a dictionary has the word, or one that it is a form of."""
    if word in STOP_WORDS or word.isdecimal():
        return True
    nouns = Nouns.shipped()
    return word in nouns.singulars or any(base in nouns.words for base in bases(word))


def bases(word: str) -> set[str]:
    """What a word may be a form of: plural, -ing, -ed, -er, -est, and itself."""
    found = {*forms(word), Nouns.shipped().singulars.get(word, word)}
    for ending in ("ing", "ed", "er", "est", "ly"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            stem = word.removesuffix(ending)
            found |= {stem, stem + "e"}
            if stem[-1] == stem[-2]:
                found.add(stem[:-1])
    return found


def stem(word: str) -> str:
    """One base form for all forms of a word; it need not be a word."""
    word = Nouns.shipped().singulars.get(word, word)
    for ending in ("ing", "ed", "ies", "es", "s"):
        if word.endswith(ending) and len(word) > len(ending) + 2 and not word.endswith("ss"):
            word = word.removesuffix(ending) + ("y" if ending == "ies" else "")
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


def may_be_a_thing(reading: Reading, index: int) -> bool:
    """Whether a word names, or may name, a thing: no little word, no verb at a clause's beginning, none that is mostly a verb."""
    word, nouns = reading.words[index], Nouns.shipped()
    if word.text in STOP_WORDS or word.text.isdecimal() or len(word.text) < 2:
        return False
    senses = any(nouns.senses(base) for base in forms(word.text) | {nouns.singulars.get(word.text, word.text)})
    if not senses:
        return not is_known(word.text) or (word.named and index + 1 == len(reading.words))
    mostly_a_verb = nouns.verbs.get(word.text)
    if word.named or not (mostly_a_verb or (word.begins and mostly_a_verb is not None)):
        return True
    return not word.begins and _follows_a_noun(reading, index)


def _follows_a_noun(reading: Reading, index: int) -> bool:
    """Whether a word ends its clause right after a noun, as in "sofa cushion": a verb would stand before what it is done to."""
    last = index + 1 == len(reading.words) or reading.words[index + 1].begins
    before = reading.words[index - 1].text if index else ""
    return last and before not in STOP_WORDS and any(Nouns.shipped().senses(base) for base in forms(before))
