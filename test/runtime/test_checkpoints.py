# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A model file tells everything about itself; one that cannot be used is refused with one clear sentence."""

import json
import os
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.runtime.checkpoints import ModelCard, load_model, save_model
from tasktp_ros.runtime.models import open_model
from tasktp_ros.runtime.score_map import ScoreMap
from tasktp_ros.runtime.shipped import shipped_models

CARD = ModelCard("test", "nano", "tasktp", "kitchen", ("cup", "pan", "sink"), trained=True, input_size=(96, 128))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "good.safetensors"
    save_model(path, build_detector("nano", "tasktp", 3), CARD, dtype=torch.float32)
    return path


def rewritten(good, folder, change_tensors=None, change_card=None, metadata=None):
    """A copy of the good file with something changed."""
    tensors = load_file(good)
    with safe_open(good, framework="pt") as file:
        stored = dict(file.metadata())
    if change_tensors:
        change_tensors(tensors)
    if change_card:
        card = json.loads(stored["card"])
        change_card(card)
        stored["card"] = json.dumps(card)
    path = folder / "changed.safetensors"
    save_file(tensors, path, metadata=stored if metadata is None else metadata)
    return path


def test_round_trip(good):
    detector, card = load_model(good)
    assert card == CARD and not detector.training
    stored = load_file(good)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in detector.state_dict().items())


def test_a_score_map_comes_back_and_an_older_file_has_none(good, tmp_path):
    path = tmp_path / "mapped.safetensors"
    card = replace(CARD, score_map=ScoreMap(1.25, -0.5))
    save_model(path, load_model(good)[0], card)
    assert load_model(path)[1] == card
    older = rewritten(path, tmp_path, change_card=lambda card: card.pop("score_map"))
    assert load_model(older)[1] == CARD and CARD.score_map is None


def test_half_precision_is_half_the_size_and_loads_as_float32(good, tmp_path):
    path = tmp_path / "half.safetensors"
    save_model(path, load_model(good)[0], CARD)
    assert path.stat().st_size < 0.6 * good.stat().st_size
    assert {p.dtype for p in load_model(path)[0].parameters()} == {torch.float32}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(good, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(good.read_bytes())
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_model(path, build_detector("nano", "tasktp", 3), CARD)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    assert path.read_bytes() == good.read_bytes()


@pytest.mark.parametrize("keep", [0, 4, 200, 0.5, 0.999], ids=str)
def test_truncated_files(good, tmp_path, keep):
    content = good.read_bytes()
    path = tmp_path / "short.safetensors"
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load_model(path)


def test_unreadable_and_missing_files(tmp_path):
    (tmp_path / "noise.safetensors").write_bytes(os.urandom(4096))
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load_model(tmp_path / "noise.safetensors")
    with pytest.raises(ModelError, match="does not exist"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="does not exist"):
        load_model(tmp_path)


def test_a_foreign_file(good, tmp_path):
    path = rewritten(good, tmp_path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="was not written by tasktp_ros: expected format 'tasktp_ros 1', found 'pt'"):
        load_model(path)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["cup", "pan"], "wrong vocabulary: 2 names for 3 classes"),
        (["cup", "pan", "pan"], "names a category twice"),
        ([], "must be a list of names"),
        (["cup", "pan", 3], "must be a list of names"),
    ],
)
def test_a_wrong_vocabulary(good, tmp_path, names, sentence):
    path = rewritten(good, tmp_path, change_card=lambda card: card.update(vocabulary=names))
    with pytest.raises(ModelError, match=sentence):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda card: card.update(size="huge"), "unknown size 'huge'"),
        (lambda card: card.update(method="magic"), "unknown reducer 'magic'"),
        (lambda card: card.update(method="dense"), "weights the network does not know"),
        (lambda card: card.update(size="deit_tiny"), "has shape .* the network needs"),
        (lambda card: card.pop("size"), "unreadable card"),
        (lambda card: card.update(score_map={"scale": 0.0, "shift": 1.0}), "unreadable card: .* scale above 0"),
        (lambda card: card.update(score_map={"scale": float("nan"), "shift": 1.0}), "unreadable card: .* finite"),
        (lambda card: card.update(score_map={"scale": 1.0}), "unreadable card"),
        (lambda card: card.update(score_map=[1.0, 2.0]), "unreadable card"),
    ],
)
def test_a_card_that_does_not_fit(good, tmp_path, change, sentence):
    with pytest.raises(ModelError, match=sentence):
        load_model(rewritten(good, tmp_path, change_card=change))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(good, tmp_path, value):
    def spoil(tensors):
        tensors["neck.convs.2.conv.weight"][3, 1, 0, 0] = value

    with pytest.raises(ModelError, match=r"neck.convs.2.conv.weight holds values that are not finite"):
        load_model(rewritten(good, tmp_path, change_tensors=spoil))


def test_missing_weights(good, tmp_path):
    path = rewritten(good, tmp_path, change_tensors=lambda tensors: tensors.pop("backbone.pos_embed"))
    with pytest.raises(ModelError, match=r"lacks backbone.pos_embed; it does not fit a nano tasktp network"):
        load_model(path)


def test_names_of_models(good, tmp_path):
    assert open_model(good)[1] == CARD
    assert "nano-untrained" in shipped_models()
    with pytest.raises(ModelError, match="unknown model 'nonsense'; shipped models are nano-untrained"):
        open_model("nonsense")
    with pytest.raises(ModelError, match="neither a shipped name nor a"):
        open_model("weights/model.pth")


def test_the_label_says_untrained():
    assert open_model("nano-untrained")[1].label == "nano-untrained (untrained)"
    assert CARD.label == "test" and "untrained" in replace(CARD, trained=False).label


def test_the_untrained_model_is_the_same_every_time_and_leaves_the_random_state_alone():
    torch.manual_seed(1)
    before = torch.rand(1)
    torch.manual_seed(1)
    first, second = open_model("nano-untrained")[0], open_model("nano-untrained")[0]
    assert torch.equal(torch.rand(1), before)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
