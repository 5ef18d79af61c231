# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Images made of several: what a mask covers shows its object, and what is hidden is no longer anywhere."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_set import SIDE, write_set

from tasktp_ros.datasets.augment import NO_AUGMENT, AugmentConfig, augment, boxes_around
from tasktp_ros.datasets.coco import CocoDataset, Sample
from tasktp_ros.datasets.compose import compose, mosaic, paste
from tasktp_ros.training.loading import Share, StageImages, load_steps
from tasktp_ros.training.recipes import Stage

SIZE = (64, 96)
COLOURS = ((250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10))
colourless = replace(NO_AUGMENT, scale=(0.6, 2.0), flip=0.5)


def sample_of(colour: int, *boxes: tuple[int, int, int, int], **fields) -> Sample:
    image = np.full((*SIZE, 3), 40, np.uint8)
    masks = np.zeros((len(boxes), *SIZE), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
        image[y1:y2, x1:x2] = COLOURS[colour]
    labels, crowd = np.full(len(boxes), colour, np.int64), np.zeros(len(boxes), bool)
    return replace(Sample(1, image, np.array(boxes, np.float32).reshape(-1, 4), labels, masks, crowd), **fields)


def shows_its_objects(sample: Sample) -> None:
    assert np.array_equal(sample.boxes, boxes_around(sample.masks)) and sample.boxes.dtype == np.float32
    for label, mask in zip(sample.labels, sample.masks, strict=True):
        apart = np.abs(sample.image[mask].astype(int) - COLOURS[label]).max(-1)
        # Of an object two pixels wide each may be nearly half ground; the ground is 210 away.
        assert np.median(apart) < 105, "a mask covers its own object's colour"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_pasted_objects_lie_in_front(seed):
    random = np.random.default_rng(seed)
    below = augment(sample_of(0, (10, 12, 40, 30), (50, 5, 75, 55)), SIZE, random, colourless)
    other = augment(sample_of(1, (20, 10, 60, 50), (62, 20, 90, 60)), SIZE, random, colourless)
    found = paste(below, other, random, colourless)
    shows_its_objects(found)
    pasted = found.masks[found.labels == 1]
    assert len(other.labels) == 0 or len(pasted) >= 1
    assert not (found.masks[found.labels == 0] & pasted.any(0)).any(), "no pixel is seen twice"
    rest = ~pasted.any(0)
    assert np.array_equal(found.image[rest], below.image[rest])
    assert np.array_equal(found.image[~rest], other.image[~rest])


def test_an_object_that_is_hidden_is_gone_and_one_that_is_cut_has_a_smaller_box():
    other = sample_of(1, (0, 0, 48, 64))
    found = paste(sample_of(0, (5, 5, 45, 60), (30, 10, 90, 30)), other, np.random.default_rng(0), NO_AUGMENT)
    assert found.labels.tolist() == [0, 1] and found.boxes.tolist() == [[48, 10, 90, 30], [0, 0, 48, 64]]
    nearly = paste(sample_of(0, (0, 0, 50, 60)), other, np.random.default_rng(0), NO_AUGMENT)
    assert nearly.labels.tolist() == [1], "under a tenth is left"


def test_only_known_outlines_are_cut_out_and_scopes_stay():
    known = np.array([True, False])
    box = sample_of(
        1, (10, 10, 30, 30), (50, 10, 90, 60), has_mask=np.array([False, True]), labelled=np.array([True, True])
    )
    below = sample_of(0, (70, 0, 95, 8), labelled=known)
    for seed in range(10):
        found = paste(below, box, np.random.default_rng(seed), NO_AUGMENT)
        assert found.boxes.tolist() == [[70, 0, 95, 8], [50, 10, 90, 60]] and found.has_mask.tolist() == [True, True]
        assert np.array_equal(found.labelled, known)
    crowds = replace(box, crowd=np.array([True, True]))
    assert paste(below, crowds, np.random.default_rng(0), NO_AUGMENT) is below
    assert len(paste(sample_of(0), box, np.random.default_rng(0), NO_AUGMENT).labels) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_mosaic_holds_four_images_in_their_quarters(seed):
    samples = [sample_of(colour, (5, 5, 60, 50), (62, 20, 94, 60)) for colour in range(4)]
    samples[2] = replace(samples[2], labelled=np.array([True, False, True, True]), has_mask=np.array([True, False]))
    samples[3] = replace(samples[3], labelled=np.array([False, True, True, True]))
    found = mosaic(samples, SIZE, np.random.default_rng(seed), colourless)
    assert found.image.shape == (*SIZE, 3) and found.masks.shape[1:] == SIZE
    assert found.labelled.tolist() == [False, False, True, True]
    assert len(found.has_mask) == len(found.crowd) == len(found.labels)
    assert found.has_mask[found.labels != 2].all()
    shows_its_objects(found)
    for label, (left, top, right, bottom) in zip(found.labels, found.boxes, strict=True):
        assert right <= 0.65 * 96 + 1 if label % 2 == 0 else left >= 0.35 * 96 - 1
        assert bottom <= 0.65 * 64 + 1 if label < 2 else top >= 0.35 * 64 - 1
    assert mosaic([sample_of(0)] * 4, SIZE, np.random.default_rng(seed), colourless).labelled is None


def test_without_the_options_an_image_is_augmented_as_ever():
    source = sample_of(0, (10, 12, 40, 30))
    config = AugmentConfig()
    one = compose(source, lambda number: pytest.fail("asked for another"), SIZE, np.random.default_rng(3), config)
    other = augment(source, SIZE, np.random.default_rng(3), config)
    assert np.array_equal(one.image, other.image) and np.array_equal(one.boxes, other.boxes)


def test_composed_images_follow_from_seed_and_step(tmp_path):
    write_set(tmp_path, "train", 9)
    dataset = CocoDataset.open(tmp_path, "train")
    config = AugmentConfig(paste=0.5, mosaic=0.5)
    stage, share = Stage("s", "detection", inputs=(SIDE,), augment=config), Share(0, 1, 3, 1)
    whole = list(load_steps(StageImages(dataset, stage, 4), share, 0, 6, workers=0))
    rest = list(load_steps(StageImages(dataset, stage, 4), share, 4, 6, workers=1))
    for one, other in zip(whole[4:], rest, strict=True):
        assert (one.images == other.images).all()
        assert all((a.boxes == b.boxes).all() for a, b in zip(one.truths, other.truths, strict=True))
    plain = replace(stage, augment=AugmentConfig())
    alone = list(load_steps(StageImages(dataset, plain, 4), share, 0, 6, workers=0))
    same = [
        (a == b).all()
        for one, other in zip(whole, alone, strict=True)
        for a, b in zip(one.images, other.images, strict=True)
    ]
    assert not all(same)
