# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Fast sampling equals its textbook twins: deformable attention and RoIAlign."""

import pytest
import torch
from torchvision.ops import roi_align

from tasktp_ros.vision.deformable import DeformableAttention, sample, sample_by_grid
from tasktp_ros.vision.roi_align import ROI_STRIDES, pool_adaptive, pool_adaptive_by_level, pool_fixed, roi_levels
from tasktp_ros.vision.upsample import Upsample2x

SCALES = ((8, 12), (4, 6), (2, 3))
TOKENS = ((4, 6),)


@pytest.mark.parametrize(("queries", "values"), [(TOKENS, SCALES), (SCALES, TOKENS)], ids=["injector", "extractor"])
@pytest.mark.parametrize("reach", [0.5, 4.0, 50.0], ids=["near", "over the border", "far outside"])
@pytest.mark.parametrize("batch", [1, 3])
def test_samples_equal_grid_sample(queries, values, reach, batch):
    generator = torch.Generator().manual_seed(0)
    count = sum(h * w for h, w in queries)
    value = torch.randn(batch, sum(h * w for h, w in values), 32, generator=generator)
    offsets = torch.randn(batch, 4, len(values), 4, 2, count, generator=generator) * reach
    weights = torch.rand(batch, 4, len(values), 4, count, generator=generator)
    fast = sample(value, offsets, weights, queries, values)
    torch.testing.assert_close(fast, sample_by_grid(value, offsets, weights, queries, values), atol=1e-4, rtol=1e-4)


def test_samples_have_the_gradient_of_grid_sample():
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(2, 24, 16, generator=generator)
    offsets = torch.randn(2, 4, 1, 4, 2, 24, generator=generator)
    weights = torch.rand(2, 4, 1, 4, 24, generator=generator)
    gradients = []
    for function in (sample, sample_by_grid):
        leaves = [tensor.clone().requires_grad_() for tensor in (value, offsets, weights)]
        with torch.enable_grad():
            (function(*leaves, TOKENS, TOKENS) ** 2).sum().backward()
        gradients.append([leaf.grad for leaf in leaves])
    for fast, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-3, rtol=1e-3)


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match="heads that divide the channels, got 5 and 32"):
        DeformableAttention(32, heads=5, levels=1)


def pyramid() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 6, 128 // s, 160 // s, generator=generator) for s in (*ROI_STRIDES, 64)]


def some_boxes() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    first = torch.rand(40, 2, generator=generator) * torch.tensor([150.0, 120.0])
    sizes = torch.rand(40, 2, generator=generator) ** 3 * 150 + 0.5
    boxes = torch.cat((first, torch.minimum(first + sizes, torch.tensor([160.0, 128.0]))), dim=1)
    special = torch.tensor([[0.0, 0.0, 160.0, 128.0], [-30.0, -20.0, 40.0, 170.0], [140.0, 100.0, 400.0, 300.0]])
    return torch.cat((boxes, special)), torch.arange(43) % 2


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_fixed_roi_align_equals_torchvision(samples):
    levels, (boxes, image) = pyramid(), some_boxes()
    found = pool_fixed(levels, boxes, image, 7, samples)
    assert len(roi_levels(boxes).unique()) >= 2
    rois = torch.cat((image[:, None].float(), boxes), dim=1)
    for row, (level, roi) in enumerate(zip(roi_levels(boxes).tolist(), rois, strict=True)):
        expected = roi_align(levels[level], roi[None], 7, 1 / ROI_STRIDES[level], samples, aligned=True)
        torch.testing.assert_close(found[row : row + 1], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("pool", [pool_adaptive, pool_adaptive_by_level])
def test_adaptive_roi_align_equals_torchvision_on_each_level(pool):
    levels, (boxes, image) = pyramid(), some_boxes()
    boxes = torch.cat((boxes, torch.tensor([[3.0, 50, 159, 52], [9, 9, 9, 40], [0, 0, 2, 2]])))
    image = torch.arange(len(boxes)) % 2
    found = pool(levels, boxes, image, 7)
    rois = torch.cat((image[:, None].float(), boxes), dim=1)
    for row, (level, roi) in enumerate(zip(roi_levels(boxes).tolist(), rois, strict=True)):
        expected = roi_align(levels[level], roi[None], 7, 1 / ROI_STRIDES[level], 0, aligned=True)
        torch.testing.assert_close(found[row : row + 1], expected, atol=1e-4, rtol=1e-4)


def test_roi_level_changes_at_112_224_and_448_pixels():
    sides = torch.tensor([1.0, 111.9, 112.1, 223.9, 224.1, 447.9, 448.1, 5000.0])
    boxes = torch.stack((sides * 0, sides * 0, sides, sides), dim=1)
    assert roi_levels(boxes).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_upsampling_equals_the_transposed_convolution():
    upsample = Upsample2x(6, 5)
    scale = torch.randn(2, 6, 7, 9)
    found = upsample(scale)
    torch.testing.assert_close(found, torch.nn.ConvTranspose2d.forward(upsample, scale), atol=1e-5, rtol=1e-5)
    assert found.shape == (2, 5, 14, 18)
