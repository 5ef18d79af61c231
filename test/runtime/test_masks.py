# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Pasting masks equals the full-image interpolation of the published code, and windows stay inside the image."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tasktp_ros.runtime.masks import paste


def paste_by_grid_sample(probabilities, box, height, width):
    """Slow twin: mmdet's way, one full-size interpolation."""
    x = (torch.arange(width) + 0.5 - box[0]) / (box[2] - box[0]) * 2 - 1
    y = (torch.arange(height) + 0.5 - box[1]) / (box[3] - box[1]) * 2 - 1
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)[None].float()
    mask = torch.from_numpy(probabilities)[None, None]
    return (F.grid_sample(mask, grid, align_corners=False)[0, 0] > 0.5).numpy()


def full(window, height, width):
    canvas = np.zeros((height, width), dtype=bool)
    rows, columns = window.mask.shape
    canvas[window.top : window.top + rows, window.left : window.left + columns] = window.mask
    return canvas


@pytest.mark.parametrize("seed", range(12))
def test_pasting_equals_the_published_interpolation(seed):
    random = np.random.default_rng(seed)
    height, width = random.integers(10, 300, 2)
    x, y = np.sort(random.uniform(0, width, 2)), np.sort(random.uniform(0, height, 2))
    box = np.array([x[0], y[0], x[1] + 1e-3, y[1] + 1e-3], dtype=np.float32).clip(0, [width, height] * 2)
    probabilities = random.uniform(0, 1, (28, 28)).astype(np.float32)
    found = full(paste(probabilities, box.astype(np.float32), height, width), height, width)
    differing = (found != paste_by_grid_sample(probabilities, box, int(height), int(width))).sum()
    assert differing <= 1e-4 * found.size, "only pixels within rounding of the threshold may differ"


def test_a_full_mask_covers_its_box_to_half_a_pixel():
    box = np.array([10.0, 20.0, 30.0, 60.0], dtype=np.float32)
    mask = full(paste(np.ones((28, 28), dtype=np.float32), box, 100, 100), 100, 100)
    expected = np.zeros((100, 100), dtype=bool)
    expected[20:60, 10:30] = True
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (5, 5, 5, 9), (99.5, 99.5, 100, 100), (100, 100, 100, 100)])
def test_degenerate_boxes_give_small_windows(box):
    window = paste(np.ones((28, 28), dtype=np.float32), np.array(box, dtype=np.float32), 100, 100)
    assert window.mask.size <= 4
