# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Anchors, box deltas and their inverse, with mmdet 2.x's conventions (no "+1", pixel edges, sizes clamped)."""

import math

import torch
from torch import Tensor

from tasktp_ros.vision.constants import cached, constant

STRIDES = (4, 8, 16, 32, 64)
ANCHOR_SCALE = 8.0
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
MAX_LOG_SCALE = abs(math.log(16 / 1000))


def base_anchors(stride: int, device: torch.device | str = "cpu", scale: float = ANCHOR_SCALE) -> Tensor:
    """Anchors of the first cell of a level: (3, 4) float32 xyxy px, one per ratio height / width, of `scale` strides."""
    ratios = torch.tensor(ANCHOR_RATIOS, device=device).sqrt()
    widths = stride * scale / ratios
    heights = stride * scale * ratios
    return torch.stack((-widths, -heights, widths, heights), dim=-1) * 0.5


@cached
def grid_anchors(height: int, width: int, stride: int, device: torch.device, scale: float = ANCHOR_SCALE) -> Tensor:
    """Anchors of a whole level: (height * width * 3, 4) float32 xyxy px; cells row-major, ratios innermost."""
    x = torch.arange(width, device=device, dtype=torch.float32) * stride
    y = torch.arange(height, device=device, dtype=torch.float32) * stride
    line, column = torch.meshgrid(y, x, indexing="ij")
    shifts = torch.stack((column, line, column, line), dim=-1).reshape(-1, 1, 4)
    return (shifts + base_anchors(stride, device, scale)).reshape(-1, 4)


@cached
def level_anchors(
    shapes: tuple[tuple[int, int], ...], strides: tuple[int, ...], device: torch.device, scale: float = ANCHOR_SCALE
) -> Tensor:
    """Anchors (sum h * w * 3, 4) of levels of these (height, width), one after the other, as :func:`grid_anchors`."""
    levels = zip(shapes, strides, strict=True)
    return torch.cat([grid_anchors(*shape, stride, device, scale) for shape, stride in levels])


def encode_boxes(anchors: Tensor, boxes: Tensor, stds: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Deltas (K, 4) that :func:`decode_boxes` turns `anchors` (K, 4) into `boxes` (K, 4) with; all sides positive."""
    sizes, wanted = anchors[:, 2:] - anchors[:, :2], boxes[:, 2:] - boxes[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) * 0.5 / sizes
    deltas = torch.cat((shift, (wanted / sizes).log()), dim=-1)
    return deltas / constant(stds, deltas.dtype, deltas.device)


def decode_boxes(
    anchors: Tensor, deltas: Tensor, image_shape: tuple[int, int], stds: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
) -> Tensor:
    """Apply deltas (x, y, log w, log h; scaled by 1 / stds) to boxes and clip to the image.

    Args:
        anchors: (K, 4) float xyxy px.
        deltas: (K, 4) float.
        image_shape: (height, width) px without padding.

    Returns:
        (K, 4) xyxy px, 0 <= x <= width, 0 <= y <= height.
    """
    deltas = deltas * constant(stds, deltas.dtype, deltas.device)
    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = (anchors[:, :2] + anchors[:, 2:]) * 0.5 + deltas[:, :2] * sizes
    halves = sizes * deltas[:, 2:].clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp() * 0.5
    boxes = torch.cat((centres - halves, centres + halves), dim=-1)
    height, width = image_shape
    return boxes.clamp(min=0).minimum(constant((width, height, width, height), boxes.dtype, boxes.device))
