# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What is exported computes the same elsewhere: dense and windowed networks, and the pruned one with padded rows."""

import json

import pytest
import torch
from foreign import small_sizes

from tasktp_ros.cli.main import main
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.runtime import export
from tasktp_ros.runtime.checkpoints import ModelCard, save_model

onnx = pytest.importorskip("onnx", reason="nothing was exported: onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="nothing was exported: onnxruntime is not installed")
FRAME = export.ImageFrame((60, 90), (64, 96), (64, 96))
WORDS = ("cup", "pan", "sink")


def network_of(size, method):
    torch.manual_seed(3)
    detector = build_detector(size, method, 3)
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if "selectors" in name or "selective" in name or name.endswith("injector.gamma"):
                parameter.normal_(std=0.3)
    return detector.eval()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    small_sizes(monkeypatch)


@pytest.mark.parametrize(
    ("size", "method"),
    [("deit_tiny", "dense"), ("vit_adapter_tiny", "dense"), ("deit_tiny", "tasktp"), ("deit_tiny", "svit")],
)
def test_it_computes_the_same(tmp_path, size, method):
    card = ModelCard("small", size, method, "own", WORDS, True)
    path = tmp_path / "out.onnx"
    exported = export.export_onnx(network_of(size, method), card, path, FRAME)
    assert exported.largest_difference < 1e-3 and exported.outputs["stride4"] == [1, 16, 16, 24]
    program = onnx.load(path)
    kinds = [node.op_type for node in program.graph.node]
    assert kinds.count("LayerNormalization") >= 40 and "ReduceMean" not in kinds[:5] and "GridSample" in kinds
    told = json.loads({entry.key: entry.value for entry in program.metadata_props}["tasktp_ros"])
    assert told["card"]["name"] == "small" and told["padded"] == [64, 96] and told["colours"] == "RGB"
    assert ("kept" in exported.outputs) == (method != "dense")
    if method != "dense":
        assert 0 < exported.kept[0] < 1, "some tokens are pruned, or nothing was compared"


def test_what_differs_is_not_written(tmp_path, monkeypatch):
    card = ModelCard("small", "deit_tiny", "dense", "own", WORDS, True)
    monkeypatch.setattr(export, "CLOSE", 0.0)
    with pytest.raises(ModelError, match=r"differs by .* it was not written"):
        export.export_onnx(network_of("deit_tiny", "dense"), card, tmp_path / "out.onnx", FRAME)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path, capsys):
    model, out = tmp_path / "m.safetensors", tmp_path / "m.onnx"
    card = ModelCard("small", "deit_tiny", "dense", "own", WORDS, True, input_size=(64, 96))
    save_model(model, network_of("deit_tiny", "dense"), card)
    assert main(["export", str(model), "--output", str(out), "--image", "60x90", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"]["image"] == [1, 3, 64, 96]
    assert main(["export", "nano-untrained", "--output", str(out)]) == 2
    assert "only those are exported" in capsys.readouterr().err
    assert main(["export", str(model), "--output", str(tmp_path / "m.pb")]) == 2
