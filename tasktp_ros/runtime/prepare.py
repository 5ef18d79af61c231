"""A trained network made ready for one device and float type; the numbers it computes stay the same up to rounding."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasktp_ros.vision.detector import Detector


@torch.no_grad()
def prepare_for_inference(network: Detector, device: torch.device, dtype: torch.dtype) -> Detector:
    """Freeze a network, fold its batch norms into the convolutions beside them, and move it.

    Changes the network in place and returns it; it can neither be trained nor saved under its published names
    afterwards.
    """
    network = network.eval().requires_grad_(False)
    prior = network.backbone.spm
    for sequence in (prior.stem, prior.conv2, prior.conv3, prior.conv4):
        for index in range(len(sequence) - 1):
            if isinstance(sequence[index + 1], nn.BatchNorm2d):
                sequence[index] = fuse_conv_bn_eval(sequence[index], sequence[index + 1])
                sequence[index + 1] = nn.Identity()
    for level, lateral in enumerate(network.neck.lateral_convs, start=1):
        _fold_norm_before(getattr(network.backbone, f"norm{level}"), lateral.conv)
        setattr(network.backbone, f"norm{level}", nn.Identity())
    return network.to(device=device, dtype=dtype, memory_format=torch.channels_last)


def _fold_norm_before(norm: nn.BatchNorm2d, conv: nn.Conv2d) -> None:
    """Let a 1x1 convolution do the work of the batch norm in front of it."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * scale
    weight = conv.weight.flatten(1)
    conv.bias.copy_(conv.bias + weight @ shift)
    conv.weight.copy_(conv.weight * scale[None, :, None, None])
