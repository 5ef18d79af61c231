# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A trained network made ready for one device and float type; the numbers it computes stay the same up to rounding."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.heads import BoxHead, FlattenChannelsLast
from tasktp_ros.vision.pyramid import ConvModule, FeaturePyramid
from tasktp_ros.vision.stem_backbone import ConvNorm, StemBackbone
from tasktp_ros.vision.vit import Positions


@torch.no_grad()
def prepare_for_inference(network: Detector, device: torch.device, dtype: torch.dtype) -> Detector:
    """Freeze a network, fold its batch norms into the convolutions beside them, and move it.

    Changes the network in place and returns it; it can neither be trained nor saved under its published names
    afterwards.
    """
    network = network.eval().requires_grad_(False)
    _read_regions_as_they_lie(network.roi_head.bbox_head)
    if isinstance(network.backbone, StemBackbone):
        for part in network.backbone.stem.modules():
            if isinstance(part, ConvNorm):
                part.conv, part.norm = fuse_conv_bn_eval(part.conv, cast(nn.BatchNorm2d, part.norm)), nn.Identity()
        return _moved(network, device, dtype)
    prior = network.backbone.spm
    for sequence in (prior.stem, prior.conv2, prior.conv3, prior.conv4):
        for index in range(len(sequence) - 1):
            conv, norm = sequence[index], sequence[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[index], sequence[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    for level, lateral in enumerate(cast(FeaturePyramid, network.neck).lateral_convs, start=1):
        _fold_norm_before(getattr(network.backbone, f"norm{level}"), cast(ConvModule, lateral).conv)
        setattr(network.backbone, f"norm{level}", nn.Identity())
    return _moved(network, device, dtype)


def _moved(network: Detector, device: torch.device, dtype: torch.dtype) -> Detector:
    network = network.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
    network.backbone.positions = Positions(network.backbone)  # type: ignore[method-assign]
    return network


def _read_regions_as_they_lie(head: BoxHead) -> None:
    """Order the first layer's inputs as RoIAlign leaves them in memory, so that a thousand regions need no copy."""
    first, config = cast(nn.Linear, head.shared_fcs[0]), head.config
    by_pixel = first.weight.unflatten(1, (-1, config.box_size, config.box_size)).permute(0, 2, 3, 1)
    first.weight = nn.Parameter(by_pixel.flatten(1), requires_grad=False)
    head.flatten = FlattenChannelsLast()


def _fold_norm_before(norm: nn.BatchNorm2d, conv: nn.Conv2d) -> None:
    """Let a 1x1 convolution do the work of the batch norm in front of it."""
    mean, variance, bias = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var), cast(Tensor, conv.bias)
    scale = norm.weight / (variance + norm.eps).sqrt()
    bias.add_(conv.weight.flatten(1) @ (norm.bias - mean * scale))
    conv.weight.mul_(scale[None, :, None, None])
