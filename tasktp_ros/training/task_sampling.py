# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Random task sets for training: which categories an image is searched for (methods.md, card 1 and table 1b, row 18)."""

from collections.abc import Sequence

import torch
from torch import Tensor

SET_SIZES = (1, 2, 3, 4, 5, 10, 20, 30, 40, 80)
FEWER_SET_SIZES = (1, 8, 20, 40, 80)
"""Sizes of the second released configuration."""


def usable_sizes(sizes: Sequence[int], num_classes: int) -> tuple[int, ...]:
    """Sizes that a vocabulary allows, always with the whole of it, ascending."""
    return tuple(sorted({size for size in sizes if size < num_classes} | {num_classes}))


def draw_task(labels: Tensor, num_classes: int, sizes: Sequence[int] = SET_SIZES) -> Tensor:
    """A random task set for one image.

    Its size is uniform over `sizes` (cut to the vocabulary); a fair coin decides for each member whether it is drawn from
    the categories on the image, rarer ones more often (weight 1 / instances), or uniformly from the absent ones.

    Args:
        labels: (M,) int64 categories of the image's objects.

    Returns:
        (C,) bool.
    """
    usable = usable_sizes(sizes, num_classes)
    size = usable[int(torch.randint(len(usable), ()))]
    counts = torch.bincount(labels.cpu(), minlength=num_classes).double()
    present = torch.where(counts > 0, 1.0 / counts.clamp(min=1), 0.0)
    absent = (counts == 0).double()
    wanted_present = int((torch.rand(size) < 0.5).sum())
    from_present = min(max(wanted_present, size - int(absent.sum())), int((counts > 0).sum()))
    chosen = torch.zeros(num_classes, dtype=torch.bool)
    for weights, number in ((present, from_present), (absent, size - from_present)):
        if number:
            chosen[torch.multinomial(weights, number)] = True
    return chosen.to(labels.device)


def draw_tasks(labels: Sequence[Tensor], num_classes: int, sizes: Sequence[int] = SET_SIZES) -> Tensor:
    """One task set per image: (B, C) bool."""
    return torch.stack([draw_task(each, num_classes, sizes) for each in labels])
