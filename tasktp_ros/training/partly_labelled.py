# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What is unlabelled is neither object nor background: background of a partly labelled image may be any unlabelled category."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tasktp_ros.training.batch import Truth
from tasktp_ros.vision.heads import fold_irrelevant


def labelled_of(truths: Sequence[Truth], num_classes: int) -> Tensor | None:
    """(B, C) bool, the categories that are labelled on each image; None where all are on all images."""
    if all(truth.labelled is None for truth in truths):
        return None
    everything = torch.ones(num_classes, dtype=torch.bool, device=truths[0].labels.device)
    return torch.stack([everything if truth.labelled is None else truth.labelled for truth in truths])


def fold_unlabelled(logits: Tensor, labels: Tensor, labelled: Tensor | None) -> Tensor:
    """Let the background of tokens that are labelled background hold the unlabelled categories of their image.

    The cross-entropy of such a token is then -log(p of background + sum of p of unlabelled categories).

    Args:
        logits: (B, N, C + 1), background last.
        labels: (B, N) int64.
        labelled: (B, C) bool, or None.

    Returns:
        (B, N, C + 1), other tokens as they were.
    """
    if labelled is None:
        return logits
    object_of_any = labels != logits.shape[-1] - 1
    stays = labelled[:, None] | object_of_any[..., None]
    return fold_irrelevant(logits.flatten(0, 1), stays.flatten(0, 1)).view_as(logits)
