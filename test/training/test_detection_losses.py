# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import pytest
import torch

from tasktp_ros.detectors import build_detector
from tasktp_ros.training.batch import Truth
from tasktp_ros.training.detection_losses import (
    SampleCounts,
    Targets,
    crop_masks,
    draw_regions,
    proposal_losses,
    region_losses,
    split_targets,
)
from tasktp_ros.training.matching import IGNORED, NEGATIVE, PROPOSAL_RULE, REGION_RULE, draw, match, shared_area
from tasktp_ros.vision.boxes import STRIDES, decode_boxes, encode_boxes, grid_anchors

NOTHING = torch.zeros(0, 4)


def truth_of(boxes: list[list[float]], labels: list[int], side: int = 64, crowd: list[bool] | None = None) -> Truth:
    masks = torch.zeros(len(boxes), side, side, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[int(y1) : int(y2), int(x1) : int(x2)] = True
    crowds = torch.tensor(crowd if crowd else [False] * len(boxes))
    return Truth(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64), masks, crowds)


def test_deltas_are_the_inverse_of_decoding():
    torch.manual_seed(0)
    anchors = torch.rand(50, 4) * 40
    anchors[:, 2:] += anchors[:, :2] + 5
    boxes = torch.rand(50, 4) * 40
    boxes[:, 2:] += boxes[:, :2] + 5
    for stds in ((1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2)):
        again = decode_boxes(anchors, encode_boxes(anchors, boxes, stds), (1000, 1000), stds)
        torch.testing.assert_close(again, boxes, atol=1e-3, rtol=1e-4)


def test_matching_limits():
    objects = torch.tensor([[0.0, 0, 10, 10], [100, 100, 110, 110]])
    boxes = torch.tensor([[0.0, 0, 10, 8], [0, 0, 10, 5], [0, 0, 10, 2], [50, 50, 60, 60], [100, 100, 110, 104]])
    assert match(boxes, objects, NOTHING, PROPOSAL_RULE).tolist() == [0, IGNORED, NEGATIVE, NEGATIVE, 1], (
        "the last is rescued"
    )
    assert match(boxes, objects, NOTHING, REGION_RULE).tolist() == [0, 0, NEGATIVE, NEGATIVE, NEGATIVE]


def test_boxes_in_ignored_regions_are_neither_object_nor_background():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 100, 100], [50, 50, 60, 60]])
    ignored = torch.tensor([[0.0, 0, 20, 20]])
    assert match(boxes, NOTHING, ignored, REGION_RULE).tolist() == [IGNORED, NEGATIVE, NEGATIVE]
    assert shared_area(boxes, ignored)[:, 0].tolist() == [100.0, 400.0, 0.0]


def test_without_objects_all_is_background():
    assert (match(torch.rand(5, 4), NOTHING, NOTHING, PROPOSAL_RULE) == NEGATIVE).all()


def test_drawing_keeps_the_share_of_positives_and_fills_up():
    torch.manual_seed(0)
    assigned = torch.cat((torch.zeros(100), torch.full((100,), NEGATIVE), torch.full((50,), IGNORED))).long()
    positive, negative = draw(assigned, 40, 0.25)
    assert len(positive) == 10 and len(negative) == 30
    assert (assigned[positive] >= 0).all() and (assigned[negative] == NEGATIVE).all()
    few, rest = draw(assigned[98:], 40, 0.25)
    assert len(few) == 2 and len(rest) == 38


def test_irrelevant_objects_and_crowds_are_ignored():
    truth = truth_of([[0, 0, 9, 9], [10, 10, 30, 30], [40, 40, 60, 60]], [0, 1, 0], crowd=[False, False, True])
    target = split_targets(truth, torch.tensor([True, False]))
    assert target.truth.labels.tolist() == [0]
    assert target.ignored.tolist() == [[10, 10, 30, 30], [40, 40, 60, 60]]
    assert split_targets(truth, None).truth.labels.tolist() == [0, 1]


