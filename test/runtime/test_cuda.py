# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The whole detector on a GPU: same result as on the CPU, uploads without waiting, memory given back."""

import numpy as np
import pytest
import torch

from tasktp_ros import TaskDetector

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="nothing was run on a GPU: no CUDA device on this machine"
)


def picture(height=480, width=640, seed=0):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((height // 6 + 1, width // 8 + 1, 1), dtype=np.uint8))[:height, :width].copy()


@pytest.fixture(scope="module")
def pair():
    return [TaskDetector.load("nano-untrained", device=device, precision="float32") for device in ("cpu", "cuda")]


@pytest.mark.parametrize("task", [None, ["cup"], ["person", "chair", "couch"]], ids=str)
@pytest.mark.parametrize("shape", [(480, 640), (360, 540), (123, 77)])
def test_cuda_equals_cpu(pair, task, shape):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    results = []
    for detector in pair:
        detector.set_task(task)
        results.append(detector.detect(picture(*shape)))
    cpu, cuda = results
    assert np.mean(cpu.token_masks == cuda.token_masks) > 0.99
    if np.array_equal(cpu.token_masks, cuda.token_masks):
        matched = 0
        for box, name in zip(cpu.boxes, cpu.names, strict=True):
            near = [n == name and np.abs(b - box).max() < 0.5 for b, n in zip(cuda.boxes, cuda.names, strict=True)]
            matched += any(near)
        assert matched >= 0.95 * len(cpu)


def test_uploads_reuse_one_pinned_buffer_and_views_arrive_whole(pair):
    _, detector = pair
    for seed in range(5):
        image = picture(seed=seed)
        pixels, reversed_channels = detector._uploader.upload(image[..., ::-1].copy()[..., ::-1])
        assert reversed_channels and pixels.device.type == "cuda"
        assert np.array_equal(pixels.flip(2).cpu().numpy(), image)
    buffer = detector._uploader._pinned
    assert buffer.is_pinned()
    detector._uploader.upload(picture())
    assert detector._uploader._pinned is buffer


def test_bf16_runs(pair):
    detector = TaskDetector.load("nano-untrained", device="cuda", precision="bfloat16")
    found = detector.detect(picture())
    assert np.isfinite(found.boxes).all() and found.timings["blocks"] > 0


def test_closing_gives_the_memory_back():
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(3):
        detector = TaskDetector.load("nano-untrained", device="cuda")
        detector.warm_up()
        detector.close()
        del detector
    assert torch.cuda.memory_allocated() <= before * 1.05 + 1_000_000


def alike(found, expected) -> bool:
    """Same kept tokens, and nearly all boxes again."""
    boxes = zip(expected.boxes, expected.names, strict=True)
    again = [
        any(n == name and np.abs(b - box).max() < 0.5 for b, n in zip(found.boxes, found.names, strict=True))
        for box, name in boxes
    ]
    return np.mean(found.token_masks == expected.token_masks) > 0.99 and sum(again) >= 0.95 * len(again)


@pytest.mark.parametrize("reach", ["blocks", "network", "frame"])
@pytest.mark.parametrize("execution", ["static", "graphs"])
def test_static_frames_and_graphs_equal_dynamic_frames(execution, reach):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    detectors = [TaskDetector.load("nano-untrained", device="cuda", precision="float32") for _ in range(2)]
    detectors[1].execution = execution
    for seed, task in enumerate((None, ["cup"], ["person", "chair"], ["cup"], None)):
        for detector in detectors:
            detector.reach = reach
            detector.set_task(task)
        expected, found = (detector.detect(picture(seed=seed)) for detector in detectors)
        assert alike(found, expected)


def test_a_new_task_captures_nothing_and_frames_do_not_wait():
    detector = TaskDetector.load("nano-untrained", device="cuda", precision="bfloat16")
    detector.execution = "graphs"
    detector.warm_up(480, 640)
    program = next(iter(detector._static._programs.values()))
    runs = dict(program._runs)
    assert set(runs) == set(program.chooser.buckets)
    for task in (["cup"], None, ["person"]):
        detector.set_task(task)
        detector.detect(picture())
    assert program._runs == runs
    torch.cuda.set_sync_debug_mode("error")
    try:
        detector.detect(picture(seed=1))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_graphs_keep_working_when_others_are_captured_and_constants_forgotten():
    detector = TaskDetector.load("nano-untrained", device="cuda", precision="float32")
    detector.execution = "graphs"
    before = detector.detect(picture())
    for height in range(100, 106):
        detector.detect(picture(height))
    again = detector.detect(picture())
    assert np.array_equal(before.boxes, again.boxes) and np.array_equal(before.token_masks, again.token_masks)


def test_closing_gives_the_memory_of_graphs_back():
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    detector = TaskDetector.load("nano-untrained", device="cuda")
    detector.execution = "graphs"
    detector.warm_up()
    detector.close()
    del detector
    assert torch.cuda.memory_allocated() <= before * 1.05 + 20_000_000
