# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""The network as a textbook has it: what all the work on speed is measured against, and must agree with.

The network itself knows nothing of this. While :func:`textbook` is open, its fast parts are exchanged for their slow
twins, and detectors are made without `prepare_for_inference`: nothing is folded, memory lies channels first. The numbers stay the same up
to rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from tasktp_ros.runtime import task_detector
from tasktp_ros.vision import deformable, heads
from tasktp_ros.vision.deformable import Shapes, sample_by_grid
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import to_input
from tasktp_ros.vision.roi_align import ROI_STRIDES, roi_levels
from tasktp_ros.vision.upsample import Upsample2x


@contextmanager
def textbook() -> Iterator[None]:
    """Make and run detectors the textbook way inside `with`; for the whole process, so not beside other threads.

    A detector that was made inside must also be run inside. Make it in float32.
    """
    fast = [getattr(owner, name) for owner, name, _ in TWINS]
    for owner, name, twin in TWINS:
        setattr(owner, name, twin)
    try:
        yield
    finally:
        for (owner, name, _), part in zip(TWINS, fast, strict=True):
            setattr(owner, name, part)


def _sample(
    value: Tensor,
    offsets: Tensor,
    weights: Tensor,
    query_shapes: Shapes,
    value_shapes: Shapes,
    cells: Tensor | None = None,
) -> Tensor:
    if cells is not None:
        raise ValueError("textbook deformable attention knows no sparse cells: run it with reach 'blocks'")
    return sample_by_grid(value, offsets, weights, query_shapes, value_shapes)


def _pool(head: heads.RoIHead, levels: Sequence[Tensor], boxes: Sequence[Tensor], size: int) -> Tensor:
    """Torchvision's RoIAlign, level by level; adaptive where the head's configuration says so (samples = 0)."""
    together = torch.cat(list(boxes))
    index = torch.cat([torch.full((len(b), 1), float(i), device=b.device) for i, b in enumerate(boxes)])
    rois, number = torch.cat((index, together), dim=1), roi_levels(together, head.config.finest_scale)
    pooled = levels[0].new_zeros(len(together), levels[0].shape[1], size, size)
    for level, stride in enumerate(ROI_STRIDES):
        members = (number == level).nonzero()[:, 0]
        pooled[members] = roi_align(
            levels[level], rois[members].to(levels[level].dtype), size, 1.0 / stride, head.config.samples, aligned=True
        )
    return pooled


def _of_class(head: heads.MaskHead, regions: Tensor, labels: Tensor) -> Tensor:
    return head(regions)[torch.arange(len(labels), device=labels.device), labels]


def _unprepared(network: Detector, device: torch.device, dtype: torch.dtype) -> Detector:
    return network.eval().requires_grad_(False).to(device=device, dtype=dtype)


def _to_input(*arguments: Any, **options: Any) -> Tensor:
    return to_input(*arguments, **options).contiguous()


TWINS: tuple[tuple[Any, str, Callable], ...] = (
    (deformable, "sample", _sample),
    (heads.RoIHead, "pool", _pool),
    (heads.MaskHead, "of_class", _of_class),
    (Upsample2x, "forward", nn.ConvTranspose2d.forward),
    (task_detector, "prepare_for_inference", _unprepared),
    (task_detector, "to_input", _to_input),
)
"""Where a fast part is found, its name there, and its slow twin."""
