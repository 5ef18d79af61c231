# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""CUDA graphs: what a frame launches, recorded once and replayed by one call.

A frame is about a thousand small kernels; on a fast GPU launching them takes longer than running them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tasktp_ros.vision.constants import holding
from tasktp_ros.vision.stages import recording

WARM_UPS = 2
"""Runs before a capture, in which libraries choose their kernels and constants are made."""


class Graphs:
    """Captures functions on one CUDA device; all graphs share their memory, so they run one after the other."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._side = torch.cuda.Stream(device)

    def capture(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """A function that does again what `run` did, on the same tensors, and returns the same tensor with new content.

        Args:
            run: reads and writes tensors that stay where they are, launches the same work whatever they hold, and never
                waits for the device.
        """
        current = torch.cuda.current_stream(self._device)
        with torch.cuda.device(self._device), recording(None), holding() as constants:
            self._side.wait_stream(current)
            with torch.cuda.stream(self._side):
                for _ in range(WARM_UPS):
                    run()
            current.wait_stream(self._side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, self._pool, self._side, capture_error_mode="thread_local"):
                output = run()

        def replay(kept_alive: list = constants) -> Tensor:
            graph.replay()
            return output

        return replay
