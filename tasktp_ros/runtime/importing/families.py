# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which network a foreign state dict belongs to, seen from its names and shapes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from tasktp_ros.errors import ModelError
from tasktp_ros.vision.adapter import INTERACTIONS
from tasktp_ros.vision.sizes import GLOBAL, SIZES, size_config, varied_size

POINTS_AND_LEVELS = 12
"""An injector's deformable attention reads four points of three levels per head."""
UNUSED = re.compile(r"(backbone\.)?(cls_token|norm\.(weight|bias)|head(_dist)?\..*|fc_norm\..*)$")
"""Of a classifier's transformer; a detector has no use for it."""


@dataclass(frozen=True)
class Family:
    """What a file turns out to be.

    Attributes:
        size, method: arguments of `build_detector`.
        classes: rows of the classifier without background; 0 for a plain transformer.
        told: what it is, for people.
    """

    size: str
    method: str
    classes: int
    told: str


def stripped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the `module.` that training on several GPUs puts before every name."""
    prefix = "module."
    while tensors and all(name.startswith(prefix) for name in tensors):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return dict(tensors)


def recognise(tensors: Mapping[str, Tensor]) -> Family:
    """The network that these weights are of.

    Raises:
        ModelError: none that is known here; the sentence says what was found.
    """
    if "patch_embed.proj.weight" in tensors and not any(name.startswith("backbone.") for name in tensors):
        size = _size_of_transformer(tensors)
        return Family(size, "dense", 0, f"a plain transformer, the start of a training of {size}")
    if "backbone.patch_embed.proj.weight" not in tensors:
        others = ", ".join(sorted({name.split(".")[0] for name in tensors})[:6])
        raise ModelError(
            f"these are no weights of a ViT-Adapter detector or a plain transformer; found names of {others}"
        )
    if not any(name.startswith("backbone.interactions.") for name in tensors):
        raise ModelError(
            "these weights have no adapter: expected a ViT-Adapter detector, found a transformer without interactions"
        )
    if "roi_head.bbox_head.fc_cls.bias" not in tensors:
        kinds = ", ".join(sorted({name.split(".")[0] for name in tensors}))
        raise ModelError(f"these weights have no Mask R-CNN head (roi_head.bbox_head.fc_cls); found {kinds}")
    method = _method(tensors)
    size = _size_of_detector(tensors, method)
    windows = ", windows of 14, layer scale" if size_config(size).windows else ", global attention"
    classes = len(tensors["roi_head.bbox_head.fc_cls.bias"]) - 1
    return Family(size, method, classes, f"a {method} detector of size {size}{windows}, {classes} categories")


def without_windows(family: Family) -> Family:
    """The same weights run with global attention, which is an approximation of what they were trained for.

    Raises:
        ModelError: they have no windows.
    """
    if not size_config(family.size).windows:
        raise ModelError(f"{family.size} has no windows to leave out: its attention is global already")
    size = family.size + GLOBAL
    return Family(size, family.method, family.classes, f"{family.told}, run as {size}: an approximation")


def _method(tensors: Mapping[str, Tensor]) -> str:
    gates = {"backbone.selective_modules.": "svit", "backbone.selectors.": "tasktp"}
    return next((method for prefix, method in gates.items() if any(n.startswith(prefix) for n in tensors)), "dense")


def _size_of_detector(tensors: Mapping[str, Tensor], method: str) -> str:
    """The published size of these shapes, or the one of this width with what is otherwise."""
    injector = "backbone.interactions.0.injector.attn."
    dim = tensors["backbone.patch_embed.proj.weight"].shape[0]
    scaled = "backbone.blocks.0.gamma1" in tensors
    depth, grid = _depth(tensors, "backbone.blocks."), _grid(tensors.get("backbone.pos_embed"))
    heads = len(tensors.get(f"{injector}attention_weights.bias", ())) // POINTS_AND_LEVELS
    width = len(tensors.get(f"{injector}value_proj.bias", ()))
    as_wide = [s for s in SIZES if (c := size_config(s)).deformable_heads and (c.dim, c.layer_scale) == (dim, scaled)]
    encoder = any(".TransformerEncoderLayer." in name for name in tensors)
    if not as_wide or depth % INTERACTIONS or not (depth and grid and heads and width) or encoder != (method == "svit"):
        raise ModelError(
            f"no network of this size is known: {dim} channels, {depth} blocks{', layer scale' if scaled else ''}, a position "
            f"grid of {grid} x {grid}, {heads} deformable heads and values of {width}; known are {', '.join(SIZES)}"
        )
    seen: dict[str, Any] = {
        "depth": depth,
        "pretrained_grid": grid,
        "deformable_heads": heads,
        "deformable_ratio": width / dim,
    }
    names = [varied_size(size, replace(size_config(size), **seen)) for size in as_wide]
    return min(names, key=lambda name: ("[" in name, len(name)))  # the fewest changes


def _size_of_transformer(tensors: Mapping[str, Tensor]) -> str:
    shape = tuple(tensors["patch_embed.proj.weight"].shape)
    if shape[2:] != (16, 16):
        raise ModelError(
            f"this transformer has patches of {shape[2]} px; expected 16, as a detector of this package has"
        )
    if any(name.endswith((".ls1.gamma", ".gamma1", ".gamma_1")) for name in tensors):
        raise ModelError("this transformer has layer scale, which the sizes that a training starts from have not")
    depth, grid = _depth(tensors, "blocks."), _grid(tensors.get("pos_embed"))
    fitting = (size for size in SIZES if size.startswith("deit_"))
    for size in fitting:
        config = size_config(size)
        if (config.dim, config.depth, config.pretrained_grid) == (shape[0], depth, grid):
            return size
    raise ModelError(
        f"no detector starts from a transformer of {shape[0]} channels, {depth} blocks and a position grid of {grid} x {grid}"
    )


def _depth(tensors: Iterable[str], prefix: str) -> int:
    numbers = {name.removeprefix(prefix).split(".")[0] for name in tensors if name.startswith(prefix)}
    return len({number for number in numbers if number.isdigit()})


def _grid(embedding: Tensor | None) -> int:
    """Tokens of a side; 0 where they are not a square and one more."""
    entries = 0 if embedding is None or embedding.ndim != 3 else embedding.shape[1] - 1
    side = round(max(0, entries) ** 0.5)
    return side if side * side == entries else 0
