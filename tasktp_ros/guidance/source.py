# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What every source of guidance is, and the one check that all their vectors pass."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasktp_ros.errors import InputError

LENGTH = 256
"""Numbers of a guidance vector: the width of SAM's prompts."""


class Guidance(ABC):
    """Gives a vector for a sentence: equation (2)."""

    looks_at_image = False
    """Whether the vector depends on the image, so that it must be asked for with each."""

    @abstractmethod
    def vector(self, sentence: str, image: NDArray[np.uint8] | None = None) -> Tensor:
        """The guidance for a goal.

        Args:
            sentence: the goal in words.
            image: (H, W, 3) uint8 RGB; read only where `looks_at_image`.

        Returns:
            (256,) float32 on the CPU, finite.

        Raises:
            InputError: a sentence that this source knows nothing about, or a vector that cannot be used.
        """


def checked_vector(values: Tensor, where: str) -> Tensor:
    """A vector as sources hand it out: (256,) float32, from any shape that holds 256 numbers, such as (1, 1, 256).

    Args:
        where: what is being read, for the complaint.

    Raises:
        InputError: another number of values, another type, or values that are not finite.
    """
    if not isinstance(values, Tensor) or not (values.is_floating_point() or values.numel() == 0):
        raise InputError(f"{where} must hold {LENGTH} floating point numbers, got {_kind(values)}")
    if values.numel() != LENGTH:
        raise InputError(f"{where} must hold {LENGTH} numbers, got shape {tuple(values.shape)}")
    if not bool(values.isfinite().all()):
        raise InputError(f"{where} holds numbers that are not finite (NaN or infinite)")
    return values.detach().to("cpu", torch.float32).flatten()


def checked_sentence(sentence: str) -> str:
    """A sentence without spaces around it; raises InputError where nothing is left."""
    if not isinstance(sentence, str) or not sentence.strip():
        raise InputError(f"guidance needs a sentence, got {sentence!r}")
    return sentence.strip()


def _kind(values: object) -> str:
    return f"{values.dtype}" if isinstance(values, Tensor) else type(values).__name__
