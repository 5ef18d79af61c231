# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Dense labels from instance masks: the category of every token (table 1b, rows 1 to 3) and of every pixel.

Where nothing but a crowd is, a token or cell has no label: `UNKNOWN`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tasktp_ros.training.batch import Truth
from tasktp_ros.vision.image import PATCH

UNKNOWN = -1
ONE_PIXEL = 1 / PATCH**2
"""Share of a token's patch."""


def token_labels(truth: Truth, num_classes: int) -> Tensor:
    """The category that covers most of each token's patch.

    All pixels count, background included; equal areas go to the lower index.

    Args:
        truth: masks (M, H, W), H and W multiples of 16.
        num_classes: categories C without background.

    Returns:
        (H/16 * W/16,) int64 in [0, C]; C is background, UNKNOWN a crowd without an object.
    """
    crowds, truth = truth.masks[truth.crowd], truth.select(~truth.crowd)
    shares = patch_shares(truth.masks)
    coverage = shares.new_zeros(num_classes + 1, shares.shape[1])
    coverage.index_add_(0, truth.labels, shares).clamp_(max=1.0)
    taken = truth.masks.any(0, keepdim=True) if len(truth.masks) else truth.masks.new_zeros(1, *truth.masks.shape[1:])
    coverage[num_classes] = 1.0 - patch_shares(taken)[0]
    return _unknown_on(crowds, first_argmax(coverage), num_classes, ONE_PIXEL)


def front_token_labels(truth: Truth, num_classes: int, least_cover: float) -> Tensor:
    """The category of the smallest object that covers at least `least_cover` of each token's patch, else background.

    So a cup has tokens though it stands on a table, and though the wall behind it covers more.
    Arguments and result as :func:`token_labels`.
    """
    crowds, truth = truth.masks[truth.crowd], truth.select(~truth.crowd)
    shares = patch_shares(truth.masks)
    labels = torch.full(shares.shape[1:], num_classes, dtype=torch.int64, device=shares.device)
    for index in truth.masks.flatten(1).sum(1).argsort(descending=True).tolist():
        labels[shares[index] >= least_cover] = truth.labels[index]
    return _unknown_on(crowds, labels, num_classes, max(least_cover, ONE_PIXEL))


def covered_by_relevant(truth: Truth, relevant: Tensor, least_cover: float) -> Tensor:
    """Tokens of whose patch a relevant object covers at least `least_cover`: (H/16 * W/16,) bool.

    Args:
        relevant: (C,) bool, the task set.
    """
    shares = patch_shares(truth.masks[relevant[truth.labels]])
    return (shares >= least_cover).any(0)


def patch_shares(masks: Tensor) -> Tensor:
    """Share of each token's patch that each mask covers: (M, H, W) bool -> (M, H/16 * W/16) float32."""
    height, width = masks.shape[1:]
    return masks.float().view(-1, height // PATCH, PATCH, width // PATCH, PATCH).mean(dim=(2, 4)).flatten(1)


def centre_token_labels(truth: Truth, num_classes: int) -> Tensor:
    """Token labels as the published code samples them: the mean of a patch's four central pixels decides.

    Arguments and result as :func:`token_labels`.
    """
    crowds, truth = truth.masks[truth.crowd], truth.select(~truth.crowd)
    layers = class_layers(truth, num_classes)
    half = PATCH // 2
    central = layers.unflatten(2, (-1, PATCH)).unflatten(1, (-1, PATCH))[
        :, :, half - 1 : half + 1, :, half - 1 : half + 1
    ]
    return _unknown_on(crowds, first_argmax(central.mean(dim=(2, 4)).flatten(1)), num_classes, ONE_PIXEL)


def corner_relevance(truth: Truth, relevant: Tensor) -> Tensor:
    """The published code's "token lies on a relevant object": the patch's top-left pixel does; (H/16 * W/16,) bool.

    Args:
        relevant: (C,) bool, the task set.
    """
    height, width = truth.masks.shape[1:]
    corners = truth.masks[relevant[truth.labels]][:, ::PATCH, ::PATCH]
    return corners.any(0).flatten() if len(corners) else corners.new_zeros(height // PATCH * (width // PATCH))


def class_layers(truth: Truth, num_classes: int) -> Tensor:
    """(C + 1, H, W) float32: 1 where a category has a pixel, background where nothing has."""
    layers = truth.masks.new_zeros(num_classes + 1, *truth.masks.shape[1:], dtype=torch.float32)
    layers.index_add_(0, truth.labels, truth.masks.float()).clamp_(max=1.0)
    layers[num_classes] = 1.0 - layers[:num_classes].amax(0)
    return layers


def pixel_labels(truths: Sequence[Truth], num_classes: int, stride: int) -> Tensor:
    """Category of every cell's middle pixel, the smaller object in front: (B, H/stride, W/stride) int64 in [0, C] or UNKNOWN."""
    maps = []
    for truth in truths:
        sampled = truth.masks[:, stride // 2 :: stride, stride // 2 :: stride]
        label_map = torch.full(sampled.shape[1:], num_classes, dtype=torch.int64, device=sampled.device)
        label_map.masked_fill_(sampled[truth.crowd].any(0), UNKNOWN)
        objects = (~truth.crowd).tolist()
        for index in truth.masks.flatten(1).sum(1).argsort(descending=True).tolist():
            if not objects[index]:
                continue
            label_map.masked_fill_(sampled[index], int(truth.labels[index]))
        maps.append(label_map)
    return torch.stack(maps)


def _unknown_on(crowds: Tensor, labels: Tensor, background: int, least_cover: float) -> Tensor:
    """Labels (N,) without those of background where one of `crowds` (I, H, W) covers so much of a token's patch."""
    covered = (patch_shares(crowds) >= least_cover).any(0)
    return labels.masked_fill(covered & (labels == background), UNKNOWN)


def first_argmax(coverage: Tensor) -> Tensor:
    """Index (N,) of the largest of (K, N) values along the first dimension, the lower index among equals."""
    best = coverage == coverage.amax(0)
    return best.to(torch.uint8).argmax(0)
