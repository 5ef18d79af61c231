# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""ROS parameter files: one written for a node that is started, and what one that is given says.

Launch's own way of handing parameters over lets PyYAML write them and ROS read them, which disagree on what is a text:
`1e3`, `y` and `nan` arrive as numbers or booleans. Here texts are quoted.
"""

import atexit
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.processes import parameter_value
from tasktp_ros.nodes.launching.arguments import file

ANY_NODE = "/**/*"
"""Names every node, and is a key that no other file has: what it says comes last, and the last one counts."""


def parameter_file(text: str) -> str:
    """Read an argument that names a YAML file of ROS parameters."""
    path = file(text)
    read_parameters(path)
    return path


def read_parameters(path: str) -> dict[Any, Any]:
    """The content of a parameter file, with all values as texts.

    Raises:
        DataError: it is not such a file.
    """
    try:
        content = yaml.load(Path(path).read_text("utf-8"), yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"it cannot be read as a YAML file of parameters: {reason}") from error
    if not isinstance(content, dict):
        raise DataError("expected a YAML file of parameters, each under its node's name and ros__parameters")
    return content


def parameter_of(path: str, node: str, name: str, default: Any) -> Any:
    """What a parameter file says of one parameter, as text or list of texts; the last entry that fits counts.

    Args:
        path: the file.
        node: full name of the node, such as /robot1/perception.
        name: of the parameter.
        default: returned where it says nothing.
    """
    value = default
    for pattern, parameters in _entries(read_parameters(path)):
        if re.fullmatch(_expression(pattern), node) and isinstance(parameters, dict):
            value = parameters.get(name, value)
    return value


def _entries(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Patterns of node names, which may be nested, and the parameters under each."""
    for key, value in content.items():
        if key == "ros__parameters":
            yield above, value
        elif isinstance(value, dict):
            yield from _entries(value, f"{above}/{key.strip('/')}")


def _expression(pattern: str) -> str:
    known = {"**": "(/[^/]+)*", "*": "/[^/]+"}
    return "".join(known.get(part, f"/{re.escape(part)}") for part in pattern.split("/")[1:])


def write_parameters(parameters: Mapping[str, Any]) -> str:
    """Write a parameter file that is removed when this process ends; its path.

    Raises:
        DataError: there is no room or right to.
    """
    lines = [f"    {name}: {_yaml(value)}\n" for name, value in parameters.items()]
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="tasktp_ros_", suffix=".yaml", delete=False
        ) as written:
            atexit.register(_remove, written.name)
            written.write(f"{ANY_NODE}:\n  ros__parameters:\n{''.join(lines)}")
    except OSError as error:
        raise DataError(
            f"the nodes' parameters cannot be written to {tempfile.gettempdir()}: {error.strerror}"
        ) from error
    return written.name


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(parameter_value, value))}]"
    return parameter_value(value)


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)
