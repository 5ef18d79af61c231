# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Memory of a detector over many frames: what it takes, and whether it grows.

To be run in a process of its own: what a process once took is seldom given back, so only a fresh one tells what a model takes.
"""

import gc
import os
import resource
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tasktp_ros.evaluation.contenders import open_network
from tasktp_ros.evaluation.traces import trace
from tasktp_ros.runtime.precision import choose_device, choose_precision
from tasktp_ros.runtime.task_detector import TaskDetector

SAMPLES = 100
"""Of the memory, evenly over the frames after warm-up."""
ALLOWED = 1.5
"""Times the weights, beside the largest live activations."""


def measure_memory(
    model: str,
    method: str,
    images: Sequence[NDArray[np.uint8]],
    tasks: Sequence[tuple[str, ...] | None],
    frames: int,
    device: str = "auto",
    precision: str = "auto",
    input_size: tuple[int, int] | None = None,
    on_frame: Callable[[], object] = lambda: None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Load a model and let it detect, another image and task each frame.

    Args:
        model, method, options: as `open_network` has them.
        images: (H, W, 3) uint8 RGB.
        tasks: sets of categories; None = all.
        frames: after the warm-up, which is a tenth as many and at least two for each pair of an image and a task.
        input_size: shorter and longer side in px that images are scaled to fit; None = the model's own.
        on_frame: called after each frame that counts.

    Returns:
        Megabytes (10^6 bytes): `weights` and `live` (most that a frame holds at once), both as tensors on the device; `allowed`,
        1.5 times the weights and the live ones; what the process took more than one that had run a small network: `loaded`,
        `running` (median after warm-up), `peak` (loading included, None where memory was there before); `growth` (median
        of the last tenth of the samples over that of the first); and the `samples` themselves. On CUDA these are of the device's memory.
    """
    chosen = choose_device(device)
    dtype = choose_precision(precision, chosen)
    _wake_up(images[0], chosen, dtype)
    before, peak_before = used(chosen), _peak(chosen)
    network, card = open_network(model, method, options)
    card = replace(card, input_size=input_size or card.input_size)
    detector = TaskDetector(network, card, chosen, dtype)
    del network
    gc.collect()
    loaded = used(chosen)
    if not card.trained:
        detector.score_threshold, detector.max_detections = 0.0, 20
    pairs = _pairs(images, tasks)
    warm_up = max(2 * len(images) * len(tasks), frames // 10)
    for _ in range(warm_up):
        _detect(detector, next(pairs))
    every, samples = max(1, frames // SAMPLES), []
    for number in range(1, frames + 1):
        _detect(detector, next(pairs))
        if number % every == 0:
            samples.append(used(chosen) - before)
        on_frame()
    peak = _peak(chosen)
    detector.set_task(None)
    live = trace(lambda: detector.detect(images[0]), chosen).live_bytes / 1e6
    weights = sum(t.numel() * t.element_size() for t in detector.network().state_dict().values()) / 1e6
    tenth = max(1, len(samples) // 10)
    return {
        "model": card.label,
        "device": str(chosen),
        "precision": detector.precision,
        "warm_up": warm_up,
        "frames": frames,
        "weights": weights,
        "live": live,
        "allowed": ALLOWED * weights + live,
        "loaded": loaded - before,
        "running": statistics.median(samples),
        "peak": peak - before if peak > peak_before else None,
        "growth": statistics.median(samples[-tenth:]) - statistics.median(samples[:tenth]),
        "samples": samples,
    }


def used(device: torch.device) -> float:
    """Megabytes that this process has of the device's memory, of the machine's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 1e6
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _wake_up(image: NDArray[np.uint8], device: torch.device, dtype: torch.dtype) -> None:
    """Run a small network, so that libraries are loaded and threads started before anything is measured."""
    network, card = open_network("nano", "dense")
    TaskDetector(network, card, device, dtype).detect(image[:64, :64])
    gc.collect()


def _pairs(
    images: Sequence[NDArray[np.uint8]], tasks: Sequence[tuple[str, ...] | None]
) -> Iterator[tuple[NDArray[np.uint8], tuple[str, ...] | None]]:
    yield from cycle([(image, task) for image in images for task in tasks])


def _detect(detector: TaskDetector, pair: tuple[NDArray[np.uint8], tuple[str, ...] | None]) -> None:
    image, task = pair
    detector.set_task(task)
    detector.detect(image)
