# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Stage times of one frame: wall clock on a CPU, CUDA events (no waiting in between) on a GPU."""

import time
from collections import defaultdict

import torch


class WallRecorder:
    """Adds up the wall-clock time of every stage; for devices that finish an operation before returning."""

    def __init__(self) -> None:
        self._milliseconds: dict[str, float] = defaultdict(float)
        self._started = 0.0

    def begin(self, name: str) -> None:
        self._started = time.perf_counter()

    def end(self, name: str) -> None:
        self._milliseconds[name] += (time.perf_counter() - self._started) * 1000.0

    def milliseconds(self) -> dict[str, float]:
        """Milliseconds per stage in the order they first ran."""
        return dict(self._milliseconds)


class CudaRecorder:
    """Records a pair of events per stage; reading them waits for the last one, so do it after the results were read."""

    def __init__(self) -> None:
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    def begin(self, name: str) -> None:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        self._events.append((name, start, end))

    def end(self, name: str) -> None:
        self._events[-1][2].record()

    def milliseconds(self) -> dict[str, float]:
        """Milliseconds per stage in the order they first ran."""
        total: dict[str, float] = defaultdict(float)
        for name, start, end in self._events:
            end.synchronize()
            total[name] += start.elapsed_time(end)
        return dict(total)


def recorder_for(device: torch.device) -> WallRecorder | CudaRecorder:
    """The recorder that measures `device` correctly."""
    return CudaRecorder() if device.type == "cuda" else WallRecorder()
