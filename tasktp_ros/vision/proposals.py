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
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms

from tasktp_ros.vision.boxes import ANCHOR_RATIOS, ANCHOR_SCALE, STRIDES, decode_boxes, grid_anchors
from tasktp_ros.vision.cells import Levels, SparseLevels


@dataclass(frozen=True)
class ProposalConfig:
    """How many proposals survive, and where they come from.

    Where some cells of an image are worked on, which is an approximation, both numbers are multiplied by the share of all levels'
    cells that these are and rounded up, and `least` remain at least: a tenth of the image gets a tenth of the proposals.

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
    least: int = 16

    def of_share(self, share: float) -> "ProposalConfig":
        """The numbers for this share of the cells, 0..1."""
        return replace(self, **{name: self._part(getattr(self, name), share) for name in ("per_level", "total")})

    def _part(self, number: int, share: float) -> int:
        return max(min(self.least, number), ceil(number * share))


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

    def propose(self, levels: Levels, image_shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Proposals of every image, best first.

        Args:
            levels: five maps (B, channels, h, w), strides 4 to 64; or some cells of those of one image, to propose from.
            image_shapes: per image (height, width) px of the content without padding.

        Returns:
            Per image (P, 4) float32 xyxy px of the network's input, P <= `total`.
        """
        if isinstance(levels, SparseLevels):
            return [self._propose_from_cells(levels, image_shapes[0])]
        shapes = [(level.shape[2], level.shape[3]) for level in levels[-len(self.strides) :]]
        hidden = [F.relu(self.rpn_conv(level), inplace=True).permute(0, 2, 3, 1) for level in levels[-len(shapes) :]]
        return [
            self._propose_from_rows([maps[i].flatten(0, 1) for maps in hidden], None, shapes, image_shape, self.config)
            for i, image_shape in enumerate(image_shapes)
        ]

    def select(
        self, scores: Sequence[Tensor], deltas: Sequence[Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> list[Tensor]:
        """As :meth:`propose`, from the logits and deltas that calling the head gave."""
        return [
            self._propose_one([s[i] for s in scores], [d[i] for d in deltas], shape)
            for i, shape in enumerate(image_shapes)
        ]

    def _propose_one(self, scores: list[Tensor], deltas: list[Tensor], image_shape: tuple[int, int]) -> Tensor:
        found = []
        levels = self.anchors([score[None] for score in scores])
        for score, delta, anchors in zip(scores, deltas, levels, strict=True):
            top, index = _best(score.permute(1, 2, 0), self.config.per_level)
            found.append(_Candidates(top, delta.permute(1, 2, 0).reshape(-1, 4)[index], anchors[index]))
        return suppress(found, image_shape, self.config)

    def _propose_from_cells(self, levels: SparseLevels, image_shape: tuple[int, int]) -> Tensor:
        cells = levels.cells
        first = len(cells.shapes) - len(self.strides)
        hidden = F.relu(cells.convolve(levels.rows, [self.rpn_conv] * len(self.strides)), inplace=True)
        rows = [
            some[:count] for some, count in zip(hidden.split(cells.counts[first:]), cells.distinct[first:], strict=True)
        ]
        places = [cells.of_map(number) for number in range(first, len(cells.shapes))]
        return self._propose_from_rows(
            rows, places, cells.shapes[first:], image_shape, self.config.of_share(cells.share)
        )

    def _propose_from_rows(
        self,
        hidden: Sequence[Tensor],
        places: Sequence[Tensor] | None,
        shapes: Sequence[tuple[int, int]],
        image_shape: tuple[int, int],
        config: ProposalConfig,
    ) -> Tensor:
        """Deltas are computed for the cells of the best anchors only.

        Args:
            hidden: per level (k, channels), what the 3x3 convolution gave for some cells.
            places: per level (k,) int64, which cells of the map these are; None = all.
            shapes: per level (height, width) of the map.
        """
        found = []
        for number, (rows, shape, stride) in enumerate(zip(hidden, shapes, self.strides, strict=True)):
            top, index = _best(_linear(self.rpn_cls, rows), config.per_level)
            row, ratio = index // len(ANCHOR_RATIOS), index % len(ANCHOR_RATIOS)
            deltas = _linear(self.rpn_reg, rows[row]).view(len(index), len(ANCHOR_RATIOS), 4)
            cell = row if places is None else places[number][row]
            anchors = grid_anchors(*shape, stride, rows.device, config.anchor_scale)[cell * len(ANCHOR_RATIOS) + ratio]
            found.append(_Candidates(top, deltas[torch.arange(len(index), device=index.device), ratio], anchors))
        return suppress(found, image_shape, config)


class _Candidates(NamedTuple):
    """The best of one level: logits (K,) float32, their deltas and anchors (K, 4)."""

    scores: Tensor
    deltas: Tensor
    anchors: Tensor


def suppress(levels: Sequence[_Candidates], image_shape: tuple[int, int], config: ProposalConfig) -> Tensor:
    """Boxes (P, 4) float32 xyxy px of all levels' candidates, best first, P <= `config.total`."""
    scores, deltas, anchors = (torch.cat(parts) for parts in zip(*levels, strict=True))
    boxes = decode_boxes(anchors, deltas.float(), image_shape)
    numbers = torch.cat([torch.full_like(level.scores, i, dtype=torch.int64) for i, level in enumerate(levels)])
    # A box clipped to nothing must not reach RoIAlign; ranked last it cannot displace a real one either.
    solid = (boxes[:, 2:] > boxes[:, :2]).all(dim=1) & scores.isfinite()
    boxes, scores, numbers = boxes[solid], scores[solid], numbers[solid]
    keep = batched_nms(boxes, scores, numbers, config.nms_iou)[: config.total]
    return boxes[keep]


def _best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest of logits of any shape, float32, and their places in the flat tensor."""
    flat = scores.flatten().float()
    return flat.topk(min(count, len(flat)))


def _linear(conv: nn.Conv2d, rows: Tensor) -> Tensor:
    return F.linear(rows, conv.weight.flatten(1), conv.bias)
