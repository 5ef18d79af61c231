# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Names of models and where shipped weights are found, for programs that only name one: torch is not loaded."""

import os
import sys
from pathlib import Path

from tasktp_ros.errors import ModelError

UNTRAINED = "nano-untrained"


def find_model(model: str | Path) -> Path | None:
    """The file of a model, by shipped name or by the path of a .safetensors file; None for the untrained stand-in.

    Raises:
        ModelError: no such name or file, or something else than a .safetensors file.
    """
    if str(model) == UNTRAINED:
        return None
    path = Path(model)
    if path.suffix != ".safetensors" and (path.parent != Path() or path.suffix):
        raise ModelError(
            f"model {str(model)!r} is neither a shipped name nor a .safetensors file; `tasktp import` makes one of other files"
        )
    file = model_file(model)
    if file is None:
        raise ModelError(_not_here(str(model)))
    if not file.is_file():
        raise ModelError(f"model file {file} does not exist")
    return file


def _not_here(name: str) -> str:
    from tasktp_ros.runtime.public_models import (
        public_models,
    )  # reads a file, which the names of shipped models need not

    if name in public_models():
        return f"model {name!r} is not on this machine yet: type `tasktp fetch {name}`"
    fetchable = ", ".join(public_models())
    return f"unknown model {name!r}; shipped models are {', '.join(shipped_models())}, `tasktp fetch` knows {fetchable}"


def model_file(model: str | Path) -> Path | None:
    """The file of a model, by shipped name or path; None where there is none of that name."""
    if Path(model).suffix == ".safetensors":
        return Path(model)
    places = (folder / f"{model}.safetensors" for folder in weight_folders())
    return next((file for file in places if file.is_file()), None)


def shipped_models() -> list[str]:
    """Names that :func:`find_model` knows on this machine."""
    found = {path.stem for folder in weight_folders() for path in folder.glob("*.safetensors")}
    return [UNTRAINED, *sorted(found)]


def weight_folders() -> list[Path]:
    """Folders searched for weights: of a checkout, of the Python environment, of every sourced ROS workspace, and of what was
    fetched."""
    package = Path(__file__).resolve().parents[1]
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    installed = [Path(prefix) / "share" / "tasktp_ros" / "weights" for prefix in prefixes]
    return [
        package.parent / "weights",
        Path(sys.prefix) / "share" / "tasktp_ros" / "weights",
        *installed,
        fetched_models(),
    ]


def fetched_models() -> Path:
    """Folder of the models that `tasktp fetch` has brought, where the XDG rules put what can be had again."""
    said = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(said) if os.path.isabs(said) else Path.home() / ".cache"
    return cache / "tasktp_ros" / "models"
