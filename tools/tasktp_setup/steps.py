# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Steps that are done once, and again where something changed on which their outcome depends."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class SetupError(Exception):
    """A step that cannot be done; its text is one sentence with the remedy."""


@dataclass(frozen=True)
class Step:
    """One part of the set-up.

    Attributes:
        name: of its stamp.
        title: what a person reads while it runs.
        inputs: everything its outcome depends on.
        run: does it; may be run again after it was broken off.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    run: Callable[[], None]


def digest(inputs: Iterable[str]) -> str:
    """A hash of texts that changes with any of them."""
    collected = hashlib.sha256()
    for text in inputs:
        collected.update(hashlib.sha256(os.fsencode(text)).digest())
    return collected.hexdigest()


def contents(*paths: Path) -> tuple[str, ...]:
    """Names and contents of files; folders with everything below them."""
    texts: list[str] = []
    for path in _files(paths):
        texts += [str(path.relative_to(ROOT)), path.read_text()]
    return tuple(texts)


def names(*paths: Path) -> tuple[str, ...]:
    """Names of the files below folders: what links to them must know, whatever they contain."""
    return tuple(str(path.relative_to(ROOT)) for path in _files(paths))


def run_steps(steps: Iterable[Step], stamps: Path) -> None:
    """Run the steps whose inputs changed since they last finished; a redone step redoes all after it."""
    stamps.mkdir(parents=True, exist_ok=True)
    for step, mark in _marks(steps):
        stamp = stamps / step.name
        if _finished(stamp, mark):
            continue
        stamp.unlink(missing_ok=True)
        print(f"{step.title} ...", flush=True)
        started = time.monotonic()
        step.run()
        part = stamp.with_suffix(".part")
        part.write_text(mark)
        os.replace(part, stamp)
        print(f"{step.title}: {time.monotonic() - started:.0f} s", flush=True)


def all_finished(steps: Iterable[Step], stamps: Path) -> bool:
    """Whether these steps, a plan's first, have nothing left to do."""
    return all(_finished(stamps / step.name, mark) for step, mark in _marks(steps))


def _marks(steps: Iterable[Step]) -> Iterator[tuple[Step, str]]:
    """Each step with the hash of its inputs and of all steps before it."""
    mark = ""
    for step in steps:
        mark = digest((mark, *step.inputs))
        yield step, mark


def _finished(stamp: Path, mark: str) -> bool:
    return stamp.exists() and stamp.read_text() == mark


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file() and "__pycache__" not in p.parts)
            yield from (p for p in inside if not p.name.startswith("."))
