# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The nouns of WordNet for things that can be seen: which words mean the same, and what is a kind of what.

Read from two files that ship (made by `tools/word_data.py`), 1.5 MB, so a robot needs no download and no package for it.
"""

import gzip
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path

DATA = Path(__file__).parent / "data"


class Nouns:
    """Words, their senses (numbers of synsets), and the kinds above each.

    Args:
        above: for each synset the numbers of the synsets that it is a kind of; read when they are asked for, as are senses.
        senses: word (with _ for spaces) -> "sense:synset ...", senses counted from 1 over all that WordNet has.
        verbs: words that are verbs as well -> whether they are so more often than nouns.
        words: all single words there are, as they stand in a dictionary.
        singulars: irregular plural -> singular.
        meant: category name -> what it means, as lemma.n.sense.
    """

    def __init__(
        self,
        above: Sequence[str],
        senses: Mapping[str, str],
        verbs: Mapping[str, bool],
        words: Set[str],
        singulars: dict[str, str],
        meant: dict[str, tuple[str, ...]],
    ) -> None:
        self._above = above
        self._senses = senses
        self._meant = meant
        self.verbs = verbs
        self.words = words
        self.singulars = singulars

    @classmethod
    @lru_cache(maxsize=1)
    def shipped(cls) -> "Nouns":
        """Those of WordNet 3.0, with the meanings of COCO's names; about 0.2 s the first time."""
        synsets, _, lemmas = _read("wordnet_nouns.txt.gz").partition("\n#\n")
        above = synsets.split("\n")
        senses = dict(line.split(" ", 1) for line in lemmas.splitlines())
        words = dict((line + " ").split(" ", 1) for line in _read("wordnet_words.txt.gz").splitlines())
        more = {word: rest.rstrip() for word, rest in words.items() if rest}
        meant = {}
        for line in (DATA / "senses.tsv").read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                name, *names = line.split("\t")
                meant[name] = tuple(names)
        verbs = {word: rest == "v" for word, rest in more.items() if len(rest) == 1}
        singulars = {word: rest for word, rest in more.items() if len(rest) > 1}
        return cls(above, senses, verbs, words.keys(), singulars, meant)

    def senses(self, lemma: str) -> tuple[int, ...]:
        """Tangible synsets of a word or of several joined by _, the most usual first; empty for none."""
        return tuple(self.numbered(lemma).values())

    def find(self, name: str) -> int | None:
        """The synset that WordNet calls "mug.n.04"; None where there is none, or nothing that could be seen."""
        lemma, _, rank = name.rpartition(".n.")
        return self.numbered(lemma).get(int(rank)) if rank.isdigit() else None

    def numbered(self, lemma: str) -> dict[int, int]:
        """Number of a sense, counted from 1 over all that WordNet has -> synset, for the tangible ones."""
        pairs = (entry.split(":") for entry in self._senses.get(lemma, "").split())
        return {int(rank): int(synset) for rank, synset in pairs}

    def meanings(self, category: str) -> tuple[int, ...]:
        """The synsets that a category of a vocabulary stands for; empty for a name that WordNet does not know."""
        listed = self._meant.get(category)
        if listed:
            return tuple(synset for name in listed if (synset := self.find(name)) is not None)
        return self.senses(category.casefold().replace(" ", "_"))[:1]

    def upwards(self, synset: int) -> Iterator[set[int]]:
        """The synset itself, then what it is a kind of, and so on to the top."""
        level = {synset}
        seen: set[int] = set()
        while level:
            yield level
            seen |= level
            level = {int(parent) for member in level for parent in self._above[member].split()} - seen


def _read(name: str) -> str:
    text = gzip.decompress((DATA / name).read_bytes()).decode("ascii")
    notice, _, content = text.partition("\n")
    assert notice.startswith("#")
    return content
