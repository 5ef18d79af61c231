# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Speed of a detector measured beside the dense model and torchvision's Mask R-CNN, in turns of one run.

Machines drift; ratios within one run hold. So all contenders detect the same image one after the other, round after
round, and the medians are compared.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import maskrcnn_resnet50_fpn

from tasktp_ros.detectors import build_detector
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.precision import choose_device, choose_precision
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.runtime.timing import recorder_for
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.vision.image import InputSize, frame_for, to_input
from tasktp_ros.vision.stages import recording, stage

PEER = "torchvision maskrcnn_resnet50_fpn"


@dataclass(frozen=True)
class SpeedRow:
    """One contender's medians.

    Attributes:
        name: method, and the forced share where there is one.
        kept: mean share of tokens kept in gated blocks, 0..1; None for models without gates.
        milliseconds: median of a frame, from image to result.
        stages: median milliseconds per stage.
        gflops: counted billions of operations per stage (a multiply-add is two), convolutions and products only.
        detections: detections in the result, so that equal head work can be seen.
        parameters: millions of parameters.
    """

    name: str
    kept: float | None
    milliseconds: float
    stages: dict[str, float]
    gflops: dict[str, float]
    detections: int
    parameters: float


class FlopRecorder:
    """Attributes the operations counted by torch to the stage they ran in."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self.operations: dict[str, float] = {}
        self._counter = counter
        self._before = 0

    def begin(self, name: str) -> None:
        self._before = self._counter.get_total_flops()

    def end(self, name: str) -> None:
        counted = self._counter.get_total_flops() - self._before
        self.operations[name] = self.operations.get(name, 0.0) + counted / 1e9


@dataclass
class _Contender:
    name: str
    run: Callable[[], tuple[dict[str, float], float | None, int]]
    gflops: dict[str, float]
    parameters: float


def measure_speed(
    image: NDArray[np.uint8],
    size: str,
    methods: Sequence[str],
    shares: Sequence[float],
    rounds: int,
    device: str = "auto",
    precision: str = "auto",
    detections: int = 20,
    peer: bool = True,
    input_size: tuple[int, int] | None = None,
    on_round: Callable[[], object] = lambda: None,
) -> tuple[list[SpeedRow], str, str]:
    """Time random networks of one size on one image.

    Args:
        image: (H, W, 3) uint8 RGB.
        methods: token reduction methods; gated ones run once per share.
        shares: shares of tokens to force every gate to.
        rounds: frames per contender, after three that are not counted.
        detections: detections per image, the same for every method, so that all have the same head work.
        peer: also time torchvision's Mask R-CNN at the same input size.
        input_size: shorter and longer side in px that images are scaled to fit; None = the size's own.
        on_round: called after every counted round.

    Returns:
        The rows, the device and the precision.
    """
    chosen = choose_device(device)
    dtype = choose_precision(precision, chosen)
    contenders = []
    for method in methods:
        detector = _random_detector(size, method, chosen, dtype, input_size)
        detector.score_threshold = _threshold_for(detector, image, 10 * detections)
        detector.max_detections = detections
        gated = bool(detector.network().backbone.reducer.gated_blocks())
        contenders += [_contender(detector, method, share, image) for share in (shares if gated else [None])]
    if peer:
        contenders.append(_peer(image, ModelCard(size, size, "", "", (), False, input_size).resize(), chosen, dtype))
    results: list[list] = [[] for _ in contenders]
    for number in range(rounds + 3):
        for contender, rows in zip(contenders, results, strict=True):
            rows.append(contender.run())
        if number >= 3:
            on_round()
    summary = [_summarise(c, rows[3:]) for c, rows in zip(contenders, results, strict=True)]
    return summary, str(chosen), str(dtype).removeprefix("torch.")


def as_records(rows: Sequence[SpeedRow]) -> list[dict]:
    """Rows for JSON, each with its speed relative to the first row (above 1 = faster)."""
    return [asdict(row) | {"speedup": rows[0].milliseconds / row.milliseconds} for row in rows]


def _random_detector(
    size: str, method: str, device: torch.device, dtype: torch.dtype, input_size: tuple[int, int] | None
) -> TaskDetector:
    torch.manual_seed(0)
    network = build_detector(size, method, len(COCO))
    torch.nn.init.normal_(network.roi_head.bbox_head.fc_cls.weight, std=0.2)
    return TaskDetector(network, ModelCard(size, size, method, "coco", COCO, False, input_size), device, dtype)


def _threshold_for(detector: TaskDetector, image: NDArray[np.uint8], candidates: int) -> float:
    """The score that this many (box, class) pairs exceed."""
    logits: list[torch.Tensor] = []
    handle = detector.network().roi_head.bbox_head.register_forward_hook(lambda *args: logits.append(args[2][0]))
    detector.score_threshold = 1.0
    detector.detect(image)
    handle.remove()
    scores = logits[0].float().softmax(-1)[:, :-1].flatten()
    return float(scores.topk(min(candidates + 1, scores.numel())).values[-1])


def _contender(detector: TaskDetector, method: str, share: float | None, image: NDArray[np.uint8]) -> _Contender:
    def run() -> tuple[dict[str, float], float | None, int]:
        detector.forced_share = share
        found = detector.detect(image)
        return found.timings, float(np.mean(found.kept)) if found.kept else None, len(found)

    gflops = stage_gflops(detector, image, share)
    name = method if share is None else f"{method}, {share:.0%} kept"
    return _Contender(name, run, gflops, _millions(detector.network()))


def stage_gflops(detector: TaskDetector, image: NDArray[np.uint8], share: float | None = None) -> dict[str, float]:
    """Billions of operations per stage (a multiply-add is two) on one image under the detector's task and settings.

    Args:
        share: force every gate to this share of tokens; None = the gates decide.
    """
    network = detector.network()
    frame = frame_for(image.shape[0], image.shape[1], detector.card.resize())
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(detector.device)
    batch = to_input(pixels, frame, next(network.parameters()).dtype)
    _, state = detector.new_state()
    state.forced_share = share
    # Not in inference mode, in which torch counts nothing.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        recorder = FlopRecorder(counter)
        with recording(recorder):
            network(batch, [frame.content], state, detector.score_threshold, detector.max_detections)
    return recorder.operations


def _peer(image: NDArray[np.uint8], size: InputSize, device: torch.device, dtype: torch.dtype) -> _Contender:
    """Torchvision's detector at the same input size; in bf16 by autocast, which is how its users run it."""
    frame = frame_for(image.shape[0], image.shape[1], size)
    network = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=min(frame.content), max_size=max(frame.content)
    )
    network = network.eval().requires_grad_(False).to(device)
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)

    def detect() -> int:
        with torch.inference_mode(), autocast:
            pixels = torch.from_numpy(image).to(device).permute(2, 0, 1).float() / 255
            return len(network([pixels])[0]["scores"].cpu())

    def run() -> tuple[dict[str, float], float | None, int]:
        recorder = recorder_for(device)
        with recording(recorder), stage("total"):
            found = detect()
        return recorder.milliseconds(), None, found

    with FlopCounterMode(display=False) as counter:
        detect()
    return _Contender(PEER, run, {"total": counter.get_total_flops() / 1e9}, _millions(network))


def _millions(network: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def _summarise(contender: _Contender, rows: Sequence[tuple[dict[str, float], float | None, int]]) -> SpeedRow:
    names = list(rows[0][0])
    stages = {name: statistics.median(row[0].get(name, 0.0) for row in rows) for name in names}
    total = stages.pop("total")
    gflops = (
        contender.gflops
        if "total" in contender.gflops
        else contender.gflops | {"total": sum(contender.gflops.values())}
    )
    return SpeedRow(contender.name, rows[-1][1], total, stages, gflops, rows[-1][2], contender.parameters)
