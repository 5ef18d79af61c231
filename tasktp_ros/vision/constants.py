"""Tensors that depend on a geometry alone, made once per device instead of once per frame.

Making a small tensor on a GPU copies it there; on the frame's path that is a transfer per use.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar, cast

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


def cached(function: Callable[P, T]) -> Callable[P, T]:
    """Remember results by (hashable) arguments; made outside inference mode, so that training can use them too."""
    return cast(Callable[P, T], lru_cache(maxsize=64)(torch.inference_mode(False)(function)))


@cached
def constant(values: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of (nested) tuples of numbers; not to be written to."""
    return torch.tensor(values, dtype=dtype, device=device)
