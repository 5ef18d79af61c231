# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What options may be. Every value is checked while the command line is read, before the first second of work.

`argparse` calls the functions that are made here with the text of an option, and turns their complaint into a sentence
that begins with the option's name.
"""

import argparse
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tasktp_ros.errors import InputError, TaskTPError
from tasktp_ros.files import check_file, check_folder, readable
from tasktp_ros.vision.reach import REACHES

MOST = 1_000_000_000
LONGEST_SIDE = 16384
LONGEST_SHOWN = 80
PRECISIONS = ("auto", "float32", "bfloat16")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
FIGURES = (*PICTURES, ".pdf", ".svg")
REACH_HELP = (
    "how far the task is followed: blocks (as published), network or frame (all the way); default: the model's own"
)


def of_method(text: str) -> tuple[str, Any]:
    """NAME=VALUE, an option of a token reduction method; the value as JSON writes it, or a word."""
    name, sign, value = text.partition("=")
    if not sign or not re.fullmatch(r"[a-z_]{1,40}", name) or not value.strip() or len(value) > LONGEST_SHOWN:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, such as kept=0.7, got {text[:LONGEST_SHOWN]!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


class OptionError(InputError):
    """A command line that cannot be; `program` is what was called, such as "tasktp bench"."""

    def __init__(self, program: str, sentence: str) -> None:
        super().__init__(sentence)
        self.program = program


class Parser(argparse.ArgumentParser):
    """Complains in one sentence, by an exception, where argparse prints its usage and exits."""

    def error(self, message: str) -> NoReturn:
        """Raise an OptionError."""
        sentence = message.removeprefix("argument ").replace(": must ", " must ", 1)
        raise OptionError(self.prog, f"{sentence} (see {self.prog} --help)")


def whole(lowest: int, highest: int = MOST) -> Callable[[str], int]:
    """A whole number from `lowest` to `highest`."""
    expected = f"a whole number of at least {lowest}" + (f" and at most {highest}" if highest != MOST else "")

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise _must_be(expected, text) from None
        if not lowest <= value <= highest:
            raise _must_be(expected if value < lowest or highest != MOST else f"{expected} and at most {MOST}", text)
        return value

    return read


def number(lowest: float, highest: float, ends: bool = True) -> Callable[[str], float]:
    """A finite number between `lowest` and `highest`; with `ends` also these themselves."""
    expected = f"a number between {lowest:g} and {highest:g}" + ("" if ends else " (both excluded)")

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise _must_be(expected, text) from None
        inside = lowest <= value <= highest if ends else lowest < value < highest
        if not (math.isfinite(value) and inside):
            raise _must_be(expected, text)
        return value

    return read


share = number(0, 1)
inner_share = number(0, 1, ends=False)
threads = whole(0, 1024)
workers = whole(1, 1024)
seed = whole(0, 2**32 - 1)


def sides(text: str) -> tuple[int, int]:
    """Height and width px from "480x640"."""
    found = re.fullmatch(r"([0-9]{1,6})[xX]([0-9]{1,6})", text)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(1 <= side <= LONGEST_SIDE for side in size):
        raise _must_be(f"two sides in px of at most {LONGEST_SIDE}, such as 480x640", text)
    return size


def reach(text: str) -> str:
    """How far a task is followed."""
    if text not in REACHES:
        raise _must_be(f"one of {', '.join(REACHES)}", text)
    return text


def device(text: str) -> str:
    """A device by name; one that this machine lacks is refused."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", text):
        raise _must_be("auto, cpu, cuda or cuda:N", text)
    if text.startswith("cuda"):
        from tasktp_ros.runtime.precision import choose_device

        try:
            choose_device(text)
        except TaskTPError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return text


def kind_of_device(text: str) -> str:
    """A device by name, without its number."""
    if ":" in text:
        raise _must_be("auto, cpu or cuda", text)
    return device(text)


def file(text: str) -> Path:
    """A file that will be written, with the folders above it."""
    return _place(text, check_file)


def folder(text: str) -> Path:
    """A folder that files will be written to."""
    return _place(text, check_folder)


def new_place(text: str) -> Path:
    """A file or folder that will be made, with the folders above it, and is not there yet."""
    if os.path.lexists(Path(text).expanduser()):
        raise argparse.ArgumentTypeError(f"{readable(text)} exists already: remove it or choose another name")
    return _place(text, check_file)


def picture(endings: Sequence[str] = PICTURES) -> Callable[[str], Path]:
    """A picture that will be written in a folder that exists; its ending chooses the format."""

    def read(text: str) -> Path:
        if Path(text).suffix.lower() not in endings:
            raise _must_be(f"a file that ends in {', '.join(endings)}", text)
        return _place(text, lambda path: check_file(path, make_folders=False))

    return read


def _place(text: str, check: Callable[[Path], None]) -> Path:
    if not text:
        raise _must_be("the name of a place to write to", text)
    path = Path(text).expanduser()
    try:
        check(path)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return path


def _must_be(expected: str, text: str) -> argparse.ArgumentTypeError:
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
    return argparse.ArgumentTypeError(f"must be {expected}, got {shown!r}")
