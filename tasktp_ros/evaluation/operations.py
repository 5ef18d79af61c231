# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Operations of a frame as torch counts them, by stage, and the matrix products they are made of."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.vision.image import frame_for, to_input
from tasktp_ros.vision.stages import recording


class Product(NamedTuple):
    """A matrix product (rows, inner) x (inner, columns); of a convolution, a row is an output pixel."""

    rows: int
    inner: int
    columns: int

    @property
    def operations(self) -> int:
        """A multiply-add is two."""
        return 2 * self.rows * self.inner * self.columns


def operation_counter() -> FlopCounterMode:
    """Torch's counter, with the CPU's fused attention, which torch leaves out: three quarters of deit_tiny's blocks.

    Convolutions, products and attention count, a multiply-add as two. Use it in `no_grad`: in inference mode torch
    counts no linear layer.
    """
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return FlopCounterMode(display=False, custom_mapping={attention: _attention_operations})


def stage_gflops(detector: TaskDetector, image: NDArray[np.uint8]) -> dict[str, float]:
    """Billions of operations per stage on one image under the detector's task and settings."""
    with operation_counter() as counter:
        recorder = _OperationRecorder(counter)
        with recording(recorder):
            run_network(detector, image)
    return recorder.operations


def products_of(run: Callable[[], object]) -> list[Product]:
    """The matrix products in `run`, each once, those with the most operations in all first."""
    with _ProductRecorder() as recorder:
        run()
    ranked = sorted(recorder.products.items(), key=lambda item: -item[0].operations * item[1])
    return [product for product, _ in ranked]


def run_network(detector: TaskDetector, image: NDArray[np.uint8]) -> None:
    """One pass of the network alone, outside of inference mode.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    network = detector.network()
    frame = frame_for(image.shape[0], image.shape[1], detector.card.resize())
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(detector.device)
    batch = to_input(pixels, frame, next(network.parameters()).dtype)
    _, state = detector.new_state()
    with torch.no_grad():
        network(batch, [frame.content], state, detector.cut_off, detector.max_detections)


class _OperationRecorder:
    """Attributes the operations counted by torch to the stage they ran in."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self.operations: dict[str, float] = {}
        self._counter = counter
        self._before = 0

    def begin(self, name: str) -> None:
        self._before = self._counter.get_total_flops()

    def end(self, name: str) -> None:
        counted = self._counter.get_total_flops() - self._before
        self.operations[name] = self.operations.get(name, 0.0) + counted / 1e9


class _ProductRecorder(TorchDispatchMode):
    """Counts matrix products and dense convolutions by their shape."""

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[Product] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm):
            left, right = args[-2:]
            self._add(left.shape[-2], left.shape[-1], right.shape[-1], left.shape[:-2].numel())
        elif packet is torch.ops.aten.convolution and args[8] == 1 and not args[6]:
            weight = args[1]
            self._add(result.numel() // result.shape[1], weight[0].numel(), result.shape[1])
        return result

    def _add(self, rows: int, inner: int, columns: int, times: int = 1) -> None:
        if rows and inner and columns and times:
            self.products[Product(rows, inner, columns)] += times


def _attention_operations(query: Any, key: Any, value: Any, *arguments: Any, **options: Any) -> int:
    return sdpa_flop_count(query, key, value)
