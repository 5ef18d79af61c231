# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Embeddings that a language model made earlier: a folder with `seg_<task id>.pt` for each task, as VLTP's code keeps them."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasktp_ros.errors import InputError
from tasktp_ros.files import readable, replacing
from tasktp_ros.guidance.source import Guidance, checked_sentence, checked_vector

NAME = re.compile(r"[\w.-]{1,100}")


class CachedGuidance(Guidance):
    """Reads the vector of a task when it is asked for, and remembers it.

    Args:
        folder: where the files are.
        tasks: task id of each sentence, compared without regard to case and spaces around it. A sentence that is not
            there is read as a task id itself.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, folder: str | Path, tasks: Mapping[str, str | int] | None = None) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"folder of cached guidance {readable(self.folder)} does not exist")
        self.tasks = {_plain(sentence): str(task) for sentence, task in (tasks or {}).items()}
        self._read: dict[str, Tensor] = {}

    def vector(self, sentence: str, image: NDArray[np.uint8] | None = None) -> Tensor:
        plain = _plain(checked_sentence(sentence))
        return self.of_task(self.tasks.get(plain, plain))

    def of_task(self, task: str | int) -> Tensor:
        """(256,) float32 of a task by its id.

        Raises:
            InputError: no file for it, or one that does not hold 256 finite numbers.
        """
        name = str(task)
        if name not in self._read:
            self._read[name] = read_embedding(embedding_path(self.folder, name))
        return self._read[name].clone()


def embedding_path(folder: Path, task: str | int) -> Path:
    """Where a task's vector lies; raises InputError for an id that is no file name."""
    if not NAME.fullmatch(str(task)):
        raise InputError(f"there is no cached guidance for {str(task)[:100]!r}")
    return folder / f"seg_{task}.pt"


def read_embedding(path: Path) -> Tensor:
    """(256,) float32 of one file; only tensors are read, never code. Raises InputError."""
    if not path.is_file():
        raise InputError(f"cached guidance {readable(path)} does not exist")
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load's errors have no common base
        raise InputError(f"cached guidance {readable(path)} cannot be read: {type(error).__name__}") from error
    return checked_vector(values, f"cached guidance {readable(path)}")


def write_embedding(folder: Path, task: str | int, vector: Tensor) -> Path:
    """Keep a task's vector; raises InputError as reading it would."""
    path = embedding_path(folder, task)
    values = checked_vector(vector, f"guidance for task {task}")
    with replacing(path) as beside, beside.open("wb") as file:
        torch.save(values.view(1, 1, -1), file)
    return path


def _plain(sentence: str) -> str:
    return " ".join(sentence.lower().split())
