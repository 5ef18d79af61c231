# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktp_ros.datasets.augment import (
    COCO_RECIPE,
    NO_AUGMENT,
    PADDING,
    AugmentConfig,
    augment,
    boxes_around,
)
from tasktp_ros.datasets.coco import Sample

RED = (250, 10, 10)


def sample_of(*boxes: tuple[int, int, int, int], height: int = 60, width: int = 80) -> Sample:
    image = np.full((height, width, 3), 40, np.uint8)
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
        image[y1:y2, x1:x2] = RED
    return Sample(
        1, image, np.array(boxes, np.float32).reshape(-1, 4), np.arange(len(boxes)), masks, np.zeros(len(boxes), bool)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(32, 64), (96, 96), (128, 160)]))
def test_picture_boxes_and_masks_stay_together(seed, size):
    colourless = replace(COCO_RECIPE, scale=(0.4, 2.5))
    sample = augment(sample_of((10, 12, 40, 30), (50, 5, 75, 55)), size, np.random.default_rng(seed), colourless)
    assert sample.image.shape == (*size, 3) and sample.masks.shape[1:] == size
    assert np.array_equal(sample.boxes, boxes_around(sample.masks))
    red = np.abs(sample.image.astype(int) - RED).max(-1) < 60
    for mask in sample.masks:
        assert mask.sum() >= colourless.fewest_pixels
        inner = mask.copy()
        inner[1:-1, 1:-1] &= mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
        assert red[inner].mean() > 0.75, "what the mask covers shows the object"


def test_nothing_changes_when_nothing_is_asked_for():
    source = sample_of((10, 12, 40, 30))
    same = augment(source, (60, 80), np.random.default_rng(0), NO_AUGMENT)
    assert np.array_equal(same.image, source.image) and np.array_equal(same.masks, source.masks)
    assert np.array_equal(same.boxes, source.boxes)


def test_flipping_twice_is_the_identity():
    source = sample_of((10, 12, 40, 30), (50, 5, 75, 55))
    flip = replace(NO_AUGMENT, flip=1.0)
    once = augment(source, (60, 80), np.random.default_rng(0), flip)
    twice = augment(once, (60, 80), np.random.default_rng(1), flip)
    assert once.boxes[0].tolist() == [40, 12, 70, 30]
    assert np.array_equal(twice.image, source.image) and np.array_equal(twice.masks, source.masks)


@pytest.mark.parametrize("size", [(45, 60), (36, 48), (21, 28), (90, 120)])
def test_objects_are_not_moved_by_scaling(size):
    random = np.random.default_rng(0)
    apart = []
    for _ in range(200):
        x, y, width, height = random.integers((0, 0, 12, 12), (50, 35, 30, 25)).tolist()
        source = sample_of((x, y, x + width, y + height))
        sample = augment(source, size, random, NO_AUGMENT)
        apart.append(sample.boxes[0] - source.boxes[0] * size[1] / 80)
    assert np.abs(np.mean(apart, 0)).max() < 0.2, "px of the result"


def test_what_is_left_over_is_padded_at_the_right_and_bottom():
    sample = augment(sample_of((10, 12, 40, 30)), (64, 128), np.random.default_rng(0), NO_AUGMENT)
    assert tuple(sample.image[-1, -1]) == PADDING and tuple(sample.image[0, 0]) != PADDING


def test_objects_of_which_nothing_is_left_are_dropped():
    tiny = sample_of((1, 1, 2, 30), (20, 20, 60, 50))
    assert augment(tiny, (60, 80), np.random.default_rng(0), NO_AUGMENT).labels.tolist() == [1]
    empty = augment(sample_of(), (60, 80), np.random.default_rng(0), AugmentConfig())
    assert empty.boxes.shape == (0, 4) and empty.masks.shape == (0, 60, 80)


def test_the_same_seed_gives_the_same_picture_and_another_another():
    source = sample_of((10, 12, 40, 30))
    pictures = [augment(source, (64, 96), np.random.default_rng(seed), AugmentConfig()).image for seed in (3, 3, 4)]
    assert np.array_equal(pictures[0], pictures[1]) and not np.array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize("config", [AugmentConfig(), COCO_RECIPE])
def test_types_are_the_data_sets(config):
    sample = augment(sample_of((10, 12, 40, 30)), (64, 96), np.random.default_rng(0), config)
    assert (sample.image.dtype, sample.boxes.dtype, sample.labels.dtype, sample.masks.dtype) == (
        np.uint8,
        np.float32,
        np.int64,
        np.bool_,
    )


def test_crowds_stay_crowds_and_labels_stay_with_their_masks():
    source = replace(sample_of((2, 2, 38, 58), (42, 2, 78, 58)), crowd=np.array([True, False]))
    for seed in range(30):
        sample = augment(source, (48, 64), np.random.default_rng(seed), AugmentConfig())
        assert sample.crowd.tolist() == [label == 0 for label in sample.labels]
