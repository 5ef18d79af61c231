# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Suppression in static shapes equals torchvision's greedy suppression, or says that it needs more rounds."""

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from tasktp_ros.vision.static_nms import greedy_nms


def crowd(count: int, seed: int, spread: float = 60.0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=random) * spread
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=random) * 30), dim=1)


def chain(length: int) -> Tensor:
    """Every box overlaps the one before it by more than 0.7, and the one before that by less."""
    left = torch.arange(length, dtype=torch.float32) * 1.7
    return torch.stack((left, torch.zeros(length), left + 10, torch.full((length,), 10.0)), dim=1)


def survivors_of(boxes: Tensor, valid: Tensor, iou: float) -> Tensor:
    """By torchvision, boxes being in order."""
    expected = torch.zeros(len(boxes), dtype=torch.bool)
    members = valid.nonzero()[:, 0]
    scores = torch.arange(len(boxes), 0, -1).float()
    expected[members[nms(boxes[members], scores[members], iou)]] = True
    return expected


@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_crowds_equal_torchvision_group_by_group(seed, iou):
    boxes = torch.stack([crowd(200, seed), crowd(200, seed + 100, spread=10.0)])
    valid = torch.rand(2, 200, generator=torch.Generator().manual_seed(seed)) < 0.8
    survivors, settled = greedy_nms(boxes, valid, iou, rounds=32)
    assert settled
    for group in range(2):
        assert torch.equal(survivors[group], survivors_of(boxes[group], valid[group], iou))


@pytest.mark.parametrize("seed", range(3))
def test_labels_equal_batched_nms(seed):
    boxes = crowd(300, seed, spread=20.0)
    labels = torch.randint(0, 4, (300,), generator=torch.Generator().manual_seed(seed))
    survivors, settled = greedy_nms(boxes[None], torch.ones(1, 300, dtype=torch.bool), 0.5, 32, labels[None])
    expected = batched_nms(boxes, torch.arange(300, 0, -1).float(), labels, 0.5).sort().values
    assert settled
    assert torch.equal(survivors[0].nonzero()[:, 0], expected)


@pytest.mark.parametrize("length", [2, 3, 17, 60])
def test_a_chain_needs_as_many_rounds_as_it_is_long_and_fewer_are_told(length):
    boxes, valid = chain(length)[None], torch.ones(1, length, dtype=torch.bool)
    survivors, settled = greedy_nms(boxes, valid, 0.7, rounds=length)
    assert settled
    assert torch.equal(survivors[0], torch.arange(length) % 2 == 0)
    assert not greedy_nms(boxes, valid, 0.7, rounds=length - 1)[1]


def test_whatever_settles_is_right():
    for rounds in range(1, 12):
        boxes, valid = crowd(150, rounds, spread=25.0), torch.ones(1, 150, dtype=torch.bool)
        survivors, settled = greedy_nms(boxes[None], valid, 0.4, rounds)
        if settled:
            assert torch.equal(survivors[0], survivors_of(boxes, valid[0], 0.4))


def test_boxes_that_do_not_count_and_boxes_without_extent_change_nothing():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 10, 9.5]])
    valid = torch.tensor([[False, True, True, True, True]])
    survivors, settled = greedy_nms(boxes[None], valid, 0.7, 4)
    assert settled and survivors[0].tolist() == [False, True, True, True, False]
    none, settled = greedy_nms(boxes[None], torch.zeros(1, 5, dtype=torch.bool), 0.7, 1)
    assert settled and not none.any()
