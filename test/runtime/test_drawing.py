# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What must hold for the pictures: kept tokens untouched, pruned ones dark and grey, stable colours, any size."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from tasktp_ros.runtime.drawing import colour, draw_instances, draw_overlay, draw_tokens
from tasktp_ros.tasks.vocabulary import COCO


@dataclass
class Found:
    """Detections made up for one picture."""

    token_mask: np.ndarray
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    names: list[str] = field(default_factory=list)
    instances: np.ndarray | None = None

    @property
    def scores(self) -> np.ndarray:
        return np.linspace(0.9, 0.5, len(self.names), dtype=np.float32)

    def token_mask_image(self) -> np.ndarray:
        return self.token_mask

    def instance_map(self) -> np.ndarray:
        return np.zeros(self.token_mask.shape, np.uint16) if self.instances is None else self.instances


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 256, (96, 128, 3), np.uint8)


def test_kept_tokens_stay_as_they_are_and_pruned_ones_turn_dark_and_grey(image):
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[:, :64] = 255
    before = image.copy()
    shown = draw_tokens(image, Found(mask))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(shown[:, :64], image[:, :64])
    pruned = shown[:, 64:].astype(int)
    assert np.ptp(pruned, axis=2).max() <= 1
    assert pruned.mean() < 0.4 * image[:, 64:].mean()


def test_tokens_kept_by_half_of_the_blocks_lie_in_between(image):
    means = [draw_tokens(image, Found(np.full(image.shape[:2], value, np.uint8))).mean() for value in (0, 128, 255)]
    assert means[0] < means[1] < means[2]


def test_masks_are_tinted_with_their_category_and_the_rest_is_untouched(image):
    instances = np.zeros(image.shape[:2], np.uint16)
    instances[50:90, 10:50] = 1
    boxes = np.array([[10, 50, 50, 90]], np.float32)
    shown = draw_overlay(image, Found(np.full(image.shape[:2], 255, np.uint8), boxes, ["cup"], instances))
    np.testing.assert_array_equal(shown[:, 100:], image[:, 100:])
    inside = np.s_[60:80, 20:40]
    wanted = np.array(colour("cup"), float)
    assert (np.abs(shown[inside] - wanted).mean(axis=(0, 1)) <= np.abs(image[inside] - wanted).mean(axis=(0, 1))).all()


def test_colours_are_stable_and_mostly_distinct():
    assert colour("cup") == colour("cup")
    colours = {colour(name) for name in COCO}
    assert len(colours) >= 78


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (480, 640), (1080, 1920)])
def test_any_image_size_and_boxes_at_its_edges_can_be_drawn(size):
    picture = np.zeros((*size, 3), np.uint8)
    height, width = size
    boxes = np.array([[0, 0, width, height], [-5, -5, 2, 2], [0, 0, width, height]], np.float32)
    found = Found(np.zeros(size, np.uint8), boxes, ["person", "cup", "dining table"], np.ones(size, np.uint16))
    assert draw_overlay(picture, found).shape == picture.shape


def test_views_that_are_not_contiguous_can_be_drawn(image):
    flipped = image[:, ::-1]
    found = Found(np.full(image.shape[:2], 255, np.uint8), np.array([[5, 5, 20, 20]], np.float32), ["cup"])
    assert draw_instances(flipped, found).shape == image.shape
