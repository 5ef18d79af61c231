# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Who takes part when frames are timed: a detector of ours in one setting, or a peer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.evaluation.operations import run_network, stage_gflops
from tasktp_ros.evaluation.textbook import textbook
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.models import open_model
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.sizes import SIZES


class Result(NamedTuple):
    """timings: milliseconds per stage, and "total".  kept: share of tokens, None without gates.  detections: found."""

    timings: dict[str, float]
    kept: float | None
    detections: int


class Contender(ABC):
    """Something that detects.

    Attributes:
        name: as tables have it.
        device, dtype: what it runs on and in.
        parameters: millions.
    """

    name: str
    device: torch.device
    dtype: torch.dtype
    parameters: float

    @abstractmethod
    def run(self, image: NDArray[np.uint8]) -> Result:
        """Detect on one image (H, W, 3) uint8 RGB."""

    @abstractmethod
    def gflops(self, image: NDArray[np.uint8]) -> dict[str, float]:
        """Billions of counted operations per stage on one image, or only their "total"."""


@dataclass(frozen=True)
class Setting:
    """What a detector of ours is told before each frame.

    Attributes:
        categories: the task; None = all.
        reach: how far it is followed.
        share: of tokens that every gate keeps; None = the gates decide.
        detections: that are found on the first image, by a score threshold; None = the detector's own threshold.
        plain: the textbook's way (`evaluation.textbook`).
    """

    categories: tuple[str, ...] | None = None
    reach: str = "blocks"
    share: float | None = None
    detections: int | None = None
    plain: bool = False


class Ours(Contender):
    """A detector in one setting; several share its weights.

    Args:
        image: where `setting.detections` are to be found.
    """

    def __init__(self, name: str, detector: TaskDetector, setting: Setting, image: NDArray[np.uint8]) -> None:
        self.name = name
        self.detector, self.setting = detector, setting
        self.device, self.dtype = detector.device, next(detector.network().parameters()).dtype
        self.parameters = millions(detector.network())
        self._threshold, self._most = detector.score_threshold, detector.max_detections
        if setting.detections is not None:
            self._find(setting.detections, image)

    def run(self, image: NDArray[np.uint8]) -> Result:
        with self._set():
            found = self.detector.detect(image)
        return Result(found.timings, float(np.mean(found.kept)) if found.kept else None, len(found))

    def gflops(self, image: NDArray[np.uint8]) -> dict[str, float]:
        with self._set():
            counted = stage_gflops(self.detector, image)
        return counted | {"total": sum(counted.values())}

    def run_network(self, image: NDArray[np.uint8]) -> None:
        """The network alone, in which operations can be counted."""
        with self._set():
            run_network(self.detector, image)

    def _set(self) -> AbstractContextManager[None]:
        detector, setting = self.detector, self.setting
        detector.set_task(setting.categories)
        detector.reach, detector.forced_share = setting.reach, setting.share
        detector.score_threshold, detector.max_detections = self._threshold, self._most
        return textbook() if setting.plain else nullcontext()

    def _find(self, detections: int, image: NDArray[np.uint8]) -> None:
        """Set the score threshold between the last detection that is wanted and the next one."""
        self._threshold, self._most = 0.0, detections + 1
        with self._set():
            scores = [*self.detector.detect(image).scores.tolist(), 0.0, 0.0]
        self._threshold = (scores[detections - 1] + scores[detections]) / 2 if detections else 1.0
        self._most = max(1, detections)


@dataclass(frozen=True)
class Source:
    """Weights of which several detectors are made: with gates, without them, and the textbook's way.

    Attributes:
        card: of the model; "trained" says whether its gates know anything.
    """

    card: ModelCard
    weights: dict[str, torch.Tensor]

    def detector(self, method: str, device: torch.device, dtype: torch.dtype, plain: bool = False) -> TaskDetector:
        """A detector with these weights; one without gates where `method` has none.

        Random weights of a method that names its blocks otherwise (SViT) are drawn again for another method.
        """
        options = self.card.options if method == self.card.method else {}
        network = build_detector(self.card.size, method, len(self.card.vocabulary), options)
        names = network.state_dict().keys()
        if names <= self.weights.keys() or self.card.trained:
            from tasktp_ros.training.starts import encoder_name

            network.load_state_dict(
                {name: self.weights[name if name in self.weights else encoder_name(name)] for name in names}
            )
        else:
            network = random_network(self.card.size, method, options)
        with textbook() if plain else nullcontext():
            return TaskDetector(network, self.card, device, dtype)


def open_source(
    model: str, method: str, input_size: tuple[int, int] | None, options: Mapping[str, Any] | None = None
) -> Source:
    """As :func:`open_network`, for several detectors.

    Args:
        input_size: shorter and longer side in px that images are scaled to fit; None = the model's own.
    """
    network, card = open_network(model, method, options)
    if input_size is not None:
        card = replace(card, input_size=input_size)
    return Source(card, network.state_dict())


def open_network(model: str, method: str, options: Mapping[str, Any] | None = None) -> tuple[Detector, ModelCard]:
    """A shipped model or a model file, or of a size's name the network with random weights.

    Args:
        method, options: of random weights.

    Raises:
        ModelError: no such model, or its file cannot be used.
        ValueError: no such method or option.
    """
    if model not in SIZES:
        try:
            return open_model(model)
        except ModelError as error:
            raise ModelError(f"{error}; sizes with random weights are {', '.join(SIZES)}") from error
    card = ModelCard(model, model, method, "coco", COCO, trained=False, options=dict(options or {}))
    return random_network(model, method, options), card


def random_network(size: str, method: str, options: Mapping[str, Any] | None = None, seed: int = 0) -> Detector:
    """A network whose classes differ enough for it to find things."""
    torch.manual_seed(seed)
    network = build_detector(size, method, len(COCO), options)
    nn.init.normal_(network.roi_head.bbox_head.fc_cls.weight, std=0.2)
    return network


def millions(network: nn.Module) -> float:
    """Millions of parameters."""
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6
