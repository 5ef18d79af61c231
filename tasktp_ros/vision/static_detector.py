# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The whole network on one image in static shapes: nothing between image and result asks the device for a number.

What a frame gave is packed into one row of bytes, which takes one copy to the host; there it turns out how much of it is filled,
and whether something did not fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasktp_ros.vision import static_heads
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import PATCH
from tasktp_ros.vision.reducer import ReductionState, of_task
from tasktp_ros.vision.stages import stage


@dataclass(frozen=True)
class Slots:
    """What one image gave, in S slots of which some may be empty, in pixels of the network's input, best first.

    Attributes:
        boxes: (S, 4) float32 xyxy px.
        scores: (S,) float32.
        labels: (S,) int64 index into the vocabulary.
        masks: (S, 28, 28) float32 probabilities inside each box.
        count: (1,) int64, slots that hold a detection.
        complete: (1,) bool; False where the heads' slots or rounds were not enough, and what is here is wrong.
        keep: (gated blocks, N) bool, which tokens each gated block was to run.
        left: (gates or 0,) bool, under reach "frame": gates that saw nothing of the task.
        presence: (gates or 0,) float32, how probable each gate that estimates it finds anything of the task on the image, 0..1.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor
    count: Tensor
    complete: Tensor
    keep: Tensor
    left: Tensor
    presence: Tensor

    def pack(self) -> Tensor:
        """All of it as (bytes,) uint8 on the device."""
        return torch.cat([part.contiguous().flatten().view(torch.uint8) for _, part in self._parts()])

    def layout(self) -> "Layout":
        """Where the parts lie in that."""
        return tuple((name, KINDS[part.dtype], tuple(part.shape)) for name, part in self._parts())

    def _parts(self) -> list[tuple[str, Tensor]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


Layout: TypeAlias = tuple[tuple[str, type[np.generic], tuple[int, ...]], ...]
"""Names, kinds and shapes of packed parts, in their order."""
KINDS: dict[torch.dtype, type[np.generic]] = {
    torch.float32: np.float32,
    torch.int64: np.int64,
    torch.bool: np.bool_,
}


def unpack(packed: NDArray[np.uint8], layout: Layout) -> dict[str, NDArray]:
    """The arrays of `Slots` by name, as views of `packed` (bytes,)."""
    arrays: dict[str, NDArray] = {}
    start = 0
    for name, kind, shape in layout:
        end = start + prod(shape) * np.dtype(kind).itemsize
        arrays[name] = packed[start:end].view(kind).reshape(shape)
        start = end
    return arrays


def detect_static(
    network: Detector,
    image: Tensor,
    image_shape: tuple[int, int],
    state: ReductionState,
    score_threshold: Tensor,
    slots: int,
) -> Slots:
    """As `Detector.forward` on one image, in static shapes.

    Args:
        image: (1, 3, H, W) float, normalised; H and W multiples of 32.
        image_shape: (height, width) px of the content without padding.
        state: with its `capacity` set and `relevant` (num_classes,) given.
        score_threshold: () float, detections score more than this.
        slots: most detections.
    """
    if state.relevant is None or state.capacity is None:
        raise ValueError("static shapes need a task set and a capacity in the state")
    maps = cast(Sequence[Tensor], network.backbone.run(image, state))
    with stage("pyramid"):
        active = network.worked_on((image.shape[2], image.shape[3]), state)
        levels = network.neck.on_maps(maps, active)
    with stage("proposals"):
        proposals = static_heads.propose(network.rpn_head, levels, image_shape, active)
    with stage("box_head"):
        found = static_heads.find(
            network.roi_head, levels, proposals, image_shape, state.relevant, score_threshold, slots
        )
    with stage("mask_head"):
        masks = static_heads.masks(network.roi_head, levels, found)
    nothing = torch.zeros(0, dtype=torch.bool, device=image.device)
    presence = [of_task(logits, state.relevant).amax().sigmoid() for logits in state.presence]
    return Slots(
        found.boxes,
        found.scores,
        found.labels,
        masks,
        found.count[None],
        found.complete[None],
        torch.cat(state.keep) if state.keep else nothing.view(0, image.shape[2] // PATCH * (image.shape[3] // PATCH)),
        torch.stack(state.left) if state.left else nothing,
        torch.stack(presence) if presence else nothing.float(),
    )
