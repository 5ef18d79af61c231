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

from tasktp_ros.vision.boxes import ANCHOR_RATIOS, ANCHOR_SCALE, STRIDES, decode_boxes, grid_anchors, level_anchors
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
        counts = [height * width for height, width in shapes]
        return [
            self._propose_from_rows(
                torch.cat([maps[i].flatten(0, 1) for maps in hidden]),
                None,
                counts,
                counts,
                shapes,
                image_shape,
                self.config,
            )
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
        anchors = torch.cat(self.anchors([score[None] for score in scores]))
        flat = torch.cat([score.permute(1, 2, 0).flatten() for score in scores])
        counts = [score.numel() for score in scores]
        best = _best_of_levels(flat, counts, counts, self.config.per_level)
        shifts = torch.cat([delta.permute(1, 2, 0).reshape(-1, 4) for delta in deltas])
        return suppress(best, shifts[best.places], anchors[best.places], image_shape, self.config)

    def _propose_from_cells(self, levels: SparseLevels, image_shape: tuple[int, int]) -> Tensor:
        cells = levels.cells
        first = len(cells.shapes) - len(self.strides)
        hidden = F.relu(cells.convolve(levels.rows, [self.rpn_conv] * len(self.strides), first), inplace=True)
        row, cell = cells.starts[first]
        return self._propose_from_rows(
            hidden,
            cells.index[row:] - cell,
            cells.counts[first:],
            cells.distinct[first:],
            cells.shapes[first:],
            image_shape,
            self.config.of_share(cells.share),
        )

    def _propose_from_rows(
        self,
        hidden: Tensor,
        places: Tensor | None,
        counts: Sequence[int],
        distinct: Sequence[int],
        shapes: Sequence[tuple[int, int]],
        image_shape: tuple[int, int],
        config: ProposalConfig,
    ) -> Tensor:
        """Deltas are computed for the cells of the best anchors only.

        Args:
            hidden: (K, channels), what the 3x3 convolution gave for some cells, level by level.
            places: (K,) int64, which cells of all levels, one after the other, these are; None = all.
            counts, distinct: per level how many of the K are its own, and how many of these come before repeats.
            shapes: per level (height, width) of the map.
        """
        ratios = len(ANCHOR_RATIOS)
        scores = _linear(self.rpn_cls, hidden).flatten()
        best = _best_of_levels(scores, [n * ratios for n in counts], [n * ratios for n in distinct], config.per_level)
        row, ratio = best.places // ratios, best.places % ratios
        deltas = _linear(self.rpn_reg, hidden.index_select(0, row)).view(-1, 4)
        deltas = deltas.index_select(0, torch.arange(0, len(deltas), ratios, device=row.device) + ratio)
        cell = row if places is None else places.index_select(0, row)
        anchors = level_anchors(tuple(shapes), self.strides, hidden.device, config.anchor_scale)
        return suppress(best, deltas, anchors.index_select(0, cell * ratios + ratio), image_shape, config)


class _Best(NamedTuple):
    """The best anchors of all levels: logits (K,) float32, their places among all (K,) and their levels (K,), int64."""

    scores: Tensor
    places: Tensor
    level: Tensor


def suppress(
    best: _Best, deltas: Tensor, anchors: Tensor, image_shape: tuple[int, int], config: ProposalConfig
) -> Tensor:
    """Boxes (P, 4) float32 xyxy px from the best anchors (K, 4) and their deltas (K, 4), best first, P <= `config.total`."""
    boxes = decode_boxes(anchors, deltas.float(), image_shape)
    # A box clipped to nothing must not reach RoIAlign; ranked last it cannot displace a real one either.
    solid = ((boxes[:, 2:] > boxes[:, :2]).all(dim=1) & best.scores.isfinite()).nonzero()[:, 0]
    boxes, scores, level = (values.index_select(0, solid) for values in (boxes, best.scores, best.level))
    keep = batched_nms(boxes, scores, level, config.nms_iou)[: config.total]
    return boxes[keep]


def _best_of_levels(scores: Tensor, counts: Sequence[int], distinct: Sequence[int], count: int) -> _Best:
    """The `count` highest logits of each level.

    Args:
        scores: (K,) logits, level by level.
        counts, distinct: per level how many there are, and how many of these, the first ones, may be chosen.
    """
    best, index, level, start = [], [], [], 0
    for number, (all_of_it, some) in enumerate(zip(counts, distinct, strict=True)):
        top = scores[start : start + some].float().topk(min(count, some))
        best.append(top.values)
        index.append(top.indices + start)
        level.append(torch.full_like(top.indices, number))
        start += all_of_it
    return _Best(torch.cat(best), torch.cat(index), torch.cat(level))


def _linear(conv: nn.Conv2d, rows: Tensor) -> Tensor:
    return F.linear(rows, conv.weight.flatten(1), conv.bias)
