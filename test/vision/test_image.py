# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Resizing and its inverse: boxes and masks come back to the pixel they came from, for any camera."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktp_ros.vision.image import MULTIPLE, InputSize, frame_for, to_input

NANO = InputSize(240, 320)
COCO = InputSize(800, 1333)
SIDES = st.one_of(st.integers(1, 40), st.integers(41, 2000), st.sampled_from([2160, 3840, 479, 641, 9999]))
INPUTS = st.sampled_from([NANO, COCO])


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES, INPUTS)
def test_the_content_fits_and_padding_is_less_than_a_multiple(height, width, size):
    frame = frame_for(height, width, size)
    assert min(frame.content) <= size.short and max(frame.content) <= size.long
    assert min(frame.content) >= 1
    for content, padded in zip(frame.content, frame.padded, strict=True):
        assert padded % MULTIPLE == 0 and 0 <= padded - content < MULTIPLE


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES, INPUTS, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_boxes_map_there_and_back_within_half_a_pixel(height, width, size, relative):
    frame = frame_for(height, width, size)
    (x0, x1), (y0, y1) = sorted(relative[::2]), sorted(relative[1::2])
    box = torch.tensor([[x0 * width, y0 * height, x1 * width, y1 * height]])
    inside = frame.boxes_to_input(box)
    assert (inside[0, 2:] <= torch.tensor(frame.content[::-1]) + 1e-3).all()
    back = frame.boxes_to_source(inside)
    assert (back - box).abs().max() < 0.01


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 700), st.integers(20, 700), st.sampled_from([NANO, InputSize(480, 640)]), st.randoms())
def test_a_drawn_edge_is_found_where_the_box_arithmetic_says(height, width, size, random):
    """The pixels themselves: the brightness centre of a drawn box maps back to that box's centre."""
    frame = frame_for(height, width, size)
    left, top = random.randrange(width // 2), random.randrange(height // 2)
    right, bottom = left + width // 3 + 1, top + height // 3 + 1
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[top:bottom, left:right] = 255
    planes = to_input(torch.from_numpy(image), frame, torch.float32)
    light = planes[0, 0, : frame.content[0], : frame.content[1]]
    light = (light - light.min()) / (light.max() - light.min())
    rows, columns = light.sum(1), light.sum(0)
    y = ((torch.arange(len(rows)) + 0.5) * rows).sum() / rows.sum()
    x = ((torch.arange(len(columns)) + 0.5) * columns).sum() / columns.sum()
    back = frame.boxes_to_source(torch.stack((x, y, x, y))[None])[0]
    assert abs(back[0] - (left + right) / 2) < 0.2 and abs(back[1] - (top + bottom) / 2) < 0.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (7, 5), (2160, 3840), (3840, 2160)])
def test_extreme_images_become_inputs(shape):
    frame = frame_for(*shape, NANO)
    image = torch.full((*shape, 3), 200, dtype=torch.uint8)
    planes = to_input(image, frame, torch.float32)
    assert planes.shape == (1, 3, *frame.padded)
    assert planes.isfinite().all()
    content = planes[0, 0, : frame.content[0], : frame.content[1]]
    assert content.std(correction=0) < 1e-3, "an even image stays even"


def test_padding_is_the_mean_colour_and_only_at_the_right_and_bottom():
    frame = frame_for(100, 90, NANO)
    planes = to_input(torch.full((100, 90, 3), 255, dtype=torch.uint8), frame, torch.float32)
    height, width = frame.content
    assert planes[..., height:, :].eq(0).all() and planes[..., width:].eq(0).all()
    assert planes[..., :height, :width].gt(1).all()


def test_reversed_channels_are_put_right():
    image = torch.randint(0, 255, (50, 60, 3), dtype=torch.uint8)
    frame = frame_for(50, 60, NANO)
    straight = to_input(image, frame, torch.float32)
    assert torch.equal(to_input(image.flip(2), frame, torch.float32, reversed_channels=True), straight)
