# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Backbone and pyramid as an ONNX program in fixed shapes, compared with ours before it is called done.

Proposals, non-maximum suppression and masks stay outside: other runtimes are slow or wrong at them. Attention and deformable attention are
written in their textbook forms, layer norms as one operator each (from operator set 17 on), which half precision elsewhere depends on.
"""

import copy
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tasktp_ros.errors import ModelError
from tasktp_ros.files import replacing
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.prepare import prepare_for_inference
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import PATCH, PIXEL_MEAN, PIXEL_STD, ImageFrame
from tasktp_ros.vision.pyramid import FeaturePyramid

OPERATORS = 17
"""The first operator set that has LayerNormalization; it has GridSample, too."""
LEVELS = ("stride4", "stride8", "stride16", "stride32", "stride64")
CLOSE = 1e-3
"""Largest difference from ours, in standard deviations of a level."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        inputs, outputs: names with shapes.
        largest_difference: from our network, in standard deviations of the level, over the tasks that were tried.
        kept: shares of tokens that the gates kept in these.
    """

    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    largest_difference: float
    kept: list[float]


class Features(nn.Module):
    """Image and task set to five levels, and which tokens each gated block ran.

    Args:
        capacity: token rows that gated blocks run on.
    """

    def __init__(self, network: Detector, capacity: int) -> None:
        super().__init__()
        self.network = network
        self.capacity = capacity if network.backbone.reducer.gated_blocks() else None

    def forward(self, image: Tensor, relevant: Tensor) -> tuple[Tensor, ...]:
        """(1, 3, H, W) float32, normalised, and (num_classes,) bool -> five (1, C, h, w), and (gated blocks, N) bool."""
        state = self.network.backbone.reducer.begin(relevant)
        state.capacity = self.capacity
        levels = cast(FeaturePyramid, self.network.neck).on_maps(
            cast(Sequence[Tensor], self.network.backbone.run(image, state))
        )
        return (*levels, torch.cat(state.keep)) if state.keep else tuple(levels)


def export_onnx(network: Detector, card: ModelCard, path: Path, frame: ImageFrame, share: float = 1.0) -> Exported:
    """Write backbone and pyramid for images of one size, and compare them in ONNX Runtime with ours.

    Args:
        frame: the image's way into the network.
        share: of the tokens, that gated blocks have rows for; where more are kept the program's levels are wrong, which its
            output `kept` tells.

    Raises:
        ModelError: another kind of backbone, or the program does not compute the same: nothing is written then.
    """
    if not isinstance(network.neck, FeaturePyramid):
        raise ModelError(
            f"{card.name} is of size {card.size}, whose network has no ViT-Adapter: only those are exported"
        )
    network = prepare_for_inference(copy.deepcopy(network), torch.device("cpu"), torch.float32)
    tokens = frame.padded[0] * frame.padded[1] // PATCH**2
    features = Features(network, max(1, min(tokens, round(share * tokens)))).eval()
    random = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, *frame.padded, generator=random)
    tasks = [torch.ones(len(card.vocabulary), dtype=torch.bool)]
    if features.capacity is not None:
        tasks.append(torch.arange(len(card.vocabulary)) == 0)
    with replacing(path) as beside, torch.no_grad():
        ours = [features(image, task) for task in tasks]
        names = [*LEVELS, *(["kept"] if len(ours[0]) > len(LEVELS) else [])]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constants that depend on the image's size, which is what is wanted
            torch.onnx.export(features, (image, tasks[0]), str(beside), opset_version=OPERATORS, dynamo=False,
                              input_names=["image", "relevant"], output_names=names)  # fmt: skip
        _describe(beside, card, frame, features.capacity)
        asked, difference = _compare(beside, image, tasks, ours)
    kept = [round(float(outputs[-1].float().mean()), 3) for outputs in ours if len(outputs) > len(LEVELS)]
    shapes = {name: list(output.shape) for name, output in zip(names, ours[0], strict=True)}
    inputs = {"image": list(image.shape), "relevant": [len(card.vocabulary)]}
    return Exported({name: inputs[name] for name in asked}, shapes, difference, kept)


def _describe(path: Path, card: ModelCard, frame: ImageFrame, capacity: int | None) -> None:
    """Put the card, and how images are prepared, into the program's metadata."""
    import onnx

    program = onnx.load(path)
    told: dict[str, Any] = {
        "card": asdict(card),
        "source": list(frame.source),
        "content": list(frame.content),
        "padded": list(frame.padded),
        "mean": PIXEL_MEAN,
        "std": PIXEL_STD,
        "colours": "RGB",
        "capacity": capacity,
    }
    onnx.helper.set_model_props(program, {"tasktp_ros": json.dumps(told)})
    onnx.checker.check_model(program)
    onnx.save(program, path)


def _compare(
    path: Path, image: Tensor, tasks: Sequence[Tensor], ours: Sequence[tuple[Tensor, ...]]
) -> tuple[list[str], float]:
    """The program's inputs, and the largest difference, in standard deviations of a level.

    Raises:
        ModelError: it is too large, or other tokens are kept.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = [entry.name for entry in session.get_inputs()]
    largest = 0.0
    for task, expected in zip(tasks, ours, strict=True):
        given = {"image": image.numpy(), "relevant": task.numpy()}
        found = session.run(None, {name: value for name, value in given.items() if name in inputs})
        for level, output in zip(expected[: len(LEVELS)], found, strict=False):
            off = (torch.from_numpy(output) - level).abs().max() / level.std().clamp(min=1e-12)
            largest = max(largest, float(off))
        if len(expected) > len(LEVELS) and not torch.equal(torch.from_numpy(found[-1]), expected[-1]):
            raise ModelError("the exported program keeps other tokens than this package does: it was not written")
    if not largest <= CLOSE:
        raise ModelError(
            f"the exported program differs by {largest:.2g} standard deviations, more than {CLOSE}: it was not written"
        )
    return inputs, largest
