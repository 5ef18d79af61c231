# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Region proposal network: which boxes may hold an object, whatever it is (mmdet's RPNHead at test time)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms

from tasktp_ros.vision.boxes import ANCHOR_RATIOS, ANCHOR_SCALE, STRIDES, decode_boxes, grid_anchors


@dataclass(frozen=True)
class ProposalConfig:
    """How many proposals survive, and where they come from.

    Attributes:
        per_level: best of each level.
        total: after NMS at IoU `nms_iou`.
        finest: stride px of the finest level that proposes.
        anchor_scale: anchors' size in strides.
    """

    per_level: int = 1000
    total: int = 1000
    nms_iou: float = 0.7
    finest: int = STRIDES[0]
    anchor_scale: float = ANCHOR_SCALE


class ProposalHead(nn.Module):
    """A 3x3 convolution and two 1x1 heads shared by the five levels."""

    def __init__(self, channels: int, config: ProposalConfig) -> None:
        super().__init__()
        self.config = config
        self.strides = STRIDES[STRIDES.index(config.finest) :]
        self.rpn_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.rpn_cls = nn.Conv2d(channels, len(ANCHOR_RATIOS), 1)
        self.rpn_reg = nn.Conv2d(channels, 4 * len(ANCHOR_RATIOS), 1)
        for layer in (self.rpn_conv, self.rpn_cls, self.rpn_reg):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Of levels of strides 4 to 64, per level of `self.strides` objectness logits (B, 3, h, w) and deltas (B, 12, h, w)."""
        hidden = [F.relu(self.rpn_conv(level), inplace=True) for level in levels[-len(self.strides) :]]
        return [self.rpn_cls(level) for level in hidden], [self.rpn_reg(level) for level in hidden]

    def anchors(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Anchors (h * w * 3, 4) float32 xyxy px of each level, for scores (B, 3, h, w)."""
        return [
            grid_anchors(s.shape[2], s.shape[3], stride, s.device, self.config.anchor_scale)
            for s, stride in zip(scores, self.strides, strict=True)
        ]

    def anchors_of(self, active: Sequence[Tensor]) -> Tensor:
        """Which anchors the cells (B, h, w) bool of levels of strides 4 to 64 have: (B, A) bool, as :meth:`anchors`."""
        return torch.cat(
            [level.flatten(1).repeat_interleave(len(ANCHOR_RATIOS), 1) for level in active[-len(self.strides) :]], dim=1
        )

    def only(self, scores: Sequence[Tensor], active: Sequence[Tensor]) -> list[Tensor]:
        """Scores that are -inf outside the cells (B, h, w) bool of levels of strides 4 to 64."""
        levels = zip(scores, active[-len(self.strides) :], strict=True)
        return [score.masked_fill(~level[:, None], float("-inf")) for score, level in levels]

    def propose(self, levels: Sequence[Tensor], image_shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Proposals of every image, best first.

        Args:
            levels: five maps (B, channels, h, w), strides 4 to 64.
            image_shapes: per image (height, width) px of the content without padding.

        Returns:
            Per image (P, 4) float32 xyxy px of the network's input, P <= `total`.
        """
        scores, deltas = self(levels)
        return self.select(scores, deltas, image_shapes)

    def select(
        self, scores: Sequence[Tensor], deltas: Sequence[Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> list[Tensor]:
        """As :meth:`propose`, from the logits and deltas that calling the head gave."""
        return [
            self._propose_one([s[i] for s in scores], [d[i] for d in deltas], shape)
            for i, shape in enumerate(image_shapes)
        ]

    def _propose_one(self, scores: list[Tensor], deltas: list[Tensor], image_shape: tuple[int, int]) -> Tensor:
        best_scores, best_deltas, best_anchors, level_numbers = [], [], [], []
        anchors = self.anchors([score[None] for score in scores])
        for number, (score, delta) in enumerate(zip(scores, deltas, strict=True)):
            flat = score.permute(1, 2, 0).reshape(-1)
            top, index = flat.float().topk(min(self.config.per_level, flat.numel()))
            best_scores.append(top)
            best_deltas.append(delta.permute(1, 2, 0).reshape(-1, 4)[index].float())
            best_anchors.append(anchors[number][index])
            level_numbers.append(torch.full_like(index, number))
        boxes = decode_boxes(torch.cat(best_anchors), torch.cat(best_deltas), image_shape)
        ranked, numbers = torch.cat(best_scores), torch.cat(level_numbers)
        # A box clipped to nothing must not reach RoIAlign; ranked last it cannot displace a real one either.
        solid = (boxes[:, 2:] > boxes[:, :2]).all(dim=1) & ranked.isfinite()
        boxes, ranked, numbers = boxes[solid], ranked[solid], numbers[solid]
        keep = batched_nms(boxes, ranked, numbers, self.config.nms_iou)[: self.config.total]
        return boxes[keep]
