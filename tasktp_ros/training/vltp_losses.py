# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What VLTP's decoders learn from: equations (12) to (14), with the weights of its code."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.training.batch import Truth
from tasktp_ros.vision.image import PATCH

CROSS_ENTROPY_WEIGHT = 2.0
DICE_WEIGHT = 0.5
DICE_SCALE = 1000.0
DICE_EPSILON = 1e-6


def goal_masks(truths: Sequence[Truth], tasks: Tensor) -> Tensor:
    """(B, H, W) bool: the union of the objects, crowds too, whose category is in an image's task set (B, C) bool."""
    masks = [truth.masks[row[truth.labels]].any(0) for truth, row in zip(truths, tasks, strict=True)]
    return torch.stack(masks)


def patch_target(masks: Tensor) -> Tensor:
    """Equation (13): 1 for each patch with a positive pixel, in the order of :func:`patch_index`.

    Args:
        masks: (B, H, W) bool, H and W multiples of 16.

    Returns:
        (B, H/16 * W/16) float32.
    """
    return F.max_pool2d(masks[:, None].float(), PATCH)[:, 0].flatten(1)


def patch_index(row: int, column: int, width: int) -> int:
    """Equation (14): index from 0 of a patch in a grid of an image `width` px wide."""
    return row * (width // PATCH) + column


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 minus the overlap of sigmoid(logits) with target, both (B, ...): () mean over images.

    A small epsilon makes an empty target cost all that is found, and nothing where nothing is found.
    """
    found, wanted = logits.float().sigmoid().flatten(1) / DICE_SCALE, target.float().flatten(1)
    both = 2 * (found * wanted).sum(1)
    return (1 - (both + DICE_EPSILON) / (found.sum(1) + wanted.sum(1) / DICE_SCALE + DICE_EPSILON)).mean()


def overlap_loss(logits: Tensor, target: Tensor) -> Tensor:
    """CE + DICE as equation (12) has it twice, for masks (L_X) and for prune maps (L_P): logits and target (B, ...) -> ()."""
    crossed = F.binary_cross_entropy_with_logits(logits.float(), target.float())
    return CROSS_ENTROPY_WEIGHT * crossed + DICE_WEIGHT * dice_loss(logits, target)


def prune_map_loss(scores: Sequence[Tensor], masks: Tensor) -> Tensor:
    """L_P: the mean over stages of what their scores (B, N), as logits, miss of the patches of masks (B, H, W)."""
    target = patch_target(masks)
    return torch.stack([overlap_loss(each, target) for each in scores]).mean()
