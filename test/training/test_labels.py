# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import math

import torch

from tasktp_ros.training.batch import Truth
from tasktp_ros.training.gate_losses import even_cross_entropy
from tasktp_ros.training.labels import (
    centre_token_labels,
    corner_relevance,
    covered_by_relevant,
    front_token_labels,
    pixel_labels,
    token_labels,
)

CLASSES = 3


def truth_of(*objects: tuple[int, tuple[slice, slice]], height: int = 32, width: int = 32) -> Truth:
    masks = torch.zeros(len(objects), height, width, dtype=torch.bool)
    for mask, (_, where) in zip(masks, objects, strict=True):
        mask[where] = True
    labels = torch.tensor([label for label, _ in objects], dtype=torch.int64)
    return Truth(torch.zeros(len(objects), 4), labels, masks, torch.zeros(len(objects), dtype=torch.bool))


def test_a_token_is_what_covers_most_of_it():
    truth = truth_of((1, (slice(0, 16), slice(0, 9))), (2, (slice(0, 16), slice(16, 23))))
    assert token_labels(truth, CLASSES).tolist() == [1, 3, 3, 3], "9 of 16 columns win over background, 7 of 16 do not"


def test_two_instances_of_a_category_count_together():
    truth = truth_of((0, (slice(0, 5), slice(0, 16))), (0, (slice(5, 10), slice(0, 16))))
    assert token_labels(truth, CLASSES)[0] == 0, "5 + 5 of 16 lines are more than 6 lines of background"


def test_equal_areas_go_to_the_lower_index_and_background_is_the_highest():
    half = (slice(0, 16), slice(0, 8)), (slice(0, 16), slice(8, 16))
    assert token_labels(truth_of((2, half[0]), (1, half[1])), CLASSES)[0] == 1
    assert token_labels(truth_of((2, half[0])), CLASSES)[0] == 2


def test_the_smallest_object_that_covers_enough_is_in_front():
    cup = (1, (slice(4, 8), slice(4, 12)))  # an eighth of the patch
    table = (2, (slice(0, 16), slice(0, 32)))
    assert token_labels(truth_of(cup), CLASSES)[0] == CLASSES
    assert front_token_labels(truth_of(cup), CLASSES, 0.1).tolist() == [1, 3, 3, 3]
    assert front_token_labels(truth_of(cup), CLASSES, 0.2)[0] == CLASSES
    for objects in ((cup, table), (table, cup)):
        assert front_token_labels(truth_of(*objects), CLASSES, 0.1).tolist() == [1, 2, 3, 3]


def test_a_token_is_relevant_when_any_relevant_object_covers_enough_of_it():
    truth = truth_of((1, (slice(4, 8), slice(4, 12))), (0, (slice(5, 7), slice(5, 7))))
    only = torch.eye(CLASSES, dtype=torch.bool)
    assert covered_by_relevant(truth, only[1], 0.1).tolist() == [True, False, False, False], (
        "though another is in front"
    )
    assert not covered_by_relevant(truth, only[0], 0.1).any() and not covered_by_relevant(truth, only[2], 0.0).any()


def test_no_object_is_all_background():
    empty = truth_of()
    for labels in (
        token_labels(empty, CLASSES),
        centre_token_labels(empty, CLASSES),
        front_token_labels(empty, CLASSES, 0.1),
    ):
        assert labels.tolist() == [CLASSES] * 4
    assert not corner_relevance(empty, torch.ones(CLASSES, dtype=torch.bool)).any()


def test_published_labels_look_at_four_pixels_and_the_corner():
    truth = truth_of((1, (slice(7, 9), slice(7, 9))))
    assert centre_token_labels(truth, CLASSES).tolist() == [1, 3, 3, 3]
    relevant = torch.tensor([False, True, False])
    assert not corner_relevance(truth, relevant).any()
    corner = truth_of((1, (slice(16, 17), slice(0, 1))))
    assert corner_relevance(corner, relevant).tolist() == [False, False, True, False]
    assert not corner_relevance(corner, ~relevant).any()


def test_published_labels_equal_the_bilinear_reduction_they_stand_for():
    torch.manual_seed(0)
    masks = torch.rand(3, 64, 96) > 0.6
    truth = Truth(torch.zeros(3, 4), torch.tensor([0, 2, 0]), masks, torch.zeros(3, dtype=torch.bool))
    layers = torch.zeros(CLASSES + 1, 64, 96)
    layers[0], layers[2] = (masks[0] | masks[2]).float(), masks[1].float()
    layers[3] = (~masks.any(0)).float()
    reduced = torch.nn.functional.interpolate(layers[None], scale_factor=1 / 16, mode="bilinear", align_corners=False)[
        0
    ]
    best = torch.tensor(
        [[int((column == column.max()).nonzero()[0, 0]) for column in line] for line in reduced.permute(1, 2, 0)]
    )
    assert torch.equal(centre_token_labels(truth, CLASSES), best.flatten())


def test_of_two_objects_on_a_pixel_the_smaller_is_in_front():
    truth = truth_of((0, (slice(0, 32), slice(0, 32))), (1, (slice(0, 8), slice(0, 8))))
    labels = pixel_labels([truth], CLASSES, 8)[0]
    assert labels[0, 0] == 1 and labels[0, 1] == 0 and labels.shape == (4, 4)


def test_every_category_on_a_map_weighs_the_same_and_background_as_much_as_all():
    logits = torch.zeros(1, CLASSES + 1, 2, 8)
    labels = torch.full((1, 2, 8), 3)
    labels[0, 0, :7], labels[0, 0, 7] = 0, 1
    logits[0, :, 0, 7] = torch.tensor([0.0, 9.0, 0.0, 0.0])  # the single cell of category 1 is right
    loss = even_cross_entropy(logits, labels).item()
    unknown = math.log(4)
    assert abs(loss - (0.5 * unknown + 0.25 * unknown)) < 1e-3
    assert even_cross_entropy(logits, torch.full((1, 2, 8), 3)).isfinite()
