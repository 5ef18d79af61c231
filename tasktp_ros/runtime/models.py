"""Names of models: where shipped weights are found, and the untrained stand-in."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import torch
from torch import nn

from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.reduction.tasktp import TaskGate
from tasktp_ros.runtime.checkpoints import ModelCard, load_model
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.vision.detector import Detector

UNTRAINED = "nano-untrained"


def open_model(model: str | Path) -> tuple[Detector, ModelCard]:
    """A network in evaluation mode and its card, by shipped name or by the path of a .safetensors file.

    Raises:
        ModelError: no such name or file, or a file that cannot be used.
    """
    if str(model) == UNTRAINED:
        return untrained_nano()
    path = Path(model)
    if path.suffix != ".safetensors" and (path.parent != Path() or path.suffix):
        raise ModelError(f"model {str(model)!r} is neither a shipped name nor a .safetensors file")
    file = model_file(model)
    if file is None:
        raise ModelError(f"unknown model {str(model)!r}; shipped models are {', '.join(shipped_models())}")
    return load_model(file)


def model_file(model: str | Path) -> Path | None:
    """The file of a model, by shipped name or path; None where there is none of that name."""
    if Path(model).suffix == ".safetensors":
        return Path(model)
    places = (folder / f"{model}.safetensors" for folder in weight_folders())
    return next((file for file in places if file.is_file()), None)


def shipped_models() -> list[str]:
    """Names that :func:`open_model` knows on this machine."""
    found = {path.stem for folder in weight_folders() for path in folder.glob("*.safetensors")}
    return [UNTRAINED, *sorted(found)]


def weight_folders() -> list[Path]:
    """Folders searched for shipped weights: of a checkout, of the Python environment, of every sourced ROS workspace."""
    package = Path(__file__).resolve().parents[1]
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    installed = [Path(prefix) / "share" / "tasktp_ros" / "weights" for prefix in prefixes]
    return [package.parent / "weights", Path(sys.prefix) / "share" / "tasktp_ros" / "weights", *installed]


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
