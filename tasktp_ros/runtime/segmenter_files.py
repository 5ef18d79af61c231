# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A segmenter is one safetensors file, too: weights, table of guidance, and everything needed to use them."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tasktp_ros.errors import InputError, ModelError
from tasktp_ros.files import readable, replacing
from tasktp_ros.segmenters import OWN_PRUNER, GoalSegmenter, stages_of

FORMAT = "tasktp_ros segmenter 1"


@dataclass(frozen=True)
class SegmenterCard:
    """What a segmenter's file says about itself.

    Attributes:
        name: the model's name.
        size: of `build_segmenter`.
        vocabulary: category names in the order of the table's rows.
        stages: pairs (blocks before it, rate) at which it prunes unless asked otherwise.
        measured: scores as measured, with what they were measured on.
        pruner: of `GoalSegmenter`.
    """

    name: str
    size: str
    vocabulary: tuple[str, ...]
    stages: tuple[tuple[int, float], ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    pruner: str = OWN_PRUNER


def save_segmenter(
    path: str | Path, segmenter: GoalSegmenter, card: SegmenterCard, dtype: torch.dtype = torch.float16
) -> None:
    """Write weights and card beside the file first, so that an interrupted write leaves the old one."""
    tensors = {name: t.detach().cpu().to(dtype).contiguous() for name, t in segmenter.state_dict().items()}
    with replacing(Path(path)) as beside:
        save_file(tensors, beside, metadata={"format": FORMAT, "card": json.dumps(asdict(card))})
        beside.chmod(0o644)


def load_segmenter(path: str | Path) -> tuple[GoalSegmenter, SegmenterCard]:
    """A float32 network on the CPU, in evaluation mode.

    Raises:
        ModelError: missing, unreadable, truncated or foreign file, or weights that do not fit or are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"model file {readable(path)} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            card = _read_card(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"model file {readable(path)} is not a whole safetensors file: {error}") from error
    try:
        segmenter = GoalSegmenter(card.size, len(card.vocabulary), card.pruner)
        segmenter.check_stages(stages_of(card.stages))
    except InputError as error:
        raise ModelError(f"model file {readable(path)} cannot be built: {error}") from error
    if broken := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ModelError(f"model file {readable(path)}: {broken[0]} holds values that are not finite")
    wanted = {name: tensor.shape for name, tensor in segmenter.state_dict().items()}
    unfit = [n for n in wanted.keys() | tensors.keys() if n not in tensors or tensors[n].shape != wanted.get(n)]
    if unfit:
        raise ModelError(f"model file {readable(path)} does not fit a {card.size} segmenter: {sorted(unfit)[0]}")
    segmenter.load_state_dict(tensors)
    return segmenter.eval(), card


def _read_card(path: Path, metadata: dict[str, str]) -> SegmenterCard:
    if metadata.get("format") != FORMAT:
        raise ModelError(f"model file {readable(path)} is not a segmenter's: expected format {FORMAT!r}, found "
                         f"{metadata.get('format', 'none')!r}")  # fmt: skip
    try:
        fields = json.loads(metadata["card"])
        fields["vocabulary"] = tuple(fields["vocabulary"])
        fields["stages"] = tuple((int(after), float(rate)) for after, rate in fields.get("stages", ()))
        if not fields["vocabulary"] or len(set(fields["vocabulary"])) != len(fields["vocabulary"]):
            raise ValueError("the vocabulary must be a list of different names")
        return SegmenterCard(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"model file {readable(path)} has an unreadable card: {error}") from error
