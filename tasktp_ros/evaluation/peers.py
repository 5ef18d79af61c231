# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""What a user would take from torchvision instead, each at its own input and, where it can be set, at ours.

Their weights are random, so their score thresholds are set such that they find about as much as ours; and each runs in the float
type that is faster for it on this machine, bf16 by autocast, which is how its users run it.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models.detection import (
    fasterrcnn_mobilenet_v3_large_320_fpn,
    maskrcnn_resnet50_fpn,
    ssdlite320_mobilenet_v3_large,
)

from tasktp_ros.evaluation.contenders import Contender, Result, millions
from tasktp_ros.evaluation.operations import operation_counter
from tasktp_ros.runtime.timing import recorder_for
from tasktp_ros.vision.image import InputSize
from tasktp_ros.vision.stages import recording, stage

MASK_PEER = "maskrcnn_resnet50_fpn"
TwoStage = Callable[..., Any]
TWO_STAGE: dict[str, tuple[TwoStage, InputSize]] = {
    MASK_PEER: (maskrcnn_resnet50_fpn, InputSize(800, 1333)),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (fasterrcnn_mobilenet_v3_large_320_fpn, InputSize(320, 640)),
}
"""Detectors whose input can be set, with their own."""
ONE_STAGE = "ssdlite320_mobilenet_v3_large"


class Peer(Contender):
    """One of torchvision's detectors.

    Args:
        name: as tables have it.
        network: with random weights.
        thresholded: the part of it that has the score threshold, as an attribute of this name.
        detections: that it is to find on `image`.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        thresholded: tuple[nn.Module, str],
        detections: int,
        image: NDArray[np.uint8],
        device: torch.device,
    ) -> None:
        self.name = name
        self.network = network.eval().requires_grad_(False).to(device)
        self.device = device
        self.dtype = torch.float32
        self.parameters = millions(self.network)
        self._adopt_statistics(image)
        self._set_threshold(thresholded, detections, image)
        seconds = {dtype: self._seconds(dtype, image) for dtype in (torch.float32, torch.bfloat16)}
        self.dtype = min(seconds, key=lambda dtype: seconds[dtype])

    def run(self, image: NDArray[np.uint8]) -> Result:
        recorder = recorder_for(self.device)
        with torch.inference_mode(), recording(recorder), stage("total"):
            scores = self._scores(image)
        return Result(recorder.milliseconds(), None, len(scores))

    def gflops(self, image: NDArray[np.uint8]) -> dict[str, float]:
        with torch.no_grad(), operation_counter() as counter:
            self._scores(image)
        return {"total": counter.get_total_flops() / 1e9}

    def _scores(self, image: NDArray[np.uint8]) -> torch.Tensor:
        pixels = torch.from_numpy(image).to(self.device).permute(2, 0, 1).float() / 255
        with self._autocast():
            return self.network([pixels])[0]["scores"].cpu()

    def _autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    @torch.no_grad()
    def _adopt_statistics(self, image: NDArray[np.uint8]) -> None:
        """Let batch norms normalise this image: else features of random weights fade, and all scores are the same."""

        def adopt(norm: Any, inputs: tuple[torch.Tensor]) -> None:
            norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
            norm.running_var.copy_(inputs[0].var((0, 2, 3), unbiased=False))

        norms = [module for module in self.network.modules() if isinstance(module, nn.BatchNorm2d)]
        handles = [norm.register_forward_pre_hook(adopt) for norm in norms]
        self._scores(image)
        for handle in handles:
            handle.remove()

    def _set_threshold(self, thresholded: tuple[nn.Module, str], detections: int, image: NDArray[np.uint8]) -> None:
        module, attribute = thresholded
        setattr(module, attribute, 0.0)
        with torch.inference_mode():
            scores = self._scores(image).sort(descending=True).values
        ranked = [*scores.tolist(), 0.0, 0.0]
        setattr(module, attribute, (ranked[detections - 1] + ranked[detections]) / 2 if detections else 1.0)

    def _seconds(self, dtype: torch.dtype, image: NDArray[np.uint8]) -> float:
        """The better of two frames, after one that is not counted."""
        self.dtype, best = dtype, float("inf")
        for _ in range(3):
            started = time.perf_counter()
            self.run(image)
            best = min(best, time.perf_counter() - started)
        return best


def peers(
    image: NDArray[np.uint8], same: InputSize, detections: int, device: torch.device, *, everything: bool
) -> list[Peer]:
    """Mask R-CNN at the same input, the one that ours are compared with; with `everything` all peers, at their own input, too.

    Args:
        image: (H, W, 3) uint8 RGB, on which they are to find `detections` things.
        same: how our images are scaled.
    """
    found = []
    for name, (build, own) in TWO_STAGE.items() if everything else [(MASK_PEER, TWO_STAGE[MASK_PEER])]:
        titles: dict[tuple[int, int], list[str]] = {}
        for title, size in [("same", same), ("own", own)] if everything else [("same", same)]:
            titles.setdefault(size.fit(*image.shape[:2]), []).append(title)
        for (height, width), which in titles.items():
            network = build(
                weights=None, weights_backbone=None, min_size=min(height, width), max_size=max(height, width),
                box_detections_per_img=detections + 1,
            )  # fmt: skip
            title = f"{name}, {' and '.join(which)} input {height} x {width}"
            found.append(Peer(title, network, (network.roi_heads, "score_thresh"), detections, image, device))
    if everything:
        network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, detections_per_img=detections + 1)
        title = f"{ONE_STAGE}, own input 320 x 320"
        found.append(Peer(title, network, (network, "score_thresh"), detections, image, device))
    return found
