# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A model is one safetensors file: weights, and everything needed to use them in its metadata."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.files import replacing
from tasktp_ros.runtime.score_map import ScoreMap
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import InputSize
from tasktp_ros.vision.reach import check_reach
from tasktp_ros.vision.sizes import size_config

FORMAT = "tasktp_ros 1"


@dataclass(frozen=True)
class ModelCard:
    """What a weights file says about itself.

    Attributes:
        name: the model's name.
        size, method: arguments of `build_detector`.
        vocabulary_name, vocabulary: category names in the order of the class rows.
        trained: False for random weights.
        input_size: how images are resized; None = the size's own.
        reach: how far the task is followed unless asked otherwise (`vision.reach.REACHES`): what it was trained for.
        stop_below: per gate the presence (probability) below which a frame is left under reach "frame"; chosen on validation
            images. () = leave only where a gate keeps nothing.
        measured: scores as measured, with what they were measured on.
        source: where weights came from that were not trained here: file, sha256, licence, published scores and what was assumed.
        options: of the method, those that were chosen (docs/methods.md).
        score_map: how the network's box scores become probabilities of being right; None = they are given as they are.
    """

    name: str
    size: str
    method: str
    vocabulary_name: str
    vocabulary: tuple[str, ...]
    trained: bool
    input_size: tuple[int, int] | None = None
    reach: str = "blocks"
    stop_below: tuple[float, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    score_map: ScoreMap | None = None
    source: dict[str, Any] = field(default_factory=dict)

    def resize(self) -> InputSize:
        """The resize rule of this model."""
        return InputSize(*self.input_size) if self.input_size else size_config(self.size).input_size

    @property
    def label(self) -> str:
        """Name for people: says so when the weights are random."""
        return self.name if self.trained else f"{self.name} (untrained)"


def save_model(path: str | Path, detector: Detector, card: ModelCard, dtype: torch.dtype = torch.float16) -> None:
    """Write weights and card to one file, beside it first, so that an interrupted write leaves the old file.

    Args:
        dtype: stored float type; norms' running statistics and counters keep theirs.
    """
    path = Path(path)
    tensors = {name: _stored(name, tensor, dtype) for name, tensor in detector.state_dict().items()}
    with replacing(path) as beside:
        save_file(tensors, beside, metadata={"format": FORMAT, "card": json.dumps(asdict(card))})
        beside.chmod(0o644)  # safetensors makes files that only their owner may read


def load_model(path: str | Path) -> tuple[Detector, ModelCard]:
    """Read a model file into a float32 network on the CPU, in evaluation mode.

    Raises:
        ModelError: missing, unreadable, truncated or foreign file; weights that do not fit the network or the
            vocabulary; weights that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"model file {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            card = _read_card(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"model file {path} is not a whole safetensors file: {error}") from error
    return _assemble(path, card, tensors), card


def read_card(path: str | Path) -> ModelCard:
    """What a model file says about itself, without its weights; ModelError as :func:`load_model`."""
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            return _read_card(path, file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ModelError(f"model file {path} is not a whole safetensors file: {error}") from error


def _read_card(path: Path, metadata: dict[str, str]) -> ModelCard:
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise ModelError(
            f"model file {path} was not written by tasktp_ros: expected format {FORMAT!r}, found {found!r}"
        )
    try:
        fields = json.loads(metadata["card"])
        fields["vocabulary"] = _checked_vocabulary(fields["vocabulary"])
        if fields.get("input_size"):
            fields["input_size"] = tuple(int(side) for side in fields["input_size"])
        fields["stop_below"] = tuple(float(share) for share in fields.get("stop_below", ()))
        if fields.get("score_map") is not None:
            fields["score_map"] = ScoreMap(**fields["score_map"])
        check_reach(fields.get("reach", "blocks"))
        if not isinstance(fields.get("options", {}), dict):
            raise ValueError("the method's options must be given by name")
        return ModelCard(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"model file {path} has an unreadable card: {error}") from error


def _checked_vocabulary(names: Sequence[Any]) -> tuple[str, ...]:
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("the vocabulary must be a list of names")
    if len(set(names)) != len(names):
        raise ValueError("the vocabulary names a category twice")
    return tuple(names)


def _assemble(path: Path, card: ModelCard, tensors: dict[str, Tensor]) -> Detector:
    try:
        detector = build_detector(card.size, card.method, len(card.vocabulary), card.options)
    except ValueError as error:
        raise ModelError(f"model file {path} cannot be built: {error}") from error
    class_rows = tensors.get("roi_head.bbox_head.fc_cls.bias")
    if class_rows is not None and len(class_rows) != len(card.vocabulary) + 1:
        raise ModelError(
            f"model file {path} has a wrong vocabulary: {len(card.vocabulary)} names for {len(class_rows) - 1} classes"
        )
    expected = detector.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise ModelError(f"model file {path} lacks {name}; it does not fit a {card.size} {card.method} network")
        if tensors[name].shape != tensor.shape:
            found, wanted = list(tensors[name].shape), list(tensor.shape)
            raise ModelError(f"model file {path}: {name} has shape {found}, the network needs {wanted}")
        if tensor.is_floating_point() and not tensors[name].float().isfinite().all():
            raise ModelError(f"model file {path}: {name} holds values that are not finite")
    surplus = sorted(set(tensors).difference(expected))
    if surplus:
        raise ModelError(f"model file {path} has weights the network does not know, such as {surplus[0]}")
    detector.load_state_dict(tensors)
    return detector.eval()


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    keeps_type = not tensor.is_floating_point() or name.endswith(("running_mean", "running_var"))
    return tensor.detach().cpu().contiguous() if keeps_type else tensor.detach().cpu().to(dtype).contiguous()
