# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Mask R-CNN on the task-conditioned backbone: image and task set in, boxes, classes and masks out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.cells import level_masks_around
from tasktp_ros.vision.heads import RoIConfig, RoIHead
from tasktp_ros.vision.image import PATCH
from tasktp_ros.vision.proposals import ProposalConfig, ProposalHead
from tasktp_ros.vision.pyramid import FeaturePyramid
from tasktp_ros.vision.reducer import NothingRelevant, ReductionState
from tasktp_ros.vision.stages import stage
from tasktp_ros.vision.stem_backbone import StemBackbone
from tasktp_ros.vision.stem_pyramid import StemPyramid


@dataclass(frozen=True)
class Instances:
    """Detections of one image, in pixels of the network's input, best first.

    Attributes:
        boxes: (D, 4) float32 xyxy px.
        scores: (D,) float32.
        labels: (D,) int64 index into the vocabulary.
        masks: (D, 28, 28) float32 probabilities inside each box.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor


def nothing(device: torch.device) -> Instances:
    """No detections."""
    boxes, masks = torch.zeros(0, 4, device=device), torch.zeros(0, 28, 28, device=device)
    return Instances(boxes, boxes[:, 0], torch.zeros(0, dtype=torch.int64, device=device), masks)


class Detector(nn.Module):
    """The whole network; stateless, so that one instance can serve many tasks and threads.

    Args:
        backbone: image to four maps.
        neck: those maps to five levels.
        num_classes: categories without background.
    """

    def __init__(
        self,
        backbone: Backbone | StemBackbone,
        neck: FeaturePyramid | StemPyramid,
        num_classes: int,
        proposal_config: ProposalConfig,
        roi_config: RoIConfig,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.rpn_head = ProposalHead(neck.channels, proposal_config)
        self.roi_head = RoIHead(neck.channels, num_classes, roi_config)

    def worked_on(self, image_shape: tuple[int, int], state: ReductionState) -> list[Tensor] | None:
        """Per level of strides 4 to 64 the cells (B, h, w) bool around kept tokens; None = all cells, under reach "blocks".

        image_shape: (height, width) px of the network's input.
        """
        if not state.around_kept:
            return None
        token_shape = (image_shape[0] // PATCH, image_shape[1] // PATCH)
        return level_masks_around(state.keep[-1], token_shape)

    def forward(
        self,
        images: Tensor,
        image_shapes: Sequence[tuple[int, int]],
        state: ReductionState,
        score_threshold: float = 0.05,
        max_detections: int = 100,
    ) -> list[Instances]:
        """Detect the task's categories.

        Args:
            images: (B, 3, H, W) float, normalised; H and W multiples of 32.
            image_shapes: per image (height, width) px of the content without padding.
            state: from `backbone.reducer.begin(relevant, threshold)`; tells afterwards which tokens were kept.
            score_threshold: detections score more than this.
            max_detections: most detections per image.
        """
        try:
            maps = self.backbone.run(images, state)
        except NothingRelevant:
            return [nothing(images.device) for _ in image_shapes]
        with stage("pyramid"):
            levels = self.neck(maps)
        with stage("proposals"):
            proposals = self.rpn_head.propose(levels, image_shapes)
        with stage("box_head"):
            found = self.roi_head.boxes(
                levels, proposals, image_shapes, state.relevant, score_threshold, max_detections
            )
        with stage("mask_head"):
            masks = self.roi_head.masks(levels, [boxes for boxes, _, _ in found], [labels for _, _, labels in found])
        return [Instances(*parts, mask) for parts, mask in zip(found, masks, strict=True)]
