# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which device and float type to run on: bf16 only where this machine is measured to be fast at it."""

import time
from functools import lru_cache, partial

import torch
from torch import Tensor

from tasktp_ros.errors import ModelError
from tasktp_ros.vision.turns import least_seconds

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WORTHWHILE = 1.5
ROUNDS = 6


def choose_device(device: str) -> torch.device:
    """ "auto" is the first CUDA device, else the CPU; other names as torch writes them ("cpu", "cuda:1").

    Raises:
        ModelError: a name torch does not know, or a CUDA device this machine does not have.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"unknown device {device!r}; expected auto, cpu, cuda or cuda:N") from error
    if chosen.type not in ("cpu", "cuda"):
        raise ModelError(f"device {device!r} is not supported; expected auto, cpu, cuda or cuda:N")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"device {device!r} was asked for, but this machine has {torch.cuda.device_count()} of them")
    return chosen


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """ "auto" is bf16 where it is at least 1.5 times as fast as float32 on this device, measured once per process.

    Raises:
        ModelError: unknown name.
    """
    if precision == "auto":
        return torch.bfloat16 if bf16_speedup(device) >= WORTHWHILE else torch.float32
    if precision not in PRECISIONS:
        raise ModelError(f"unknown precision {precision!r}; expected auto, {' or '.join(PRECISIONS)}")
    return PRECISIONS[precision]


@lru_cache(maxsize=8)
def bf16_speedup(device: torch.device) -> float:
    """Time of a float32 product over that of the same bf16 product; 1.0 on GPUs older than Ampere."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] < 8:
        return 1.0
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    works = [partial(_multiply, torch.ones(384, 384, dtype=dtype, device=device)) for dtype in PRECISIONS.values()]
    of_float32, of_bfloat16 = least_seconds(works, ROUNDS, clock)
    return of_float32 / of_bfloat16


def _multiply(matrix: Tensor) -> None:
    """The matrix times itself, to its end."""
    _ = matrix @ matrix
    if matrix.device.type == "cuda":
        torch.cuda.synchronize(matrix.device)
