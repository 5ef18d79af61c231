# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Public models by name, from `public_models.yaml`: where each lies, what it is, its licence and published scores."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tasktp_ros.errors import ModelError

LIST = Path(__file__).with_name("public_models.yaml")


@dataclass(frozen=True)
class PublicModel:
    """A file that somebody else has published.

    Attributes:
        name: what `tasktp fetch` calls it.
        address: where it is downloaded from.
        size, method: arguments of `build_detector` that it must turn out to be.
        licence: of the weights, as far as their publisher says.
        page: where its publisher describes it.
        bytes: length of the file; 0 = not published.
        sha256: of the file, in hexadecimal, or its first digits; "" = not published.
        published: scores as published.
    """

    name: str
    address: str
    size: str
    method: str = "dense"
    licence: str = "unknown"
    page: str = ""
    bytes: int = 0
    sha256: str = ""
    published: dict[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """Published scores in words."""
        scores = (self.published.get("box_AP"), self.published.get("mask_AP"))
        return "start of a training" if None in scores else f"box {scores[0]:.1f}, mask {scores[1]:.1f} AP on COCO"


@cache
def public_models() -> dict[str, PublicModel]:
    """All that are known, by name."""
    return {name: PublicModel(name, **fields) for name, fields in yaml.safe_load(LIST.read_text()).items()}


def public_model(name: str) -> PublicModel:
    """One of them; ModelError names them all."""
    if name not in public_models():
        raise ModelError(f"no public model is called {name[:80]!r}; known are {', '.join(public_models())}")
    return public_models()[name]


def known_by_hash(digest: str) -> PublicModel | None:
    """The one whose published SHA-256 begins as this one, or is it."""
    return next((model for model in public_models().values() if model.sha256 and digest.startswith(model.sha256)), None)
