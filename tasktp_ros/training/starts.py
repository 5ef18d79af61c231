# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a training starts from: a finished dense model, another model of the same method, or timm's transformer."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import InputError, ModelError
from tasktp_ros.runtime.checkpoints import ModelCard, save_model
from tasktp_ros.runtime.models import open_model
from tasktp_ros.training.category_rows import carry_rows, category_rows, told_carried
from tasktp_ros.training.nanodet import NanoDet
from tasktp_ros.vision.csp_stem import CspStem
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.sizes import size_config
from tasktp_ros.vision.stem_backbone import StemBackbone

ENCODER_NAMES = (
    (r"attn\.qkv\.(weight|bias)$", r"self_attn.in_proj_\1"),
    (r"attn\.proj\.", "self_attn.out_proj."),
    (r"mlp\.fc([12])\.", r"linear\1."),
)


def start_from_model(detector: Detector, model: str | Path, vocabulary: Sequence[str] | None = None) -> str:
    """Load the weights of a model into a detector that may have gates the model lacks; those keep their fresh values.

    Args:
        vocabulary: what the detector's categories are; the model's weights are carried over by name. None = the model's.

    Returns:
        In words which categories were carried over, which are new and which left out; empty if the model has the same.

    Raises:
        ModelError: the model cannot be read, or does not fit for another reason than its gates and categories.
    """
    source, card = open_model(model)
    tensors = source.state_dict()
    changes = "" if vocabulary is None else told_carried(card.vocabulary, vocabulary)
    if vocabulary is not None and changes:
        tensors = carry_rows(tensors, category_rows(card.size, card.method, card.options), card.vocabulary, vocabulary)
    wanted = detector.state_dict()
    gates = tuple({*gate_names(detector), *gate_names(source)})
    if any(".TransformerEncoderLayer." in name for name in wanted):
        tensors = {encoder_name(name): tensor for name, tensor in tensors.items()}
    missing = [name for name in wanted if name not in tensors and not name.startswith(gates)]
    unfit = [n for n, tensor in tensors.items() if n not in wanted or wanted[n].shape != tensor.shape]
    unfit = [name for name in unfit if not name.startswith(gates)]
    if missing or unfit:
        way = "; its blocks attend within windows: recipes coco-adapter-... and coco-dinov2-... start from such models"
        raise ModelError(f"model {card.name} ({card.size} {card.method}, {len(card.vocabulary)} categories) does not fit "
                         f"the network to be trained: {(missing + unfit)[0]}{way if size_config(card.size).windows else ''}")  # fmt: skip
    fitting = {n: t for n, t in tensors.items() if n in wanted and t.shape == wanted[n].shape}
    detector.load_state_dict(fitting, strict=False)
    return changes


def dressed(model: str, method: str, options: Mapping[str, Any], path: Path, seed: int = 0) -> Path:
    """Write a dense model's weights as a model with another method; what the method brings along is fresh.

    Raises:
        ModelError: no such model, or it does not fit.
        InputError: no such method or option.
    """
    _, card = open_model(model)
    torch.manual_seed(seed)
    try:
        detector = build_detector(card.size, method, len(card.vocabulary), options)
    except ValueError as error:
        raise InputError(str(error)) from error
    start_from_model(detector, model, card.vocabulary)
    own = ModelCard(path.stem, card.size, method, card.vocabulary_name, card.vocabulary, True, card.input_size,
                    options=dict(options), source=card.source)  # fmt: skip
    save_model(path, detector, own)
    return path


def start_stem(detector: Detector, teacher: NanoDet) -> None:
    """Let the stem begin as the teacher's trunk.

    Raises:
        ModelError: the network has another stem.
    """
    stem = detector.backbone.stem if isinstance(detector.backbone, StemBackbone) else None
    if not isinstance(stem, CspStem):
        raise ModelError("a teacher's trunk can only be the start of a network with its stem, such as nano_csp; "
                         "give a start with --init")  # fmt: skip
    stem.trunk.load_state_dict(teacher.trunk.state_dict())


def gate_names(detector: Detector) -> list[str]:
    """How the names begin of what only a detector's method of token reduction has."""
    return [f"backbone.{name}" for name in detector.backbone.reducer.learned_names()]


def encoder_name(name: str) -> str:
    """A dense block's key as SViT publishes it (methods.md, card 2); other keys, also the gates', stay."""
    if not name.startswith("backbone.blocks.") or ".TransformerEncoderLayer." in name:
        return name
    head, inner = re.fullmatch(r"(backbone\.blocks\.\d+\.)(.*)", name).groups()  # type: ignore[union-attr]
    for pattern, replacement in ENCODER_NAMES:
        inner = re.sub(pattern, replacement, inner)
    return f"{head}TransformerEncoderLayer.{inner}"


def start_from_timm(detector: Detector, name: str) -> None:
    """Load timm's published transformer weights (DeiT) into the backbone's blocks and embeddings.

    Raises:
        ModelError: timm is not installed, the weights cannot be downloaded, or they do not fit.
    """
    try:
        import timm
    except ImportError as error:
        raise ModelError("starting from DeiT needs timm (pip install timm), or give a model with --init") from error
    try:
        published = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # hub, network and timm errors have no common base
        raise ModelError(f"timm could not load {name} ({type(error).__name__}); give a model with --init, or --init none "
                         "to start from scratch") from error  # fmt: skip
    load_transformer(detector, published)


def load_transformer(detector: Detector, published: dict[str, Tensor]) -> None:
    """Copy a timm ViT's blocks, patch and position embedding.

    Raises:
        ModelError: a block's weight is missing or has another shape.
    """
    wanted = detector.state_dict()
    found = {}
    for name in wanted:
        source = name.removeprefix("backbone.")
        if source.startswith(("blocks.", "patch_embed.", "pos_embed", "cls_token")):
            if source not in published or published[source].shape != wanted[name].shape:
                raise ModelError(f"the pretrained transformer does not fit: {source} is missing or has another shape")
            found[name] = published[source]
    detector.load_state_dict(found, strict=False)
