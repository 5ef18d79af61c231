# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Recorded values of nano and of a small ViT-Adapter network, so that a machine without the published numbers notices a change.

`python test/vision/record_nano.py` writes them anew: only after the published numbers were met.
"""

from pathlib import Path

import numpy as np
import torch
from golden import fill, image

from tasktp_ros.detectors import build_detector
from tasktp_ros.reduction import build_reducer
from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.heads import RoIConfig
from tasktp_ros.vision.proposals import ProposalConfig
from tasktp_ros.vision.pyramid import FeaturePyramid

FILE = Path(__file__).with_name("nano_recorded.npz")
NETWORKS = tuple(f"{size} {method}" for size in ("nano", "adapter") for method in ("dense", "tasktp", "svit"))
CLASSES = 20


def build(size: str, method: str) -> Detector:
    """Nano, or the published network with few channels."""
    if size == "nano":
        return build_detector(size, method, CLASSES)
    backbone = Backbone(64, 4, 4, 16, build_reducer(method, 64, CLASSES))
    regions = RoIConfig(box_hidden=64, mask_channels=32, mask_convs=2)
    return Detector(backbone, FeaturePyramid(64, 48), CLASSES, ProposalConfig(100, 64), regions)


def values(network: str) -> dict[str, np.ndarray]:
    """What a filled network computes for one image and a task of five categories."""
    size, method = network.split()
    detector = build(size, method)
    fill(detector)
    fill(detector.backbone)
    relevant = torch.arange(CLASSES) % 4 == 1
    state = detector.backbone.reducer.begin(None if method == "svit" else relevant)
    seen: dict[str, torch.Tensor] = {}
    detector.eval().neck.register_forward_hook(
        lambda *args: seen.update({f"pyramid{i}": m for i, m in enumerate(args[2])})
    )
    found = detector(image((1, 3, 96, 128)), [(90, 120)], state, score_threshold=0.02, max_detections=8)[0]
    seen |= {"boxes": found.boxes, "scores": found.scores, "labels": found.labels, "masks": found.masks}
    if state.keep:
        seen["keep"] = torch.stack(state.keep)
    return {
        key: (value[:, ::8, ::2, ::2] if key.startswith("pyramid") else value).numpy() for key, value in seen.items()
    }


if __name__ == "__main__":
    with torch.no_grad():
        arrays = {f"{network}/{key}": value for network in NETWORKS for key, value in values(network).items()}
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE.name}: {len(arrays)} arrays, {FILE.stat().st_size / 1024:.0f} KB")
