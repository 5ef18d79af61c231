# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A vocabulary by name or by the model that has it, without loading the network: the task manager has no use for that."""

import json

from safetensors import SafetensorError, safe_open

from tasktp_ros.errors import TaskError
from tasktp_ros.runtime.shipped import find_model, model_file
from tasktp_ros.tasks.vocabulary import VOCABULARIES


def find_vocabulary(name: str) -> tuple[str, tuple[str, ...]]:
    """What a vocabulary is called in messages, and its categories.

    Args:
        name: of a vocabulary or a model that is here, or the path of a model's .safetensors file.

    Raises:
        TaskError: no such vocabulary, or a file that is no model of this package.
    """
    if name in VOCABULARIES:
        return name, VOCABULARIES[name]
    file_of_model = model_file(name)
    if file_of_model is None:
        raise TaskError(
            f"there is no vocabulary {name!r}; known are {', '.join(VOCABULARIES)}, and that of a model by its file"
        )
    try:
        with safe_open(file_of_model.expanduser(), framework="np") as file:
            card = json.loads((file.metadata() or {})["card"])
        return str(card["vocabulary_name"]), tuple(map(str, card["vocabulary"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TaskError(f"model file {name} has no vocabulary that can be read: {error}") from error


def name_of_vocabulary(model: str) -> str:
    """What :func:`find_vocabulary` finds a model's vocabulary by: its name, or the model's file where it has one of its own.

    Args:
        model: the name of a model that is here, or the path of a model's .safetensors file.

    Raises:
        ModelError: no such model.
        TaskError: a file that is no model of this package.
    """
    file = find_model(model)
    if file is None:
        return "coco"
    name, categories = find_vocabulary(str(file))
    return name if VOCABULARIES.get(name) == categories else str(file)
