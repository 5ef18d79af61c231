# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Box and mask heads of Mask R-CNN with mmdet's names; background is the last class.

Only what the task asks for is computed: box deltas are decoded for the (box, class) pairs that score, and mask logits
for the class a detection was given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms

from tasktp_ros.vision.boxes import decode_boxes
from tasktp_ros.vision.cells import Levels, SparseLevels
from tasktp_ros.vision.pyramid import ConvModule
from tasktp_ros.vision.roi_align import FINEST_SCALE, pool_adaptive, pool_fixed
from tasktp_ros.vision.upsample import Upsample2x, arrange

BOX_STDS = (0.1, 0.1, 0.2, 0.2)
CHOOSE_FROM = 1 << 25
"""Multiplications for the box deltas of all classes from which on the task's classes' rows are chosen; for fewer it takes longer."""


@dataclass(frozen=True)
class RoIConfig:
    """Sizes of the two heads and how their regions are read.

    Attributes:
        box_hidden: width of the two shared layers of the box head.
        mask_channels, mask_convs: width and number of the mask head's 3x3 convolutions.
        mask_per_class: one mask per class, as published; otherwise one for all, which learns what an object is from every class.
        samples: RoIAlign points per bin and axis; 0 = adaptive, as published.
        finest_scale: px; boxes up to twice this are read at stride 4, and each next level takes boxes twice as large.
        nms_iou: boxes of one class overlapping more than this are one object.
    """

    box_hidden: int = 1024
    mask_channels: int = 256
    mask_convs: int = 4
    mask_per_class: bool = True
    samples: int = 0
    finest_scale: float = FINEST_SCALE
    nms_iou: float = 0.5
    box_size: int = 7
    mask_size: int = 14


