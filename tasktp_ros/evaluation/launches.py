# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a frame costs a GPU's host: kernels that run, calls that start them, and times it waits for the device.

On a fast GPU a small network's time is the host's: each launch takes microseconds, and each wait empties the queue.
"""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

FRAME = "tasktp frame"
LAUNCHES = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")
"""How names of calls begin by which the host gives the device something to do."""
COPIES = ("Memcpy", "Memset")
SYNCHRONISED = "called a synchronizing CUDA operation"
"""What torch warns of in its sync debug mode, in every version we work with."""


@dataclass(frozen=True)
class Launches:
    """Means per frame.

    Attributes:
        kernels: kernels that ran on the device, without copies.
        calls: calls by which the host started kernels, graphs and copies.
        waits: operations before whose result the host could not go on, other than reading the results.
    """

    kernels: float
    calls: float
    waits: float


def count_launches(run: Callable[[], object], frames: int = 3) -> Launches:
    """Count what `run`, a frame on the current CUDA device that has run before, costs the host.

    Args:
        frames: how often it is run, each time under another instrument.
    """
    waits = sum(count_waits(run) for _ in range(frames)) / frames
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(frames):
            with record_function(FRAME):
                run()
        torch.cuda.synchronize()
    kernels, calls = tally(profiler.events(), frames)
    return Launches(kernels, calls, waits)


def count_waits(run: Callable[[], object]) -> int:
    """Operations of `run` that torch knows to wait for the device; waiting for an event, as reading results does, is none."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return sum(SYNCHRONISED in str(warning.message) for warning in caught)


def tally(events: Iterable[Any], frames: int) -> tuple[float, float]:
    """Kernels and calls per frame.

    Args:
        events: of torch's profiler, over `frames` frames that lie in ranges named `FRAME`.
    """
    events = list(events)
    spans = [e.time_range for e in events if e.name == FRAME and e.device_type == DeviceType.CPU]
    kernels = calls = 0
    for event in events:
        if event.device_type == DeviceType.CUDA:
            kernels += event.name != FRAME and not event.name.startswith(COPIES)
        elif event.name.startswith(LAUNCHES):
            calls += any(span.start <= event.time_range.start <= span.end for span in spans)
    return kernels / frames, calls / frames
