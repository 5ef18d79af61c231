# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Learning from NanoDet-g: its file is read rightly, its trunk becomes the stem, and being like it costs nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tasktp_ros.cli.main import main
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.runtime.checkpoints import load_model
from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.distillation import ALONE, DistilledObjective, quality_focal, standardised
from tasktp_ros.training.gate_losses import GateRecipe
from tasktp_ros.training.nanodet import NanoDet, read_nanodet
from tasktp_ros.training.recipes import RECIPES
from tasktp_ros.training.run import shortened, train
from tasktp_ros.training.starts import start_stem
from tasktp_ros.training.trainer import Run


def write_graph(path, network: NanoDet) -> None:
    """A TensorFlow.js graph model with a network's convolutions, as its half-precision files are made up."""
    nodes, entries, raw = [], [], b""
    for number, layer in enumerate(network.convolutions()):
        name = f"call/convolution{f'_{number}' if number else ''}"
        weight = layer.weight.flip(1) if number == 0 else layer.weight
        parts = {f"w{number}": weight.permute(2, 3, 1, 0), f"b{number}": layer.bias.view(1, 1, 1, -1)}
        nodes += [{"name": name, "op": "Conv2D", "input": ["x", f"w{number}"]},
                  {"name": f"call/Add_{number}", "op": "Add", "input": [name, f"b{number}"]}]  # fmt: skip
        for key, tensor in parts.items():
            entries.append({"name": key, "shape": list(tensor.shape), "dtype": "float32",
                            "quantization": {"dtype": "float16", "original_dtype": "float32"}})  # fmt: skip
            raw += tensor.detach().numpy().astype(np.float16).tobytes()
    nodes.reverse()  # files list them in any order
    manifest = [{"paths": ["nanodet.bin"], "weights": entries}]
    path.write_text(json.dumps({"modelTopology": {"node": nodes}, "weightsManifest": manifest}))
    (path.parent / "nanodet.bin").write_bytes(raw)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A network and the file that it is in."""
    torch.manual_seed(0)
    network = NanoDet().half().float()
    path = tmp_path_factory.mktemp("nanodet") / "nanodet.json"
    write_graph(path, network)
    return network, path


def test_what_is_read_sees_the_same(published):
    network, path = published
    image = torch.randn(2, 3, 64, 96)
    for known, read in zip(network(image), read_nanodet(path)(image), strict=True):
        for one, other in zip(known, read, strict=True):
            torch.testing.assert_close(one, other)
    shapes = [tuple(logits.shape) for _, logits in network(image)]
    assert shapes == [(2, 80, 8, 12), (2, 80, 4, 6), (2, 80, 2, 3)]


def test_other_files_are_refused_in_one_sentence(published, tmp_path):
    _, path = published
    graph = json.loads(path.read_text())
    for name, content, words in (
        ("junk.json", "{", "is not a TensorFlow.js graph model"),
        ("list.json", "[]", "is not a TensorFlow.js graph model"),
        ("alone.json", json.dumps(graph), "nanodet.bin"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ModelError, match=words):
            read_nanodet(tmp_path / name)
    (tmp_path / "nanodet.bin").write_bytes((path.parent / "nanodet.bin").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"is not a TensorFlow\.js graph model"):
        read_nanodet(tmp_path / "alone.json")
    (tmp_path / "nanodet.bin").write_bytes((path.parent / "nanodet.bin").read_bytes())
    graph["modelTopology"]["node"] = graph["modelTopology"]["node"][4:]
    (tmp_path / "fewer.json").write_text(json.dumps(graph))
    with pytest.raises(ModelError, match="has 32 convolutions, NanoDet-g has 34"):
        read_nanodet(tmp_path / "fewer.json")
    with pytest.raises(ModelError, match=r"missing\.json"):
        read_nanodet(tmp_path / "missing.json")


def test_the_command_line_says_it_too(tmp_path, capsys):
    assert main(["train", "coco-nano-dense", "--data", str(tmp_path), "--teacher", str(tmp_path / "none.json")]) == 2
    assert "none.json is not a TensorFlow.js graph model" in capsys.readouterr().err


def test_the_stem_begins_as_the_trunk(published):
    network, path = published
    detector = build_detector("nano_csp", "dense", 3)
    start_stem(detector, read_nanodet(path))
    image = torch.randn(1, 3, 64, 64)
    for one, other in zip(detector.backbone.stem.trunk(image), network.trunk(image), strict=True):
        torch.testing.assert_close(one, other)
    with pytest.raises(ModelError, match="nano_csp"):
        start_stem(build_detector("nano", "dense", 3), read_nanodet(path))


def test_being_like_the_teacher_costs_least():
    torch.manual_seed(1)
    wanted, shown = torch.rand(2, 5, 4, 6), torch.ones(2, 1, 4, 6)
    exact = torch.logit(wanted)
    assert quality_focal(exact, wanted, shown) < 1e-9 < quality_focal(exact + 0.1, wanted, shown)
    # Where the network does not work nothing is asked of it.
    half = shown.clone()
    half[..., :3] = 0
    elsewhere = exact.clone()
    elsewhere[..., :3] += 9.0
    assert quality_focal(elsewhere, wanted, half) < 1e-9 < quality_focal(elsewhere, wanted, shown)
    maps = standardised(7.0 * torch.randn(4, 3, 8, 8) + 2.0)
    assert maps.mean((0, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(maps.square().mean((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["dense", "tasktp"])
def test_levels_come_nearer_to_the_teachers(method, published):
    teacher = read_nanodet(published[1])
    torch.manual_seed(0)
    detector = build_detector("nano_csp", method, 20)
    recipe = RECIPES["coco-nano"]
    objective = DistilledObjective(detector, 20, recipe.stages[0].counts, GateRecipe(), teacher)
    objective.steps += ALONE
    optimiser = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    masks = torch.zeros(1, 64, 96, dtype=torch.bool)
    masks[:, 8:40, 8:40] = True
    truth = Truth(boxes, torch.tensor([3]), masks, torch.zeros(1, dtype=torch.bool))
    batch = Batch(torch.randint(256, (2, 64, 96, 3), dtype=torch.uint8), [truth, truth])
    history = []
    for _ in range(8):
        optimiser.zero_grad()
        losses = objective(batch)
        asked = losses["loss_features"] + losses["loss_categories"]
        asked.backward()
        optimiser.step()
        history.append(float(asked))
    assert history[-1] < 0.9 * history[0]
    # A teacher that is new to the network first teaches its own projections.
    objective.steps.zero_()
    optimiser.zero_grad()
    losses = objective(batch)
    (losses["loss_features"] + losses["loss_categories"]).backward()
    assert all(part.grad is None for part in detector.parameters())
    assert objective.to_features[0].weight.grad.abs().sum() > 0
    assert not any(name.startswith(("_teacher", "teacher")) for name in objective.state_dict())


def test_a_training_leaves_the_trunk_as_it_was(published, tiny_set, tmp_path):
    fabric = pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
    network, path = published
    recipe = shortened(RECIPES["coco-nano-dense"], 2)
    stages = tuple(replace(s, batch=2, inputs=((96, 128),), warm_up=1) for s in recipe.stages[:1])
    cpu = fabric.Fabric(accelerator="cpu", devices=1, precision="32-true")
    run = Run(tmp_path / "run", checkpoint_every=2, log_every=1, workers=0)
    model = train(
        replace(recipe, stages=stages, vocabulary="rooms"), run, cpu, tiny_set, "train", "", teacher=read_nanodet(path)
    )
    detector, card = load_model(model)
    assert card.size == "nano_csp"
    for name, tensor in network.trunk.state_dict().items():
        torch.testing.assert_close(detector.backbone.stem.trunk.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
    assert "loss_features" in (tmp_path / "run" / "log.csv").read_text()


def test_resizing_by_half_is_the_mean_of_four():
    """What NanoDet's graph does by interpolation is done by a pooling here."""
    level = torch.randn(1, 2, 6, 8)
    halved = F.interpolate(level, scale_factor=0.5, mode="bilinear", align_corners=False)
    torch.testing.assert_close(halved, F.avg_pool2d(level, 2))
