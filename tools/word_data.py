# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Makes what ships in tasktp_ros/tasks/words/data from WordNet 3.0 and from BEHAVIOR-1K, which two packages bring.

    python tools/word_data.py /usr/share/wordnet FOLDER_OF_BDDL

The first is where Debian's wordnet-base puts its files, the second the unpacked source of the Python package bddl (3.6.0).
"""

from __future__ import annotations

import csv
import gzip
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tasktp_ros.tasks.vocabulary import COCO  # noqa: E402
from tasktp_ros.tasks.words.nouns import Nouns  # noqa: E402

DATA = ROOT / "tasktp_ros" / "tasks" / "words" / "data"
TANGIBLE = {3, 5, 6, 10, 13, 17, 18, 20, 27}
"""WordNet's files of nouns for things: tops, animals, artifacts, communication (books), food, objects, people, plants, substances."""
IGNORED = {"agent.n.01", "floor.n.01", "wall.n.01"}
HELD_OUT_EVERY = 6
MOST_HELD_OUT = 100
NOTICES = {
    "WordNet": "WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. See LICENSE-WordNet.",
    "BEHAVIOR": "From BEHAVIOR-1K (bddl 3.6.0), Copyright (c) 2021 Stanford Vision and Learning Lab. See LICENSE-BEHAVIOR.",
}


def main(wordnet: Path, bddl: Path) -> None:
    write("wordnet_nouns.txt.gz", nouns(wordnet))
    write("wordnet_words.txt.gz", words(wordnet))
    write("activities.tsv", activities(bddl / "bddl", Senses(wordnet, bddl / "bddl")))


def write(name: str, lines: Iterable[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    (DATA / name).write_bytes(gzip.compress(content, 9, mtime=0) if name.endswith(".gz") else content)
    print(f"{name}: {(DATA / name).stat().st_size} bytes")


def synsets(wordnet: Path) -> Iterator[tuple[str, int, list[str], list[str]]]:
    """Offset, file, lemmas and offsets of the hypernyms of each noun."""
    for line in (wordnet / "data.noun").read_text(encoding="ascii").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        lemmas = [fields[4 + 2 * i].casefold() for i in range(count)]
        pointers = fields[5 + 2 * count :]
        if "@i" in pointers:  # one of a kind: a person, a town
            continue
        above = [p for kind, p in zip(pointers[::4], pointers[1::4], strict=False) if kind == "@"]
        yield fields[0], int(fields[1]), lemmas, above


def senses(wordnet: Path) -> Iterator[tuple[str, list[str]]]:
    """Each noun and its synsets, the most usual first."""
    for line in (wordnet / "index.noun").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if not line.startswith("  "):
            yield fields[0].casefold(), fields[-int(fields[2]) :]


def nouns(wordnet: Path) -> Iterator[str]:
    """First the synsets with what they are kinds of, then the words with their synsets and numbers of senses."""
    yield f"# {NOTICES['WordNet']}"
    kept = {offset: above for offset, file, _, above in synsets(wordnet) if file in TANGIBLE}
    number = {offset: index for index, offset in enumerate(kept)}
    for above in kept.values():
        yield " ".join(str(number[offset]) for offset in above if offset in number)
    yield "#"
    for lemma, offsets in senses(wordnet):
        tangible = [f"{rank}:{number[o]}" for rank, o in enumerate(offsets, 1) if o in number]
        if tangible and re.fullmatch(r"[a-z][a-z_' -]*", lemma):
            yield f"{lemma} {' '.join(tangible)}"


def words(wordnet: Path) -> Iterator[str]:
    """All single words; after a space `v` for more often verbs than nouns, `b` for verbs as well."""
    yield f"# {NOTICES['WordNet']}"
    counts: dict[str, dict[str, int]] = {}
    for line in (wordnet / "cntlist.rev").read_text(encoding="ascii").splitlines():
        key, _, count = line.split()
        lemma, kind = key.split("%")
        by_kind = counts.setdefault(lemma, {})
        by_kind[kind[0]] = by_kind.get(kind[0], 0) + int(count)
    kinds: dict[str, set[str]] = {}
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (wordnet / f"index.{kind}").read_text(encoding="ascii").splitlines():
            if not line.startswith("  "):
                kinds.setdefault(line.split()[0].casefold(), set()).add(kind)
    for lemma in sorted(word for word in kinds if re.fullmatch(r"[a-z]+", word)):
        mostly = counts.get(lemma, {}).get("2", 0) > counts.get(lemma, {}).get("1", 0)
        yield lemma + (" v" if mostly else " b" if "verb" in kinds[lemma] else "")
    for line in (wordnet / "noun.exc").read_text(encoding="ascii").splitlines():
        plural, *singular = line.split()
        if re.fullmatch(r"[a-z]+", plural + singular[0]):
            yield f"{plural} {singular[0]}"


class Senses:
    """Which categories of COCO the synsets of BEHAVIOR are, or are kinds of; synsets of its own by what it says they are kinds of."""

    def __init__(self, wordnet: Path, bddl: Path) -> None:
        self._nouns = Nouns.shipped()
        self._meant = {synset: name for name in reversed(COCO) for synset in self._nouns.meanings(name)}
        with (bddl / "generated_data" / "synsets.csv").open(encoding="utf-8") as file:
            self._own = {row["synset"]: row["hypernyms"].split(",") for row in csv.DictReader(file)}

    def categories(self, synset: str, depth: int = 0) -> set[str]:
        number = self._nouns.find(synset)
        if number is None:
            above = self._own.get(synset, []) if depth < 3 else []
            return {name for parent in above for name in self.categories(parent.strip(), depth + 1)}
        for level in self._nouns.upwards(number):
            found = {self._meant[synset] for synset in level if synset in self._meant}
            if found:
                return found
        return set()


def activities(bddl: Path, known: Senses) -> Iterator[str]:
    """Each activity with at least one category; every sixth is held out, a hundred at most."""
    yield f"# {NOTICES['BEHAVIOR']}"
    yield "# part: table, or held for the activities that only measurements know. Written by tools/word_data.py."
    yield "part\tactivity\tcategories"
    number = held = 0
    for path in sorted((bddl / "activity_definitions").glob("*/problem0.bddl")):
        text = path.read_text(encoding="utf-8").split("(:goal")[0].split("(:init")[0]
        found = {name for synset in re.findall(r"[a-z_'-]+\.n\.\d\d\b(?!_)", text) for name in known.categories(synset)}
        found = {name for name in COCO if name in found}
        if not found:
            continue
        number += 1
        hold = number % HELD_OUT_EVERY == 0 and held < MOST_HELD_OUT
        held += hold
        ordered = "; ".join(name for name in COCO if name in found)
        title = re.sub(r"-\d+$", "", path.parent.name).replace("_", " ")
        yield f"{'held' if hold else 'table'}\t{title}\t{ordered}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
