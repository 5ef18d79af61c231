# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Tensors that depend on a geometry alone, made once per device instead of once per frame.

Making a small tensor on a GPU copies it there; on the frame's path that is a transfer per use.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

_held: ContextVar[list[Any] | None] = ContextVar("held_constants", default=None)


def cached(function: Callable[P, T]) -> Callable[P, T]:
    """Remember results by (hashable) arguments; made outside inference mode, so that training can use them too."""
    made = cast(Callable[P, T], lru_cache(maxsize=64)(torch.inference_mode(False)(function)))

    @wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> T:
        return hold(made(*args, **kwargs))

    return remembered


def hold(made: T) -> T:
    """Note for :func:`holding` that this thread uses something that was made once and may be forgotten."""
    held = _held.get()
    if held is not None:
        held.append(made)
    return made


@contextmanager
def holding() -> Iterator[list[Any]]:
    """A list of the constants that this thread uses meanwhile, for who reads their memory after they are forgotten here."""
    held: list[Any] = []
    token = _held.set(held)
    try:
        yield held
    finally:
        _held.reset(token)


@cached
def constant(values: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of (nested) tuples of numbers; not to be written to."""
    return torch.tensor(values, dtype=dtype, device=device)
