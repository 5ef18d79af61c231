# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""How fast this machine multiplies matrices of the sizes that occur: what bounds a frame of counted operations from below."""

import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from tasktp_ros.evaluation.operations import Product, products_of
from tasktp_ros.runtime.precision import PRECISIONS

MOST_OPERATIONS = 2e9
"""A larger product is measured on fewer rows."""
REPEATS = 5
LARGEST = 6
"""Products that are measured: those that most operations of a frame belong to."""


def measure_rates(run: Callable[[], object], device: torch.device) -> dict[str, float]:
    """The rate for the products in `run`, in billions of operations per second, by the name of the float type."""
    products = products_of(run)[:LARGEST]
    return {name: matrix_rate(products, dtype, device) for name, dtype in PRECISIONS.items()}


def matrix_rate(products: Sequence[Product], dtype: torch.dtype, device: torch.device) -> float:
    """The best rate, in billions of operations per second, over some products at the present number of threads."""
    return max(_rate(product, dtype, device) for product in products)


def floor_milliseconds(gflops: float, rate: float) -> float:
    """Milliseconds that billions of operations take at a rate in billions per second."""
    return gflops / rate * 1e3


@torch.inference_mode()
def _rate(product: Product, dtype: torch.dtype, device: torch.device) -> float:
    rows = max(1, min(product.rows, int(MOST_OPERATIONS / (2 * product.inner * product.columns))))
    left = torch.ones(rows, product.inner, dtype=dtype, device=device)
    right = torch.ones(product.columns, product.inner, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        F.linear(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return product._replace(rows=rows).operations / best / 1e9
