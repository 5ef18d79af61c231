# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Where a size of network and a method of token reduction meet: neither knows of the other."""

from collections.abc import Mapping
from typing import Any

from tasktp_ros.reduction import Reducer, build_reducer
from tasktp_ros.vision.adapter import INTERACTIONS
from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.csp_stem import CspStem
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.pyramid import FeaturePyramid
from tasktp_ros.vision.sizes import GLOBAL, DetectorConfig, size_config
from tasktp_ros.vision.stem_backbone import ConvStem, StemBackbone
from tasktp_ros.vision.stem_pyramid import StemPyramid
from tasktp_ros.vision.vit import Block
from tasktp_ros.vision.windows import WindowedDense

PUBLISHED_DEPTH = 12
"""Blocks of every network that gates were published for."""


def build_detector(size: str, reducer: str, num_classes: int, options: Mapping[str, Any] | None = None) -> Detector:
    """A fresh network in training mode, on the CPU, float32.

    Args:
        size: a name in `vision.sizes.SIZES`, such as "nano", "deit_tiny" or "vit_adapter_tiny".
        reducer: name of a token reduction method in `tasktp_ros.reduction.REDUCERS`, such as "tasktp".
        num_classes: categories without background.
        options: of the method, by name, see its constructor (docs/methods.md); None = its defaults.

    Raises:
        ValueError: unknown size, reducer or option, no category, or a method that this size cannot have.
    """
    config = size_config(size)
    if num_classes < 1:
        raise ValueError(f"a detector needs at least one category, got {num_classes}")
    method = _method(size, config, reducer, num_classes, options)
    channels = config.pyramid_channels
    backbone: Backbone | StemBackbone
    neck: FeaturePyramid | StemPyramid
    if config.deformable_heads:
        backbone = Backbone(
            config.dim,
            config.heads,
            config.deformable_heads,
            config.stem_width,
            method,
            depth=config.depth,
            deformable_ratio=config.deformable_ratio,
            layer_scale=config.layer_scale,
            pretrained_grid=config.pretrained_grid,
        )
        neck = FeaturePyramid(config.dim, channels)
    else:
        stem = CspStem(config.dim) if config.csp_stem else ConvStem(config.dim, config.stem_width)
        backbone = StemBackbone(config.dim, config.heads, stem, channels, method)
        neck = StemPyramid(channels)
    return Detector(backbone, neck, num_classes, config.proposals, config.regions)


def _method(
    size: str, config: DetectorConfig, reducer: str, num_classes: int, options: Mapping[str, Any] | None
) -> Reducer:
    """The method, where this size can have it; ValueError says why not."""
    method = build_reducer(reducer, config.dim, num_classes, config.presence, options)
    if config.windows:
        if reducer != "dense":
            raise ValueError(
                f"{reducer} cannot prune tokens of {size}, whose blocks attend within windows; {size}{GLOBAL} is the same "
                "weights with global attention, an approximation that needs a fine-tuning"
            )
        return WindowedDense(config.depth // INTERACTIONS)
    if config.layer_scale and method.block_type is not Block:
        raise ValueError(f"{reducer} has blocks of its own, without the layer scale of {size}; tasktp can have it")
    if config.depth != PUBLISHED_DEPTH and reducer != "dense":
        raise ValueError(f"{reducer} was published for {PUBLISHED_DEPTH} blocks, and {size} has {config.depth}")
    return method
