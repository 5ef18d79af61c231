"""Dense labels from instance masks: the category of every token (table 1b, rows 1 to 3) and of every pixel."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tasktp_ros.training.batch import Truth

PATCH = 16


def token_labels(truth: Truth, num_classes: int, foreground_share: float | None = None) -> Tensor:
    """The category that covers most of each token's patch.

    All pixels count, background included; equal areas go to the lower index.

    Args:
        truth: masks (M, H, W), H and W multiples of 16.
        num_classes: categories C without background.
        foreground_share: with a number, an object that covers at least this share of the patch wins over background,
            so that small objects have tokens too.

    Returns:
        (H/16 * W/16,) int64 in [0, C]; C is background.
    """
    height, width = truth.masks.shape[1:]
    masks = truth.masks.float()
    # A product of two thin matrices averages the patches; pooling thousands of rows is slower on a CPU.
    shares = masks.view(-1, height // PATCH, PATCH, width // PATCH, PATCH).mean(dim=(2, 4)).flatten(1)
    coverage = shares.new_zeros(num_classes + 1, shares.shape[1])
    coverage.index_add_(0, truth.labels, shares).clamp_(max=1.0)
    taken = masks.amax(0) if len(masks) else masks.new_zeros(height, width)
    free = 1.0 - taken.view(height // PATCH, PATCH, width // PATCH, PATCH).mean(dim=(1, 3)).flatten()
    coverage[num_classes] = free
    if foreground_share is not None:
        covered = coverage[:num_classes].amax(0) >= foreground_share
        coverage[num_classes].masked_fill_(covered, -1.0)
    return first_argmax(coverage)


def centre_token_labels(truth: Truth, num_classes: int) -> Tensor:
    """Token labels as the published code samples them: the mean of a patch's four central pixels decides.

    Arguments and result as :func:`token_labels`.
    """
    layers = class_layers(truth, num_classes)
    half = PATCH // 2
    central = layers.unflatten(2, (-1, PATCH)).unflatten(1, (-1, PATCH))[
        :, :, half - 1 : half + 1, :, half - 1 : half + 1
    ]
    return first_argmax(central.mean(dim=(2, 4)).flatten(1))


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
    """Category of every cell's middle pixel, the smaller object in front: (B, H/stride, W/stride) int64 in [0, C]."""
    maps = []
    for truth in truths:
        sampled = truth.masks[:, stride // 2 :: stride, stride // 2 :: stride]
        label_map = torch.full(sampled.shape[1:], num_classes, dtype=torch.int64, device=sampled.device)
        for index in truth.masks.flatten(1).sum(1).argsort(descending=True).tolist():
            label_map.masked_fill_(sampled[index], int(truth.labels[index]))
        maps.append(label_map)
    return torch.stack(maps)


def first_argmax(coverage: Tensor) -> Tensor:
    """Index (N,) of the largest of (K, N) values along the first dimension, the lower index among equals."""
    best = coverage == coverage.amax(0)
    return best.to(torch.uint8).argmax(0)