class BoxHead(nn.Module):
    """Two shared layers, class logits (C + 1) and one box per class (4C)."""

    def __init__(self, channels: int, num_classes: int, config: RoIConfig) -> None:
        super().__init__()
        self.config = config
        self.fc_cls = nn.Linear(config.box_hidden, num_classes + 1)
        self.fc_reg = nn.Linear(config.box_hidden, 4 * num_classes)
        inputs = channels * config.box_size**2
        self.flatten: nn.Module = nn.Flatten()
        self.shared_fcs = nn.ModuleList(nn.Linear(width, config.box_hidden) for width in (inputs, config.box_hidden))
        nn.init.normal_(self.fc_cls.weight, std=0.01)
        nn.init.normal_(self.fc_reg.weight, std=0.001)
        for layer in cast(Iterable[nn.Linear], self.shared_fcs):
            nn.init.xavier_uniform_(layer.weight)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, regions: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(K, channels, 7, 7) -> class logits (K, C + 1) and deltas (K, 4C), or (K, 4c) of some `classes` (c,) int64."""
        hidden = self.flatten(regions)
        for layer in self.shared_fcs:
            hidden = F.relu(layer(hidden), inplace=True)
        if classes is None:
            return self.fc_cls(hidden), self.fc_reg(hidden)
        weight, bias = (some.unflatten(0, (-1, 4)).index_select(0, classes).flatten(0, 1)
                        for some in (self.fc_reg.weight, self.fc_reg.bias))  # fmt: skip
        return self.fc_cls(hidden), F.linear(hidden, weight, bias)


class FlattenChannelsLast(nn.Module):
    """Regions (K, channels, h, w) to (K, h * w * channels), a view of what lies channels last."""

    def forward(self, regions: Tensor) -> Tensor:
        return regions.permute(0, 2, 3, 1).flatten(1)


class MaskHead(nn.Module):
    """Convolutions, one 2x upsampling, one mask per class or one for all."""

    def __init__(self, channels: int, num_classes: int, config: RoIConfig) -> None:
        super().__init__()
        self.num_classes = num_classes
        widths = [channels] + [config.mask_channels] * config.mask_convs
        self.convs = nn.ModuleList(ConvModule(a, b, 3) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.upsample = Upsample2x(widths[-1], config.mask_channels)
        self.conv_logits = nn.Conv2d(config.mask_channels, num_classes if config.mask_per_class else 1, 1)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, regions: Tensor) -> Tensor:
        """(K, channels, 14, 14) -> logits of every class (K, C, 28, 28)."""
        logits = self.conv_logits(F.relu(self.upsample(self._convolve(regions)), inplace=True))
        return logits.expand(-1, self.num_classes, -1, -1)

    def of_class(self, regions: Tensor, labels: Tensor) -> Tensor:
        """Logits (K, 28, 28) of one class per region, labels (K,) int64: the rows of :meth:`forward` that are used.

        Only these logits are put in their places, not the features they come from.
        """
        quads = F.relu(self.upsample.quads(self._convolve(regions)), inplace=True)
        rows = labels % self.conv_logits.out_channels
        weight = self.conv_logits.weight[rows].flatten(1)
        bias = cast(Tensor, self.conv_logits.bias)[rows]
        logits = torch.baddbmm(bias[:, None, None], quads.flatten(1, 4), weight.unsqueeze(2))
        return arrange(logits.view(quads.shape[:-1]))

    def _convolve(self, regions: Tensor) -> Tensor:
        for conv in self.convs:
            regions = F.relu(conv(regions), inplace=True)
        return regions


class RoIHead(nn.Module):
    """Both heads on the regions of a feature pyramid."""

    def __init__(self, channels: int, num_classes: int, config: RoIConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.bbox_head = BoxHead(channels, num_classes, config)
        self.mask_head = MaskHead(channels, num_classes, config)

    def boxes(
        self,
        levels: Levels,
        proposals: Sequence[Tensor],
        image_shapes: Sequence[tuple[int, int]],
        relevant: Tensor | None,
        score_threshold: float,
        max_detections: int,
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Detections of every image: boxes (D, 4) xyxy px of the input, scores (D,) descending, labels (D,) int64.

        Args:
            relevant: (C,) or (B, C) bool; scores of other categories are folded into background; None = all.
        """
        counts, classes, column = [len(p) for p in proposals], None, None
        if relevant is not None and sum(counts) * self.bbox_head.fc_reg.weight.numel() >= CHOOSE_FROM:
            asked = relevant.view(-1, self.num_classes).any(0)
            classes, column = asked.nonzero()[:, 0], asked.cumsum(0) - 1
        logits, deltas = self.bbox_head(self.pool(levels, proposals, self.config.box_size), classes)
        rows = [None] * len(counts) if relevant is None else relevant.view(-1, self.num_classes).expand(len(counts), -1)
        return [
            self._select(logits_i.float(), deltas_i, column, boxes, shape, row, score_threshold, max_detections)
            for logits_i, deltas_i, boxes, shape, row in zip(
                logits.split(counts), deltas.split(counts), proposals, image_shapes, rows, strict=True
            )
        ]

    def masks(self, levels: Levels, boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> list[Tensor]:
        """Mask probabilities (D, 28, 28) float32 inside each image's boxes for the given classes."""
        logits = self.mask_head.of_class(self.pool(levels, boxes, self.config.mask_size), torch.cat(list(labels)))
        return list(logits.float().sigmoid().split([len(b) for b in boxes]))

    def pool(self, levels: Levels, boxes: Sequence[Tensor], size: int) -> Tensor:
        """Regions (sum K, channels, size, size) of every image's (K, 4) boxes; cells that are not known read as zero."""
        together = torch.cat(list(boxes))
        if len(together) == 0:
            like = levels.rows if isinstance(levels, SparseLevels) else levels[0]
            return like.new_zeros(0, like.shape[1], size, size)
        index = torch.cat([torch.full((len(b),), i, device=b.device) for i, b in enumerate(boxes)])
        if self.config.samples == 0:
            return pool_adaptive(levels, together, index, size, self.config.finest_scale)
        return pool_fixed(levels, together, index, size, self.config.samples, self.config.finest_scale)

    def _select(
        self,
        logits: Tensor,
        deltas: Tensor,
        column: Tensor | None,
        proposals: Tensor,
        image_shape: tuple[int, int],
        relevant: Tensor | None,
        score_threshold: float,
        max_detections: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One image's detections; `column` (C,) int64 says which of the deltas' classes each class is, None = the same."""
        # What folding irrelevant scores into background leaves to the others is what they have without it.
        probabilities = logits.softmax(-1)[:, :-1]
        wanted = probabilities > score_threshold
        region, label = (wanted if relevant is None else wanted & relevant).nonzero(as_tuple=True)
        scores = probabilities[region, label]
        chosen = deltas.view(len(deltas), deltas.shape[1] // 4, 4)[
            region, label if column is None else column[label]
        ].float()
        boxes = decode_boxes(proposals[region], chosen, image_shape, BOX_STDS)
        keep = batched_nms(boxes, scores, label, self.config.nms_iou)[:max_detections]
        return boxes[keep], scores[keep], label[keep]


def fold_irrelevant(logits: Tensor, relevant: Tensor | None) -> Tensor:
    """Give the scores of irrelevant categories to background (TaskTP at test time).

    Args:
        logits: (K, C + 1), background last.
        relevant: (C,) bool or None.

    Returns:
        (K, C + 1): irrelevant logits -inf, background the log-sum-exp of itself and them.
    """
    if relevant is None:
        return logits
    irrelevant = ~relevant
    everything_else = F.pad(irrelevant, (0, 1), value=True)
    background = logits.masked_fill(~everything_else, float("-inf")).logsumexp(-1, keepdim=True)
    return torch.cat((logits[:, :-1].masked_fill(irrelevant, float("-inf")), background), dim=-1)
