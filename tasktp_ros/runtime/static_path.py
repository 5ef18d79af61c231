# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Frames in static shapes: the same launches whatever a frame holds, so that a GPU can replay them from a graph.

Nothing waits for the device between upload and result. What did not fit is seen in the result and never cut: with too few token
rows the frame runs again with more, with too few slots in the heads it is left to the dynamic path.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasktp_ros.runtime.capacity import CapacityChooser, capacities
from tasktp_ros.runtime.download import Downloader
from tasktp_ros.runtime.graphs import Graphs
from tasktp_ros.runtime.score_map import ScoreMap
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import ImageFrame, to_input
from tasktp_ros.vision.reducer import ReductionState
from tasktp_ros.vision.stages import stage
from tasktp_ros.vision.static_detector import Layout, detect_static, unpack

SLOTS = 100
"""Detections that a frame has room for, unless more are asked for: then the next multiple."""
REMEMBERED = 8


@dataclass(frozen=True)
class Geometry:
    """All that shapes and constants of a frame depend on: what a graph is captured for.

    Attributes:
        frame: sizes of the image on its way into the network.
        reversed_channels: the uploaded image is BGR.
        reach, stop_below, forced_share: of the `ReductionState`.
        slots: most detections.
    """

    frame: ImageFrame
    reversed_channels: bool
    reach: str
    stop_below: tuple[float, ...]
    forced_share: float | None
    slots: int

    @property
    def tokens(self) -> int:
        """Tokens of the network's input."""
        return self.frame.padded[0] * self.frame.padded[1] // 256


@dataclass(frozen=True)
class Read:
    """What a frame gave, on the host; D detections, best first, in pixels of the network's input.

    Attributes:
        boxes: (D, 4) float32 xyxy px.
        scores: (D,) float32.
        labels: (D,) int64.
        masks: (D, 28, 28) float32.
        keep: (gated blocks, N) bool, tokens that each gated block ran.
        presence: per gate that ran and estimates it, how probable it is that anything of the task is on the image, 0..1.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.float32]
    keep: NDArray[np.bool_]
    presence: tuple[float, ...]

    def with_probabilities(self, score_map: ScoreMap, threshold: float) -> "Read":
        """The same with probabilities instead of the network's scores, without detections of at most `threshold` (0..1)."""
        scores = score_map.probabilities(self.scores)
        count = int((scores > threshold).sum())  # best first, so those that stay are the first ones
        return replace(self, boxes=self.boxes[:count], scores=scores[:count], labels=self.labels[:count],
                       masks=self.masks[:count])  # fmt: skip


class StaticPath:
    """Runs frames of one network in static shapes, in a program for each of the last few geometries.

    Args:
        captured: from CUDA graphs, and not operation by operation.

    Attributes:
        repeated: frames that had to be run again with more token rows.
        left_over: frames that did not fit at all and were left to the dynamic path.
    """

    def __init__(self, network: Detector, device: torch.device, dtype: torch.dtype, captured: bool) -> None:
        self.repeated = 0
        self.left_over = 0
        self._network, self._device, self._dtype = network, device, dtype
        self._graphs = Graphs(device) if captured else None
        self._downloader = Downloader()
        self._programs: OrderedDict[Geometry, _Program] = OrderedDict()

    def prepare(self, geometry: Geometry) -> None:
        """Make ready for every number of kept tokens, so that no later frame of this geometry has to."""
        program = self._program(geometry)
        for capacity in program.chooser.buckets:
            program.run(capacity)

    def detect(self, pixels: Tensor, geometry: Geometry, state: ReductionState, score_threshold: float) -> Read | None:
        """Find the state's categories in an uploaded image.

        Args:
            pixels: (H, W, 3) uint8 on the device.
            state: whose task set and threshold are used.

        Returns:
            None where the frame did not fit.
        """
        program = self._program(geometry)
        with stage("preprocess"):
            program.write(pixels, state, score_threshold)
        capacity = program.chooser.choose()
        while True:
            packed = program.run(capacity)
            with stage("postprocess"):
                parts = unpack(self._downloader.fetch(packed), program.layout)
            left, keep = bool(parts["left"].any()), _ran(parts["keep"], parts["left"])
            most = int(keep.sum(1).max(initial=0))
            program.chooser.note(most)
            if most <= capacity:
                break
            self.repeated += 1
            capacity = program.chooser.fitting(most)
        if not left and not parts["complete"][0]:
            self.left_over += 1
            return None
        count = 0 if left else int(parts["count"][0])
        boxes, scores, labels, masks = (parts[name][:count].copy() for name in ("boxes", "scores", "labels", "masks"))
        gates = int(parts["left"].argmax()) + 1 if left else None
        return Read(boxes, scores, labels, masks, keep, tuple(map(float, parts["presence"][:gates])))

    def _program(self, geometry: Geometry) -> "_Program":
        program = self._programs.pop(geometry, None)
        if program is None:
            program = _Program(self._network, geometry, self._device, self._dtype, self._graphs)
        self._programs[geometry] = program
        while len(self._programs) > REMEMBERED:
            self._programs.popitem(last=False)
        return program


