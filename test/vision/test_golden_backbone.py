# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The backbones meet the recorded numbers of the published code: maps, intermediate values, masks and counts."""

import pytest
import torch
from golden import Golden, fill, image

from tasktp_ros.detectors import build_detector

RECORDED = {
    "dense": ["dense_1x3x224x320", "dense_2x3x256x256"],
    "svit": ["svit_1x3x224x320", "svit_2x3x256x256"],
    "tasktp": ["tasktp_1x3x224x320_rel1", "tasktp_1x3x224x320_rel10", "tasktp_1x3x224x320_rel80"],
}
CASES = [(method, name) for method, names in RECORDED.items() for name in names]


@pytest.fixture(scope="module")
def backbones():
    return {method: fill(build_detector("deit_tiny", method, 80).backbone) for method in RECORDED}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("method", "name"), CASES)
def test_maps_and_kept_tokens(golden: Golden, backbones, method, name, dtype):
    recorded = golden.arrays(name)
    backbone = backbones[method].to(dtype)
    shape = tuple(int(side) for side in name.split("_")[1].split("x"))
    salted = f"tasktp/image{recorded['image_salt']}" if method == "tasktp" else "image"
    relevant = torch.from_numpy(recorded["relevant_mask81"][:, :80]).bool() if method == "tasktp" else None
    state = backbone.reducer.begin(relevant)
    maps = backbone.run(image(shape, salted).to(dtype), state)
    suffix = "_f64" if dtype == torch.float64 else ""
    for level, (found, step) in enumerate(zip(maps, (4, 4, 2, 1), strict=True)):
        key = f"level{level}"
        assert list(found.shape) == recorded[f"{key}_shape"].tolist()
        golden.close(found[:, ::12, ::step, ::step], recorded[f"{key}_slice{suffix}"], f"{name} {key}")
        tolerance = {"atol": 1e-5, "rtol": 1e-5}
        golden.close(found.double().mean(), recorded[f"{key}_mean{suffix}"], f"{name} {key} mean", **tolerance)
        spread = found.double().std(correction=0)
        golden.close(spread, recorded[f"{key}_std{suffix}"], f"{name} {key} std", **tolerance)
    if state.keep:
        keep = torch.stack(state.keep)[:: 9 // len(recorded["kept_masks"])]
        golden.equal(keep.to(torch.uint8), recorded["kept_masks"], f"{name} masks")
        golden.equal(keep.sum(-1), recorded["kept_counts"], f"{name} counts")
    if method == "tasktp" and dtype == torch.float32:
        golden.close(torch.stack(state.scores), recorded["m_score"], f"{name} scores")


@pytest.mark.parametrize("name", RECORDED["dense"])
def test_dense_intermediate_values(golden: Golden, backbones, name):
    recorded = golden.arrays(name)
    backbone = backbones["dense"].float()
    shape = tuple(int(side) for side in name.split("_")[1].split("x"))
    seen = {}

    def remember(key, pick=lambda output: output):
        return lambda module, inputs, output: seen.__setitem__(key, pick(output))

    handles = [backbone.spm.register_forward_hook(remember("spm"))]
    for index, interaction in enumerate(backbone.interactions, start=1):
        handles.append(interaction.injector.register_forward_hook(remember(f"tokens_after_injector{index}")))
        handles.append(interaction.extractor.register_forward_hook(remember(f"c_after_extractor{index}")))
    for index, block in enumerate(backbone.blocks, start=1):
        handles.append(block.register_forward_hook(remember(f"tokens_after_block{index}")))
    backbone(image(shape))
    for handle in handles:
        handle.remove()
    stride4, sequences = seen.pop("spm")
    golden.close(stride4[:, ::16, ::8, ::8], recorded["mid_spm_c1"], "spm c1")
    for number, sequence in enumerate(sequences, start=2):
        golden.close(sequence[:, ::9, ::16], recorded[f"mid_spm_c{number}"], f"spm c{number}")
    for key, value in seen.items():
        golden.close(value[:, ::9, ::16], recorded[f"mid_{key}"], key)
    assert len(seen) == 20


@pytest.mark.parametrize("name", RECORDED["tasktp"])
def test_gate_decisions_in_detail(golden: Golden, backbones, name):
    recorded = golden.arrays(name)
    backbone = backbones["tasktp"].float()
    relevant = torch.from_numpy(recorded["relevant_mask81"][:, :80]).bool()
    seen = {"classes": [], "features": [], "logits": []}
    originals = {}
    for gate in backbone.selectors:
        originals[gate] = (gate.classify, gate.describe, gate.judge)
        for key, method in zip(seen, ("classify", "describe", "judge"), strict=True):
            setattr(gate, method, _recording(getattr(gate, method), seen[key]))
    backbone(image((1, 3, 224, 320), f"tasktp/image{recorded['image_salt']}"), relevant)
    for gate in originals:
        for method in ("classify", "describe", "judge"):
            delattr(gate, method)
    classes, features, logits = (torch.stack(values) for values in seen.values())
    golden.equal(classes.argmax(-1).to(torch.uint8), recorded["class_argmax"], "most probable category")
    golden.close(classes[:, :, ::5, ::4], recorded["class_logits_slice"], "category logits")
    golden.close(features[:, :, ::5], recorded["feature_slice"], "features")
    golden.close(logits, recorded["gate_logits"], "keep logits")


def _recording(function, log):
    def call(*arguments):
        log.append(function(*arguments))
        return log[-1]

    return call


@pytest.mark.parametrize(("method", "expected"), [("dense", 28.06), ("svit", 28.15), ("tasktp", 28.14)])
def test_published_names_and_sizes(golden: Golden, method, expected):
    detector = build_detector("deit_tiny", method, 80)
    shapes = {name: list(tensor.shape) for name, tensor in detector.state_dict().items()}
    if method == "tasktp":
        published = golden.keys("keys_detector_dense")
        published |= {f"backbone.{name}": shape for name, shape in golden.keys("keys_tasktp_gates").items()}
        assert shapes == published
    else:
        assert list(shapes.items()) == list(golden.keys(f"keys_detector_{method}").items())
    assert sum(p.numel() for p in detector.parameters()) / 1e6 == pytest.approx(expected, abs=0.01)
