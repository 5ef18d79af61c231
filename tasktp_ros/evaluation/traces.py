# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""What the profiler sees of one frame: how many kernels it takes, and how much memory lives at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

FREE = frozenset(
    """_reshape_alias _unsafe_view alias as_strided broadcast_tensors chunk contiguous detach empty empty_like empty_strided
    expand expand_as flatten lift_fresh movedim narrow new_empty new_empty_strided numpy_T permute promote_types resize_ reshape
    resolve_conj resolve_neg result_type select slice split split_with_sizes squeeze swapaxes t to transpose type_as unbind
    unflatten unsqueeze view view_as""".split()
)
"""Operations that only describe or allocate memory."""


class Trace(NamedTuple):
    """kernels: on CUDA those that were launched, elsewhere operations that touch numbers, each counted where nothing
    inside it counts.  live_bytes: most memory that was allocated at once beyond what was there before.
    """

    kernels: int
    live_bytes: int


def trace(run: Callable[[], object], device: torch.device) -> Trace:
    """Profile one frame; run it before, so that nothing is made for the first time."""
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    if cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    with profile(activities=activities, profile_memory=not cuda) as profiler:
        run()
        if cuda:
            torch.cuda.synchronize(device)
    if cuda:
        launched = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
        kernels = sum(not event.name.startswith(("Memcpy", "Memset")) for event in launched)
        return Trace(kernels, torch.cuda.max_memory_allocated(device) - before)
    tops = [event for event in profiler.events() if event.cpu_parent is None]
    return Trace(sum(_kernels(event) for event in tops), _most_alive(profiler.profiler.kineto_results.events()))


def _kernels(event: Any) -> int:
    inside = sum(_kernels(child) for child in event.cpu_children)
    if inside:
        return inside
    return int(event.name.startswith("aten::") and event.name.removeprefix("aten::") not in FREE)


def _most_alive(events: Any) -> int:
    """Most bytes alive at once, from the profiler's record of every allocation (+) and release (-)."""
    alive = most = 0
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        alive += event.nbytes()
        most = max(most, alive)
    return most
