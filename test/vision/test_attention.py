# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Attention a few queries at a time is torch's own, and which of the two runs is decided by a measurement made once."""

import time

import pytest
import torch

from tasktp_ros.vision import attention
from tasktp_ros.vision.attention import LEAST, attend_fused, attend_in_parts, fastest_attention
from tasktp_ros.vision.turns import least_seconds
from tasktp_ros.vision.vit import attend


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize("batch", [1, 2])
def test_in_parts_equals_fused(batch, hidden, monkeypatch):
    monkeypatch.setattr(attention, "SCORES", 6 * 50 * batch)
    packed = torch.randn(batch, 50, 3, 3, 8, generator=torch.Generator().manual_seed(0))
    query, key, value = packed.permute(2, 0, 3, 1, 4)
    mask = torch.ones(batch, 1, 1, 50, dtype=torch.bool)
    mask[..., 50 - hidden :] = False
    expected = attend_fused(query, key, value, mask if hidden else None)
    found = attend_in_parts(query, key, value, mask if hidden else None)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_in_parts_is_as_close_as_fused_in_bf16():
    query, key, value = torch.randn(3, 1, 3, 700, 64, generator=torch.Generator().manual_seed(1))
    exact = attend_fused(query, key, value, None)
    errors = [
        (some(query.bfloat16(), key.bfloat16(), value.bfloat16(), None).float() - exact).abs().max()
        for some in (attend_in_parts, attend_fused)
    ]
    assert errors[0] < 2 * errors[1] + 1e-3


@pytest.mark.parametrize("faster", [attend_fused, attend_in_parts])
def test_the_faster_one_runs_on_many_tokens(faster, monkeypatch):
    attention._faster_at.cache_clear()
    monkeypatch.setattr(
        attention, "least_seconds", lambda ways, _: [1.0 if way.func is faster else 2.0 for way in ways]
    )
    assert fastest_attention(LEAST, 3, 8, torch.float32) is faster
    assert fastest_attention(LEAST - 1, 3, 8, torch.float32) is attend_fused
    packed = torch.randn(1, LEAST, 72, generator=torch.Generator().manual_seed(2))
    query, key, value = packed.view(1, LEAST, 3, 3, 8).permute(2, 0, 3, 1, 4)
    expected = attend_fused(query, key, value, None).transpose(1, 2).reshape(1, LEAST, 24)
    torch.testing.assert_close(attend(packed, 3, None), expected, atol=1e-5, rtol=1e-5)
    attention._faster_at.cache_clear()


def test_what_is_interrupted_is_not_taken_for_slow():
    """Waiting stands for what other processes take; on the wall the first would be the slower one."""
    ones = torch.ones(64, 64)

    def interrupted() -> None:
        time.sleep(0.01)

    def busy() -> None:
        for _ in range(300):
            torch.mm(ones, ones)

    few, many = least_seconds([interrupted, busy], 3)
    assert few < many
    few, many = least_seconds([interrupted, lambda: None], 3, time.perf_counter)
    assert few > many, "the clock can be another one"


def test_ways_take_turns_and_the_first_round_does_not_count():
    calls: list[str] = []
    times = iter([0.0, 0.5, 1.0, 1.5, 10.0, 13.0, 20.0, 22.0, 30.0, 31.0, 40.0, 45.0])
    found = least_seconds([lambda: calls.append("a"), lambda: calls.append("b")], 2, lambda: next(times))
    assert "".join(calls) == "ababab" and found == [1.0, 2.0]
