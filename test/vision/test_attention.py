# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Attention a few queries at a time is torch's own, and which of the two runs is decided by a measurement made once."""

import pytest
import torch

from tasktp_ros.vision import attention
from tasktp_ros.vision.attention import LEAST, attend_fused, attend_in_parts, fastest_attention
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
    monkeypatch.setattr(attention, "_seconds", lambda some, *_: 1.0 if some is faster else 2.0)
    assert fastest_attention(LEAST, 3, 8, torch.float32) is faster
    assert fastest_attention(LEAST - 1, 3, 8, torch.float32) is attend_fused
    packed = torch.randn(1, LEAST, 72, generator=torch.Generator().manual_seed(2))
    query, key, value = packed.view(1, LEAST, 3, 3, 8).permute(2, 0, 3, 1, 4)
    expected = attend_fused(query, key, value, None).transpose(1, 2).reshape(1, LEAST, 24)
    torch.testing.assert_close(attend(packed, 3, None), expected, atol=1e-5, rtol=1e-5)
    attention._faster_at.cache_clear()