class _Program:
    """Buffers of one geometry and, per capacity, what runs on them. A change of the task only writes to the buffers."""

    def __init__(
        self,
        network: Detector,
        geometry: Geometry,
        device: torch.device,
        dtype: torch.dtype,
        graphs: Graphs | None,
    ) -> None:
        gated, tokens = network.backbone.reducer.gated_blocks(), geometry.tokens
        self.chooser = CapacityChooser(capacities(tokens) if gated else (tokens,))
        self.layout: Layout = ()
        self._network, self._geometry, self._dtype, self._graphs = network, geometry, dtype, graphs
        self._pixels = torch.zeros(*geometry.frame.source, 3, dtype=torch.uint8, device=device)
        self._relevant = torch.ones(network.roi_head.num_classes, dtype=torch.bool, device=device)
        self._threshold = torch.full((), 0.5, device=device)
        self._score_threshold = torch.full((), 0.5, device=device)
        self._written: tuple[Tensor | None, float | Tensor, float] = (None, 0.5, 0.5)
        self._runs: dict[int, Callable[[], Tensor]] = {}

    def write(self, pixels: Tensor, state: ReductionState, score_threshold: float) -> None:
        """Put an image and the task where the next run reads them."""
        self._pixels.copy_(pixels, non_blocking=True)
        relevant, threshold, score = self._written
        self._written = (state.relevant, state.threshold, score_threshold)
        if state.relevant is not relevant or state.threshold != threshold:
            self._relevant.fill_(True) if state.relevant is None else self._relevant.copy_(state.relevant)
            self._threshold.fill_(state.threshold)
            self.chooser.forget()
        if score_threshold != score:
            self._score_threshold.fill_(score_threshold)

    def run(self, capacity: int) -> Tensor:
        """Packed `Slots` (bytes,) uint8 on the device, of what was written."""
        if capacity not in self._runs:

            def run() -> Tensor:
                return self._frame(capacity)

            self._runs[capacity] = run if self._graphs is None else self._graphs.capture(run)
        if self._graphs is None:
            return self._runs[capacity]()
        with stage("network"):
            return self._runs[capacity]()

    def _frame(self, capacity: int) -> Tensor:
        geometry = self._geometry
        with stage("preprocess"):
            image = to_input(self._pixels, geometry.frame, self._dtype, geometry.reversed_channels)
        state = self._network.backbone.reducer.begin(self._relevant)
        state.threshold, state.capacity = self._threshold, capacity
        state.reach, state.stop_below, state.forced_share = geometry.reach, geometry.stop_below, geometry.forced_share
        slots = detect_static(
            self._network, image, geometry.frame.content, state, self._score_threshold, geometry.slots
        )
        self.layout = slots.layout()
        with stage("postprocess"):
            return slots.pack()


def _ran(keep: NDArray[np.bool_], left: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tokens that each gated block ran: as decided, and none after the first gate that saw nothing of the task."""
    keep = keep.copy()
    if left.any():
        keep[int(left.argmax()) * (len(keep) // len(left)) :] = False
    return keep
