"""A trained network made ready for one device and float type; the numbers it computes stay the same up to rounding."""

import torch

from tasktp_ros.vision.detector import Detector


def prepare_for_inference(network: Detector, device: torch.device, dtype: torch.dtype) -> Detector:
    """Freeze a network and move it; changes it in place and returns it."""
    network = network.eval().requires_grad_(False)
    return network.to(device=device, dtype=dtype, memory_format=torch.channels_last)
