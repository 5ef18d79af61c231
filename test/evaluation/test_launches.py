# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What is counted and printed of a GPU's frames, checked without one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.autograd import DeviceType

from tasktp_ros.evaluation import gpu
from tasktp_ros.evaluation.launches import FRAME, Launches, tally


def event(name: str, start: float, end: float | None = None, device: DeviceType = DeviceType.CPU) -> SimpleNamespace:
    return SimpleNamespace(
        name=name, device_type=device, time_range=SimpleNamespace(start=start, end=start if end is None else end)
    )


def test_kernels_count_wherever_they_run_and_calls_only_inside_a_frame():
    events = [
        event(FRAME, 10, 20), event(FRAME, 30, 40),
        event("cudaLaunchKernel", 12), event("cuLaunchKernelEx", 13), event("cudaGraphLaunch", 32),
        event("cudaMemcpyAsync", 39), event("cudaLaunchKernel", 25), event("cudaEventSynchronize", 15),
        event("aten::add", 14),
        event("sm90_gemm", 14, device=DeviceType.CUDA), event("topk", 55, device=DeviceType.CUDA),
        event("Memcpy DtoH (Device -> Pinned)", 56, device=DeviceType.CUDA),
        event(FRAME, 14, 60, device=DeviceType.CUDA),
    ]  # fmt: skip
    assert tally(events, 2) == (1.0, 2.0)


def rows(milliseconds: dict[str, float]) -> list[gpu.Row]:
    return [
        gpu.Row(setting.name, milliseconds.get(setting.name, 4.0), 5.0, 7, 1, 0, Launches(900.0, 3.0, 0.0))
        for setting in gpu.settings(torch.bfloat16, 0.1)
    ]


def test_the_ratios_are_those_that_were_asked_for():
    measured = rows({gpu.PLAIN: 40.0, gpu.DENSE: 5.0, gpu.DENSE_ONE: 4.8, gpu.ONE_BLOCKS: 3.2, gpu.ONE_NETWORK: 2.4})
    assert list(gpu.ratios(measured).values()) == pytest.approx([8.0, 1.5, 2.0, 200.0])
    printed = gpu.table(measured)
    assert gpu.ONE_NETWORK in printed and "8.00  dense from graphs over plain" in printed
    assert len({len(line) for line in printed.splitlines()[1 : len(measured) + 1]}) == 1


def test_settings_are_measured_in_turns_also_without_a_gpu():
    some = [
        gpu.Setting("plain", "dense", torch.float32, "dynamic", plain=True),
        gpu.Setting("static", "tasktp", torch.float32, "static", gpu.ONE, 0.25, "network"),
    ]
    image = np.zeros((64, 96, 3), dtype=np.uint8)
    measured = gpu.measure(image, "nano", some, torch.device("cpu"), 2, None)
    assert [row.name for row in measured] == ["plain", "static"]
    assert all(0 < row.milliseconds <= row.worst and row.launches is None and row.repeated == 0 for row in measured)


@pytest.mark.skipif(
    torch.cuda.is_available(), reason="the sentence for a machine without CUDA was not tried: there is a device"
)
def test_without_a_cuda_device_one_sentence_says_so(capsys):
    with pytest.raises(SystemExit) as ended:
        gpu.main([])
    assert ended.value.code == 2
    assert "this machine has none" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--share", "2"], ["--image", "0", "5"]])
def test_bad_options(words, capsys):
    with pytest.raises(SystemExit) as ended:
        gpu.main(words)
    assert ended.value.code == 2 and "must be at least 1" in capsys.readouterr().err
