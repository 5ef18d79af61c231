# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Arguments of launch files, all checked before the first process starts.

An error that launch meets later, in the middle of starting, leaves what was started before it running without a parent.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasktp_ros.errors import DataError, TaskTPError
from tasktp_ros.files import check_file, readable
from tasktp_ros.nodes.names import topic_name
from tasktp_ros.runtime.shipped import find_model

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True)
class Argument:
    """One argument of a launch file.

    Attributes:
        name: as in `name:=value`.
        default: the text that counts where none is given; None where one has to be.
        description: one sentence, for `--show-args`.
        read: makes the value of the text; a TaskTPError says what was expected.
    """

    name: str
    default: str | None
    description: str
    read: Callable[[str], Any] = str


def read_arguments(arguments: Iterable[Argument], given: Mapping[str, str]) -> dict[str, Any]:
    """Values of all arguments by name.

    Raises:
        DataError: what is wrong with those that are, in one sentence.
    """
    values: dict[str, Any] = {}
    problems = []
    for argument in arguments:
        text = given[argument.name]
        try:
            text.encode()
            values[argument.name] = argument.read(text)
        except UnicodeEncodeError:
            problems.append(f"launch argument {argument.name} is {readable(text)}, which is not UTF-8 and so cannot be a "
                            "ROS parameter: rename it")  # fmt: skip
        except TaskTPError as error:
            problems.append(f"launch argument {argument.name} is {text!r}: {error}")
    if problems:
        raise DataError("; ".join(problems))
    return values


def optional(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """The empty text for itself, any other as `read` takes it."""
    return lambda text: read(text) if text else text


def required(text: str) -> str:
    """Any text but the empty one."""
    if not text.strip():
        raise DataError("expected a text that is not empty")
    return text


def switch(text: str) -> bool:
    """True or false, in any case."""
    if text.lower() not in ("true", "false"):
        raise DataError("expected true or false")
    return text.lower() == "true"


def rate(text: str) -> float:
    """Frames per second, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e9:
        raise DataError("expected a number of frames per second, 0 or more")
    return value


def one_of(*names: str) -> Callable[[str], str]:
    """One of some names."""

    def read(text: str) -> str:
        if text not in names:
            raise DataError(f"expected one of {', '.join(names)}")
        return text

    return read


def log_level(text: str) -> str:
    """One of ROS's levels, in any case."""
    return one_of(*LOG_LEVELS)(text.lower())


def path(text: str) -> str:
    """A file or folder that is there and can be read."""
    place = _place(required(text))
    if not os.path.exists(place):
        raise DataError("it does not exist")
    if not os.access(place, os.R_OK):
        raise DataError("there is no right to read it")
    return place


def path_or_camera(text: str) -> str:
    """A file or folder as :func:`path` takes it, or a camera that is there: camera, camera:1 or its device."""
    from tasktp_ros.datasets.camera_frames import camera_device

    return path(text) if camera_device(text) is None else text


def file(text: str) -> str:
    """A file that is there and can be read."""
    place = path(text)
    if not os.path.isfile(place):
        raise DataError("expected a file")
    return place


def folder(text: str) -> str:
    """A folder that is there and can be read."""
    place = path(text)
    if not os.path.isdir(place):
        raise DataError("expected a folder")
    return place


def file_to_write(text: str) -> str:
    """A file that can be written."""
    place = _place(text)
    check_file(Path(place))
    return place


def _place(text: str) -> str:
    """A path whose leading `~`, which no shell replaces after `:=`, is the home folder, unless such a path is there."""
    if not text.startswith("~"):
        return text
    return f"./{text}" if os.path.exists(text) else os.path.expanduser(text)


def model(text: str) -> str:
    """The name of a shipped or fetched model, or a .safetensors file."""
    place = _place(text)
    find_model(place)
    return place


def topics(text: str) -> list[str]:
    """Topics of `[a, b]`, or of a single name; each once."""
    expected = "expected topic names such as [/front/image, /rear/image]"
    names: Any = [text]
    if text.lstrip().startswith("["):
        try:
            names = yaml.load(text, yaml.BaseLoader)
        except yaml.YAMLError as error:
            raise DataError(expected) from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(expected)
    return list(dict.fromkeys(topic_name(name) for name in names))
