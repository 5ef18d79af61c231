# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Every published size, and ours, as one short factory each: all numbers of a network are visible here."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tasktp_ros.vision.heads import RoIConfig
from tasktp_ros.vision.image import InputSize
from tasktp_ros.vision.proposals import ProposalConfig


@dataclass(frozen=True)
class DetectorConfig:
    """A network's widths; what is not here is the same for all sizes: patches of 16 px. Where there is no adapter, convolutions
    stand for the first three blocks.

    Attributes:
        dim, heads: token channels and attention heads.
        deformable_heads: heads of the adapter's deformable attention; 0 = no adapter, tokens come from a convolutional stem.
        deformable_ratio: width of that attention's values, as a share of `dim`.
        depth: blocks; an interaction of the adapter comes after each quarter of them.
        layer_scale: blocks multiply their branches channel by channel before they add them.
        windows: all blocks but the last before each interaction attend within windows (`vision.windows`), so no token can be pruned.
        pretrained_grid: tokens of a side of the position embedding.
        stem_width: channels of the spatial prior's or the token stem's first convolution.
        csp_stem: where there is no adapter, tokens come from a small detector's trunk (`vision.csp_stem`).
        presence: gates also learn whether anything of the task is on the image.
        pyramid_channels: channels of the feature pyramid and the heads' regions.
        input_size: how images are resized.
    """

    dim: int
    heads: int
    deformable_heads: int = 6
    deformable_ratio: float = 1.0
    depth: int = 12
    layer_scale: bool = False
    windows: bool = False
    pretrained_grid: int = 14
    stem_width: int = 64
    csp_stem: bool = False
    presence: bool = False
    pyramid_channels: int = 256
    proposals: ProposalConfig = field(default_factory=ProposalConfig)
    regions: RoIConfig = field(default_factory=RoIConfig)
    input_size: InputSize = field(default_factory=lambda: InputSize(short=800, long=1333))


def nano() -> DetectorConfig:
    """For one CPU core: most of what it computes lies behind a gate (docs/performance.md has what it was chosen from)."""
    return DetectorConfig(
        dim=160,
        heads=5,
        deformable_heads=0,
        stem_width=16,
        presence=True,
        pyramid_channels=96,
        proposals=ProposalConfig(per_level=100, total=64, finest=8, anchor_scale=3.0),
        regions=RoIConfig(
            box_hidden=256, mask_channels=64, mask_convs=2, mask_per_class=False, samples=2, finest_scale=28.0
        ),
        input_size=InputSize(short=240, long=320),
    )


def nano_csp() -> DetectorConfig:
    """Nano with a stem that others trained on many photos, in fewer operations."""
    return replace(nano(), csp_stem=True)


def deit_tiny() -> DetectorConfig:
    """DeiT-T with ViT-Adapter: 28.06 M parameters."""
    return DetectorConfig(dim=192, heads=3)


def deit_small() -> DetectorConfig:
    """DeiT-S with ViT-Adapter: 47.79 M parameters."""
    return DetectorConfig(dim=384, heads=6)


def deit_base() -> DetectorConfig:
    """DeiT-B with ViT-Adapter as in TaskTP's code (6 deformable heads, full value width)."""
    return DetectorConfig(dim=768, heads=12)


def vit_adapter_tiny() -> DetectorConfig:
    """ViT-Adapter-T as released (v0.1.2): windows and layer scale."""
    return replace(deit_tiny(), layer_scale=True, windows=True)


def vit_adapter_small() -> DetectorConfig:
    """ViT-Adapter-S as released (v0.1.2)."""
    return replace(deit_small(), layer_scale=True, windows=True)


def vit_adapter_base() -> DetectorConfig:
    """ViT-Adapter-B as released (v0.1.6): 120 M parameters."""
    return DetectorConfig(dim=768, heads=12, deformable_heads=12, deformable_ratio=0.5, layer_scale=True, windows=True)


def vit_adapter_dinov2_small() -> DetectorConfig:
    """ViT-Adapter-S as released with DINOv2's weights: a larger position embedding."""
    return replace(vit_adapter_small(), pretrained_grid=37)


def vit_adapter_dinov2_base() -> DetectorConfig:
    """ViT-Adapter-B with DINOv2's weights."""
    return replace(vit_adapter_base(), pretrained_grid=37)


def vit_adapter_dinov2_large() -> DetectorConfig:
    """ViT-Adapter-L with DINOv2's weights: 348 M parameters."""
    return DetectorConfig(
        dim=1024,
        heads=16,
        deformable_heads=16,
        deformable_ratio=0.5,
        depth=24,
        layer_scale=True,
        windows=True,
        pretrained_grid=37,
    )


SIZES: dict[str, Callable[[], DetectorConfig]] = {
    size.__name__: size
    for size in (
        nano,
        nano_csp,
        deit_tiny,
        deit_small,
        deit_base,
        vit_adapter_tiny,
        vit_adapter_small,
        vit_adapter_base,
        vit_adapter_dinov2_small,
        vit_adapter_dinov2_base,
        vit_adapter_dinov2_large,
    )
}

GLOBAL = "_global"
"""After the name of a size with windows: the same weights with global attention in every block."""


VARIED: dict[str, type[int] | type[float]] = {
    "depth": int,
    "pretrained_grid": int,
    "deformable_heads": int,
    "deformable_ratio": float,
}
"""What a network of a size may have otherwise, as in `vit_adapter_tiny[pretrained_grid=37]`: other people's weights do."""


def size_config(size: str) -> DetectorConfig:
    """Configuration of a size by name; after it there may be what is otherwise (`VARIED`), and `GLOBAL` after one with windows.

    Raises:
        ValueError: unknown name.
    """
    if size.endswith(GLOBAL) and (config := size_config(size.removesuffix(GLOBAL))).windows:
        return replace(config, windows=False)
    found = re.fullmatch(r"(\w+)(?:\[(.*)\])?", size)
    if found is None or found[1] not in SIZES:
        raise ValueError(f"unknown size {size!r}; expected one of {', '.join(SIZES)}")
    config = SIZES[found[1]]()
    pairs = [pair.partition("=") for pair in found[2].split(",")] if found[2] else []
    try:
        changes: dict[str, Any] = {name: VARIED[name](value) for name, _, value in pairs}
    except (KeyError, ValueError) as error:
        raise ValueError(f"unknown size {size!r}; what may be otherwise is {', '.join(VARIED)}") from error
    return replace(config, **changes)


def varied_size(size: str, wanted: DetectorConfig) -> str:
    """The name of `size` with all of `VARIED` as wanted."""
    own = size_config(size)
    changes = [f"{name}={getattr(wanted, name):g}" for name in VARIED if getattr(wanted, name) != getattr(own, name)]
    return f"{size}[{','.join(changes)}]" if changes else size


def __getattr__(name: str) -> Any:
    """Forward `build_detector` to its place, from the name it was published under; an import would point upwards."""
    if name == "build_detector":
        from tasktp_ros.detectors import build_detector

        return build_detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
