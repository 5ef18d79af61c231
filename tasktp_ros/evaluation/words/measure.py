# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Precision, recall and share passed on of each resolver and of the chain, on sentences whose categories are known.

Sets: the sentences written for this project (a half to tune with, a half to test with), the activities of BEHAVIOR-1K that are held out
of the table, the tasks of COCO-Tasks. Sums over sentences: of the categories answered those that are right, of the categories needed
those answered. A sentence for everything, or for all but something, counts as one slot: right or wrong.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasktp_ros.errors import DataError, TaskError
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.tasks.words.activities import ActivityResolver, read_table
from tasktp_ros.tasks.words.answer import Resolver, Understanding
from tasktp_ros.tasks.words.chain import Chain

FOLDER = Path(__file__).parent
EVERYTHING = frozenset({"all"})


@dataclass(frozen=True)
class Sentence:
    """A sentence and what has to be seen for it.

    Attributes:
        needed: categories that must be answered, {"all"} for everything; empty: nothing of the vocabulary helps.
        allowed: those that are neither missed nor wrong.
        kind: what has to be understood.
    """

    text: str
    needed: frozenset[str]
    allowed: frozenset[str]
    kind: str


def read_sentences(name: str, half: str) -> list[Sentence]:
    """Sentences of a file in this folder; raises DataError for a category that COCO does not have."""
    rows = [line.split("\t") for line in (FOLDER / name).read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    found = []
    for part, kind, text, names in rows[1:]:
        if part != half:
            continue
        listed = [] if names == "-" else names.removeprefix("all but ").split("; ")
        needed = frozenset(entry for entry in listed if not entry.startswith("("))
        allowed = frozenset(entry.strip("()") for entry in listed if entry.startswith("("))
        if unknown := (needed | allowed) - set(COCO) - EVERYTHING:
            raise DataError(f"{name}: COCO has no {sorted(unknown)[0]!r}")
        found.append(Sentence(text, _set_of(needed, names.startswith("all but ")), allowed, kind))
    return found


def _set_of(names: frozenset[str], excluded: bool) -> frozenset[str]:
    return frozenset({"all but " + ", ".join(name for name in COCO if name in names)}) if excluded else names


def sets() -> dict[str, list[Sentence]]:
    """What is measured on, by name."""
    held = [Sentence(title, frozenset(names), frozenset(), "activity") for title, names in read_table("held")]
    return {
        "own, tuned on": read_sentences("sentences.tsv", "tune"),
        "own, test": read_sentences("sentences.tsv", "test"),
        "BEHAVIOR, held out": held,
        "COCO-Tasks": read_sentences("coco_tasks.tsv", "all"),
    }


def measure(chain: Chain) -> dict[str, Any]:
    """Numbers of each resolver alone, and of the chain up to each; activities of the table without those that are held out."""
    table = ActivityResolver(COCO, read_table("table"))
    resolvers = [table if resolver.name == "activity" else resolver for resolver in chain.resolvers]
    rows = [(resolver.name, [resolver]) for resolver in resolvers]
    rows += [(f"chain up to {resolvers[end - 1].name}", resolvers[:end]) for end in range(2, len(resolvers) + 1)]
    everything = sets()
    return {
        "sentences": {name: len(sentences) for name, sentences in everything.items()},
        "rows": [
            {
                "resolvers": title,
                "sets": {name: _score(chain, some, sentences) for name, sentences in everything.items()},
            }
            for title, some in rows
        ],
        "kinds": {
            kind: _score(chain, resolvers, [sentence for sentence in everything["own, test"] if sentence.kind == kind])
            for kind in dict.fromkeys(sentence.kind for sentence in everything["own, test"])
        },
    }


def _score(chain: Chain, resolvers: Sequence[Resolver], sentences: Sequence[Sentence]) -> dict[str, Any]:
    asked = Chain(chain.rules, resolvers)
    right = answered = needed = hit = passed = exact = failed = 0
    seconds = []
    for sentence in sentences:
        started = time.perf_counter()
        try:
            said = asked.understand(sentence.text, slow=True)
        except TaskError:
            failed += 1
            said = asked.understand(sentence.text)
        seconds.append(time.perf_counter() - started)
        found = _answered(said)
        counted = found - sentence.allowed
        answered += len(counted)
        right += len(counted & sentence.needed)
        needed += len(sentence.needed)
        hit += len(found & sentence.needed)
        passed += not found
        exact += counted == sentence.needed
    return {
        "precision": round(right / answered, 4) if answered else None,
        "recall": round(hit / needed, 4) if needed else None,
        "passed_on": round(passed / len(sentences), 4),
        "exactly_right": round(exact / len(sentences), 4),
        "failed": failed,
        "counts": {
            "right": right,
            "answered": answered,
            "found": hit,
            "needed": needed,
            "passed": passed,
            "exact": exact,
        },
        "milliseconds": round(1000 * sorted(seconds)[len(seconds) // 2], 3),
    }


def _answered(said: Understanding) -> frozenset[str]:
    if said.everything:
        return EVERYTHING
    if len(said.ranked) > len(COCO) / 2:
        return _set_of(frozenset(COCO) - said.ranked.keys(), excluded=True)
    return frozenset(said.ranked)


def table(report: dict[str, Any]) -> str:
    """The numbers as Markdown."""
    names = list(report["sentences"])
    counts = [f"{name} ({report['sentences'][name]})" for name in names]
    lines = [
        "Per cent of precision / recall / sentences passed on.",
        "",
        "| resolvers | " + " | ".join(counts) + " | ms |",
        "| --- |" + " --: |" * (len(names) + 1),
    ]
    for row in report["rows"]:
        cells = [_cell(row["sets"][name]) for name in names]
        lines.append(f"| {row['resolvers']} | {' | '.join(cells)} | {row['sets'][names[0]]['milliseconds']:.1f} |")
    lines += [
        "",
        "The whole chain on own test sentences by what has to be understood; exactly right: of its sentences.",
        "",
        "| kind | precision / recall / passed on | exactly right |",
        "| --- | --: | --: |",
    ]
    lines += [
        f"| {kind} | {_cell(score)} | {_per_cent(score['exactly_right'])} |" for kind, score in report["kinds"].items()
    ]
    return "\n".join(lines)


def _cell(score: dict[str, Any]) -> str:
    return " / ".join(_per_cent(score[name]) for name in ("precision", "recall", "passed_on"))


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}"