def test_perfect_proposals_cost_nothing():
    truth = truth_of([[8, 8, 40, 40]], [0])
    shapes = [(64 // s, 64 // s) for s in STRIDES]
    scores, deltas = [], []
    for stride, (height, width) in zip(STRIDES, shapes, strict=True):
        anchors = grid_anchors(height, width, stride, torch.device("cpu"))
        matched = match(anchors, truth.boxes, NOTHING, PROPOSAL_RULE)
        scores.append(torch.where(matched >= 0, 30.0, -30.0).view(1, height, width, 3).permute(0, 3, 1, 2))
        wanted = encode_boxes(anchors, truth.boxes.expand(len(anchors), 4))
        deltas.append(wanted.view(1, height, width, 12).permute(0, 3, 1, 2))
    # The rescue rule looks at all levels together, so only the level that holds the best anchor may be positive.
    best = max(range(5), key=lambda level: float((scores[level] > 0).sum()))
    assert (scores[best] > 0).any()
    everything = torch.cat(
        [grid_anchors(*shape, s, torch.device("cpu")) for s, shape in zip(STRIDES, shapes, strict=True)]
    )
    matched = match(everything, truth.boxes, NOTHING, PROPOSAL_RULE)
    start = 0
    for level, (height, width) in enumerate(shapes):
        part = matched[start : start + height * width * 3]
        scores[level] = torch.where(part >= 0, 30.0, -30.0).view(1, height, width, 3).permute(0, 3, 1, 2)
        start += height * width * 3
    losses = proposal_losses(everything, scores, deltas, [Targets(truth, NOTHING)], 256)
    assert losses["loss_rpn_cls"] < 1e-6 and losses["loss_rpn_bbox"] < 1e-4
    wrong = proposal_losses(everything, [-s for s in scores], deltas, [Targets(truth, NOTHING)], 256)
    assert wrong["loss_rpn_cls"] > 10


def test_what_is_never_computed_teaches_nothing():
    """Anchors of cells and regions around tokens that the network does not work on."""
    truth = truth_of([[8, 8, 40, 40]], [0])
    shapes = [(64 // s, 64 // s) for s in STRIDES]
    anchors = torch.cat(
        [grid_anchors(*shape, s, torch.device("cpu")) for s, shape in zip(STRIDES, shapes, strict=True)]
    )
    scores = [torch.zeros(1, 3, *shape, requires_grad=True) for shape in shapes]
    deltas = [torch.zeros(1, 12, *shape) for shape in shapes]
    active = torch.zeros(1, len(anchors), dtype=torch.bool)
    active[0, : 3 * 16 * 8] = True  # the upper half of the finest level
    proposal_losses(anchors, scores, deltas, [Targets(truth, NOTHING)], 4096, active)["loss_rpn_cls"].backward()
    assert scores[0].grad[:, :, :8].abs().sum() > 0 and scores[0].grad[:, :, 8:].abs().sum() == 0
    assert all(level.grad is None or level.grad.abs().sum() == 0 for level in scores[1:])
    tokens = torch.zeros(4, 4, dtype=torch.bool)
    tokens[0, 0] = True
    proposals = torch.tensor([[0.0, 0.0, 10.0, 10.0], [40.0, 40.0, 60.0, 60.0], [4.0, 4.0, 20.0, 20.0]])
    drawn = draw_regions(proposals, Targets(truth, NOTHING), 16, 20, tokens)
    assert len(drawn.objects) == 0, "the object's own box lies around another token"
    assert sorted(drawn.boxes[:, 0].tolist()) == [0.0, 4.0]


def test_regions_start_with_objects_and_their_own_boxes_are_among_them():
    torch.manual_seed(0)
    truth = truth_of([[0, 0, 20, 20], [30, 30, 60, 60]], [4, 7])
    regions = draw_regions(torch.rand(30, 4) * 4, Targets(truth, NOTHING), 16, 20)
    assert sorted(regions.labels[: len(regions.objects)].tolist()) == [4, 7]
    assert (regions.labels[len(regions.objects) :] == 20).all()


def test_mask_targets_are_what_the_box_shows():
    masks = torch.zeros(1, 64, 64, dtype=torch.bool)
    masks[0, :32] = True
    crop = crop_masks(masks, torch.tensor([0]), torch.tensor([[0.0, 0.0, 64.0, 64.0]]))
    assert crop.shape == (1, 28, 28)
    assert crop[0, :14].all() and not crop[0, 14:].any()


@pytest.mark.parametrize("objects", [0, 2])
def test_region_losses_reach_every_head_also_without_objects(objects):
    torch.manual_seed(0)
    detector = build_detector("nano", "dense", 20)
    levels = [torch.randn(1, 96, 64 // s, 64 // s, requires_grad=True) for s in (4, 8, 16, 32)]
    truth = truth_of([[0.0, 0, 20, 20], [30, 30, 60, 60]][:objects], [4, 7][:objects])
    boxes = torch.tensor([[2.0, 2, 22, 22], [40, 5, 60, 20]])
    losses = region_losses(detector.roi_head, levels, [boxes], [Targets(truth, NOTHING)], SampleCounts(regions=8))
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    lacking = [name for name, p in detector.roi_head.named_parameters() if p.grad is None]
    assert not lacking, "a process that saw no object must still take part in averaging gradients"
