# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Say what would be looked for when a robot is told something in words, and why; or measure how well that works."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasktp_ros.cli import options
from tasktp_ros.errors import InputError

if TYPE_CHECKING:
    from tasktp_ros.tasks.words.answer import Understanding
    from tasktp_ros.tasks.words.chain import Chain

LONGEST_SHOWN = 12


@dataclass(frozen=True)
class Said:
    """What the chain made of a sentence, and what went wrong on the way."""

    understanding: "Understanding"
    problem: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `tasktp goal`."""
    parser.add_argument("text", nargs="?", help='what the robot is told, such as "set the table for two"')
    parser.add_argument(
        "--vocabulary", default="coco", help="coco, rooms, or a model's .safetensors file (default: coco)"
    )
    parser.add_argument("--rules", type=Path, help="your own rules in place of config/tasks.yaml")
    parser.add_argument("--encoder", default="auto", metavar="FOLDER",
                        help="a sentence encoder; auto: that of its Python package if installed, none: none")  # fmt: skip
    parser.add_argument("--llm", default="", metavar="URL",
                        help="server of a language model, such as http://localhost:8080/v1; its key, if any, in TASKTP_LLM_KEY")  # fmt: skip
    parser.add_argument("--llm-model", default="", metavar="NAME", help="name of its model")
    parser.add_argument(
        "--llm-seconds", type=options.number(0.1, 600), default=10.0, help="most for one answer (default: 10)"
    )
    parser.add_argument("--measure", action="store_true",
                        help="no text: precision, recall and share passed on of every resolver, on sentences that ship")  # fmt: skip
    parser.add_argument("--output", type=options.file, help="with --measure: also write the numbers to this file")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Resolve or measure; see `tasktp goal --help`."""
    from tasktp_ros.runtime.vocabularies import find_vocabulary

    if arguments.measure == bool(arguments.text and arguments.text.strip()):
        raise InputError("expected what the robot is told, in quotes, or --measure without it")
    if arguments.measure:
        return _measure(arguments)
    if arguments.output:
        raise InputError("--output goes with --measure")
    said = _resolve(_chain(arguments, find_vocabulary(arguments.vocabulary)[1]), arguments.text)
    _print(said, arguments.json)
    return 0 if said.understanding.found else 2


def _chain(arguments: argparse.Namespace, vocabulary: tuple[str, ...]) -> "Chain":
    from tasktp_ros.tasks.rules import GoalRules
    from tasktp_ros.tasks.words.build import build_chain, shipped_rules

    rules = GoalRules.from_yaml(arguments.rules, vocabulary) if arguments.rules else shipped_rules(vocabulary)
    return build_chain(rules, arguments.encoder, arguments.llm, arguments.llm_model, arguments.llm_seconds)


def _resolve(chain: "Chain", text: str) -> Said:
    """What all resolvers say, and what went wrong with the slow ones."""
    answers = list(chain.steps("", text))
    return Said(answers[-1][0], "; ".join(problem for _, problem in answers if problem))


def _print(said: Said, as_json: bool) -> None:
    found = said.understanding
    if as_json:
        report: dict[str, Any] = {
            "categories": [{"name": name, "confidence": value} for name, value in found.ranked.items()],
            "everything": found.everything,
            "resolver": found.resolver,
            "reason": found.reason,
            "unread": list(found.unread),
            "doubts": [*found.doubts, *([said.problem] if said.problem else [])],
        }
        print(json.dumps(report, indent=1))
        return
    if found.everything:
        print("looks for all categories")
    elif not found.ranked:
        print("nobody knows what to look for")
    for name, confidence in list(found.ranked.items())[:LONGEST_SHOWN]:
        print(f"{name:<16} {confidence:.2f}")
    if len(found.ranked) > LONGEST_SHOWN:
        print(f"and {len(found.ranked) - LONGEST_SHOWN} more")
    print(f"because: {found.reason or 'no word of it is known'}")
    if said.problem:
        print(f"and: {said.problem}")


def _measure(arguments: argparse.Namespace) -> int:
    from tasktp_ros.cli.output import hand_over
    from tasktp_ros.evaluation.results import provenance
    from tasktp_ros.evaluation.words.measure import measure, table

    report = {**provenance(), **measure(_chain(arguments, _coco()))}
    hand_over(report, lambda: table(report), as_json=arguments.json, files=(arguments.output,))
    return 0


def _coco() -> tuple[str, ...]:
    from tasktp_ros.tasks.vocabulary import COCO

    return COCO
