# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Opening a model by its name or file, and the untrained stand-in."""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import torch
from torch import nn

from tasktp_ros.detectors import build_detector
from tasktp_ros.reduction.tasktp import TaskGate
from tasktp_ros.runtime.checkpoints import ModelCard, load_model
from tasktp_ros.runtime.shipped import UNTRAINED, find_model
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.vision.detector import Detector


def open_model(model: str | Path) -> tuple[Detector, ModelCard]:
    """A network in evaluation mode and its card, by shipped name or by the path of a .safetensors file.

    Raises:
        ModelError: no such name or file, or a file that cannot be used.
    """
    file = find_model(model)
    return untrained_nano() if file is None else load_model(file)


def untrained_nano() -> tuple[Detector, ModelCard]:
    """The nano network with random weights, the same on every machine, for trying the whole path without a model.

    A freshly initialised detector finds nothing and its gates do not care about the task. The last layers are
    widened, so that boxes, masks and kept tokens appear and change with the task; what they show means nothing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)
        detector = build_detector("nano", "tasktp", len(COCO))
        with torch.no_grad():
            _widen(detector)
    card = ModelCard(UNTRAINED, "nano", "tasktp", "coco", COCO, trained=False)
    return detector.eval(), card


def _widen(detector: Detector) -> None:
    box_head = detector.roi_head.bbox_head
    nn.init.normal_(box_head.fc_cls.weight, std=0.5)
    nn.init.normal_(box_head.fc_reg.weight, std=0.05)
    nn.init.normal_(detector.rpn_head.rpn_cls.weight, std=0.5)
    for gate in cast(Iterable[TaskGate], detector.backbone.selectors):
        nn.init.normal_(gate.mlp.fc1.weight, std=0.3)
        nn.init.normal_(gate.mlp.fc2.weight, std=0.5)
        nn.init.normal_(cast(nn.Linear, gate.score_shift[2]).weight, std=1.0)
