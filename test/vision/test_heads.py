# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The heads compute only what is asked for, and that equals computing everything."""

import pytest
import torch
from torchvision.ops import nms

from tasktp_ros.vision.boxes import decode_boxes
from tasktp_ros.vision.heads import BOX_STDS, RoIConfig, RoIHead, fold_irrelevant

CLASSES = 5


def head(mask_per_class: bool = True) -> RoIHead:
    torch.manual_seed(0)
    config = RoIConfig(box_hidden=16, mask_channels=8, mask_convs=2, mask_per_class=mask_per_class, samples=2)
    roi_head = RoIHead(8, CLASSES, config).eval()
    torch.nn.init.normal_(roi_head.bbox_head.fc_cls.weight, std=1.0)
    torch.nn.init.normal_(roi_head.bbox_head.fc_reg.weight, std=0.5)
    torch.nn.init.normal_(roi_head.bbox_head.fc_reg.bias, std=0.5)
    return roi_head


@pytest.mark.parametrize("per_class", [True, False])
def test_one_mask_row_equals_that_row_of_all(per_class):
    mask_head = head(per_class).mask_head
    torch.nn.init.normal_(mask_head.conv_logits.bias)
    regions, labels = torch.randn(7, 8, 14, 14), torch.tensor([0, 1, 2, 3, 4, 4, 0])
    rows = mask_head.of_class(regions, labels)
    torch.testing.assert_close(rows, mask_head(regions)[torch.arange(7), labels], atol=1e-5, rtol=1e-5)
    assert mask_head(regions).shape == (7, CLASSES, 28, 28)
    assert torch.equal(rows, mask_head.of_class(regions, labels * 0)) != per_class


def test_no_detection_gives_no_mask():
    levels = [torch.randn(1, 8, 64 // s, 64 // s) for s in (4, 8, 16, 32, 64)]
    masks = head().masks(levels, [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)])
    assert masks[0].shape == (0, 28, 28)


def test_selected_boxes_equal_class_by_class_suppression():
    roi_head = head()
    levels = [torch.randn(1, 8, 64 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    corner = torch.rand(30, 2) * 40
    proposals = torch.cat((corner, corner + 5 + torch.rand(30, 2) * 18), dim=1)
    boxes, scores, labels = roi_head.boxes(levels, [proposals], [(64, 64)], None, 0.05, 100)[0]
    logits, deltas = roi_head.bbox_head(roi_head.pool(levels, [proposals], 7))
    probabilities = logits.softmax(-1)
    expected = []
    for category in range(CLASSES):
        decoded = decode_boxes(proposals, deltas.view(30, CLASSES, 4)[:, category], (64, 64), BOX_STDS)
        likely = probabilities[:, category] > 0.05
        kept = nms(decoded[likely], probabilities[likely, category], 0.5)
        expected += [(probabilities[likely, category][i].item(), category, decoded[likely][i]) for i in kept]
    expected.sort(key=lambda row: -row[0])
    assert len(expected) > 10
    torch.testing.assert_close(scores, torch.tensor([row[0] for row in expected]))
    assert labels.tolist() == [row[1] for row in expected]
    torch.testing.assert_close(boxes, torch.stack([row[2] for row in expected]))


def test_a_wild_delta_grows_a_box_at_most_62_5_times():
    anchor = torch.tensor([[100.0, 100.0, 102.0, 102.0]])
    box = decode_boxes(anchor, torch.tensor([[0.0, 0.0, 80.0, -80.0]]), (1000, 1000))[0]
    torch.testing.assert_close(box[2] - box[0], torch.tensor(2 * 62.5))
    torch.testing.assert_close(box[3] - box[1], torch.tensor(2 / 62.5))


def test_irrelevant_scores_go_to_background():
    logits = torch.randn(4, CLASSES + 1)
    relevant = torch.tensor([False, True, False, False, True])
    before, after = logits.softmax(-1), fold_irrelevant(logits, relevant).softmax(-1)
    torch.testing.assert_close(after[:, :-1][:, relevant], before[:, :-1][:, relevant])
    assert not after[:, :-1][:, ~relevant].any()
    torch.testing.assert_close(after[:, -1], before[:, -1] + before[:, :-1][:, ~relevant].sum(-1))


@pytest.mark.parametrize("choose_from", [0, 1 << 25])
def test_a_task_finds_a_subset_of_what_all_categories_find(choose_from, monkeypatch):
    monkeypatch.setattr("tasktp_ros.vision.heads.CHOOSE_FROM", choose_from)
    roi_head = head()
    levels = [torch.randn(1, 8, 64 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    proposals = torch.tensor([[5.0, 5, 30, 30], [20, 10, 60, 50], [1, 30, 20, 60]])
    relevant = torch.tensor([False, True, False, True, False])
    everything = roi_head.boxes(levels, [proposals], [(64, 64)], None, 0.01, 100)[0]
    some = roi_head.boxes(levels, [proposals], [(64, 64)], relevant, 0.01, 100)[0]
    wanted = torch.isin(everything[2], torch.tensor([1, 3]))
    torch.testing.assert_close(some[1], everything[1][wanted])
    torch.testing.assert_close(some[0], everything[0][wanted])
    assert len(some[0]) > 1


def test_images_with_tasks_of_their_own_have_the_boxes_that_they_have_alone(monkeypatch):
    monkeypatch.setattr("tasktp_ros.vision.heads.CHOOSE_FROM", 0)
    roi_head = head()
    levels = [torch.randn(2, 8, 64 // s, 64 // s) for s in (1, 2, 4, 8, 16)]
    proposals = [torch.tensor([[5.0, 5, 30, 30], [20, 10, 60, 50]]), torch.tensor([[1.0, 30, 20, 60]])]
    relevant = torch.tensor([[False, True, False, True, False], [False, False, True, True, False]])
    together = roi_head.boxes(levels, proposals, [(64, 64)] * 2, relevant, 0.01, 100)
    for image, found in enumerate(together):
        own = [level[image : image + 1] for level in levels]
        alone = roi_head.boxes(own, proposals[image : image + 1], [(64, 64)], relevant[image], 0.01, 100)[0]
        assert len(alone[0])
        for part, twin in zip(found, alone, strict=True):
            torch.testing.assert_close(part, twin)
