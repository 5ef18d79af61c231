# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Paths that only training takes are equal to the ones that inference takes."""

import pytest
import torch
import torch.nn.functional as F

from tasktp_ros.vision import row_gradients
from tasktp_ros.vision.sampling import sum_rows
from tasktp_ros.vision.vit import attend, drop_path


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.setattr(row_gradients, "_kernel", None)
    if not row_gradients.enable_row_gradients():
        pytest.skip("the fast backward was not compared: no C++ compiler or ninja")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("channels", [32, 7])
def test_the_kernels_gradients_are_embedding_bags(dtype, index, channels, kernel):
    torch.manual_seed(0)
    table, weights = torch.randn(40, channels).to(dtype), torch.rand(60, 5).to(dtype)
    rows, upstream = torch.randint(40, (60, 5)).to(index), torch.randn(60, channels).to(dtype)
    ours = [table.clone().requires_grad_(), weights.clone().requires_grad_()]
    result = sum_rows(ours[0], rows, ours[1])
    result.backward(upstream)
    # In float32: torch rounds every partial sum of a bfloat16 gradient, the kernel only the whole.
    theirs = [table.float().requires_grad_(), weights.float().requires_grad_()]
    F.embedding_bag(rows, theirs[0], mode="sum", per_sample_weights=theirs[1]).backward(upstream.float())
    tolerance = 1e-5 if dtype == torch.float32 else 0.06
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.grad.dtype == dtype
        torch.testing.assert_close(mine.grad.float(), reference.grad, atol=tolerance, rtol=tolerance)


def test_rows_without_weights_that_learn(kernel):
    table = torch.randn(10, 4, requires_grad=True)
    rows = torch.tensor([[1, 1], [2, 3]])
    sum_rows(table, rows, torch.ones(2, 2)).sum().backward()
    assert table.grad[:, 0].tolist() == [0, 2, 1, 1, 0, 0, 0, 0, 0, 0]


def test_without_a_compiler_training_still_works(monkeypatch):
    monkeypatch.setattr(row_gradients, "_kernel", None)
    monkeypatch.setattr(row_gradients.shutil, "which", lambda name: None)
    row_gradients._build.cache_clear()
    assert not row_gradients.enable_row_gradients()
    row_gradients._build.cache_clear()
    table = torch.randn(10, 4, requires_grad=True)
    sum_rows(table, torch.tensor([[1, 1]]), torch.ones(1, 2)).sum().backward()
    assert table.grad[1].tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("masked", [False, True])
def test_attention_with_gradients_is_the_fused_one(masked):
    torch.manual_seed(0)
    packed = torch.randn(2, 9, 3 * 16)
    mask = torch.rand(2, 9) > 0.4 if masked else None
    if mask is not None:
        mask[:, 0] = True
    with_gradient = attend(packed.clone().requires_grad_(), 4, mask)
    torch.testing.assert_close(with_gradient, attend(packed, 4, mask))


def test_dropped_branches_keep_the_mean():
    torch.manual_seed(0)
    values = drop_path(torch.ones(4000, 1, 1), 0.25)
    assert values.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert values.mean().item() == pytest.approx(1.0, abs=0.05)
