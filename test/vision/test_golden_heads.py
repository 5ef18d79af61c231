# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Pyramid, proposal, box and mask heads, anchors and box decoding meet the recorded numbers of mmdet."""

import pytest
import torch
from golden import Golden, fill, filled, image, normal

from tasktp_ros.detectors import build_detector
from tasktp_ros.vision.boxes import STRIDES, base_anchors, decode_boxes, grid_anchors
from tasktp_ros.vision.heads import BOX_STDS


@pytest.fixture(scope="module")
def detector():
    network = build_detector("deit_tiny", "dense", 80)
    fill(network)
    fill(network.backbone)
    return network


@pytest.fixture
def recorded(golden: Golden):
    return golden.arrays("heads_1x3x224x320")


def test_pyramid_and_proposal_maps(golden: Golden, detector, recorded):
    levels = detector.neck(detector.backbone(image((1, 3, 224, 320))))
    scores, deltas = detector.rpn_head(levels)
    for number, level in enumerate(levels):
        step = max(1, level.shape[2] // 8)
        assert list(level.shape) == recorded[f"fpn{number}_shape"].tolist()
        golden.close(level[:, ::16, ::step, ::step], recorded[f"fpn{number}_slice"], f"pyramid {number}")
        golden.close(scores[number][:, :, ::step, ::step], recorded[f"rpn_cls{number}_slice"], f"objectness {number}")
        golden.close(deltas[number][:, :, ::step, ::step], recorded[f"rpn_reg{number}_slice"], f"deltas {number}")


def test_box_and_mask_head(golden: Golden, detector, recorded):
    scores, deltas = detector.roi_head.bbox_head(normal("unit/roi_feat_box", (8, 256, 7, 7)))
    golden.close(scores, recorded["box_cls"], "class logits")
    golden.close(deltas, recorded["box_reg"], "box deltas")
    masks = detector.roi_head.mask_head(normal("unit/roi_feat_mask", (4, 256, 14, 14)))
    assert list(masks.shape) == recorded["mask_shape"].tolist()
    golden.close(masks[:, ::10, ::4, ::4], recorded["mask_slice"], "mask logits")


def test_anchors(golden: Golden, recorded):
    for number, stride in enumerate(STRIDES):
        golden.close(base_anchors(stride), recorded[f"base_anchors{number}"], f"anchors {number}")
        grid = grid_anchors(3, 5, stride, torch.device("cpu"))
        golden.close(grid, recorded[f"grid_priors_3x5_level{number}"], f"anchor grid {number}")


def test_box_decoding(golden: Golden, recorded):
    boxes = torch.from_numpy(recorded["decode_rois"])
    deltas = normal("unit/deltas", (50, 4))
    golden.close(decode_boxes(boxes, deltas, (224, 320)), recorded["decode_rpn"], "proposal boxes")
    golden.close(decode_boxes(boxes, deltas, (224, 320), BOX_STDS), recorded["decode_rcnn"], "detection boxes")


def test_the_recipe_itself():
    """The check values of the recipe, so that a wrong filling is not blamed on the network."""
    assert filled("blocks.0.attn.qkv.weight", (576, 192)).flatten()[:3].tolist() == pytest.approx(
        [0.00388065, 0.00980869, -0.06905515], abs=1e-7
    )
    assert image((1, 3, 224, 320)).flatten()[:2].tolist() == pytest.approx([0.36356312, 0.91237837], abs=1e-7)
