# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Which source of guidance a text such as a node's parameter names."""

import json
from pathlib import Path

from tasktp_ros.errors import InputError
from tasktp_ros.files import readable
from tasktp_ros.guidance.cached import CachedGuidance
from tasktp_ros.guidance.mllm import MllmGuidance
from tasktp_ros.guidance.sentence import SentenceGuidance
from tasktp_ros.guidance.source import Guidance

OWN_TABLE = "table"
SOURCES = ("cached", "sentence", "mllm")
TASKS = "tasks.json"
"""In a folder of cached embeddings: an object of sentences and their task ids."""


def check_named(text: str) -> None:
    """Raises InputError for a text that names no source."""
    kind, colon, folder = text.partition(":")
    if text != OWN_TABLE and not (kind in SOURCES and colon and folder):
        raise InputError(
            f"guidance must be {OWN_TABLE}, or {', '.join(f'{name}:FOLDER' for name in SOURCES)}, got {text[:80]!r}"
        )


def open_named(text: str, device: str = "cpu") -> Guidance | None:
    """The source that a text names; None for the model's own table.

    Args:
        text: table, cached:FOLDER (see `TASKS`), sentence:FOLDER or mllm:FOLDER.

    Raises:
        InputError: it names none, or its folder does not hold what it must.
    """
    check_named(text)
    kind, _, folder = text.partition(":")
    if kind == "cached":
        return CachedGuidance(folder, _tasks(Path(folder) / TASKS))
    if kind == "sentence":
        return SentenceGuidance.open(folder, device)
    return MllmGuidance.open(folder, device) if kind == "mllm" else None


def _tasks(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        tasks = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"tasks of cached guidance {readable(path)} cannot be read: {error}") from error
    if not isinstance(tasks, dict) or not all(type(task) in (int, str) for task in tasks.values()):
        raise InputError(f"tasks of cached guidance {readable(path)} must be an object of sentences and task ids")
    return {sentence: str(task) for sentence, task in tasks.items()}
