# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

from dataclasses import replace

import pytest
import torch
from old_model import uneven_detector

from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.runtime.checkpoints import ModelCard, load_model, save_model
from tasktp_ros.tasks.vocabulary import COCO, ROOMS
from tasktp_ros.training.category_rows import CategoryRows, carry_rows, category_rows, told_carried
from tasktp_ros.training.recipes import RECIPES
from tasktp_ros.training.run import shortened, train
from tasktp_ros.training.starts import start_from_model
from tasktp_ros.training.trainer import Run

fabric_module = pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
OLD = ("cup", "chair", "book")


@pytest.fixture(scope="module")
def old_model(tmp_path_factory):
    """A gated model of three categories whose weights all differ from each other."""
    detector = uneven_detector(len(OLD), 0.05)
    path = tmp_path_factory.mktemp("old") / "old.safetensors"
    save_model(path, detector, ModelCard("old", "nano", "tasktp", "mine", OLD, True), torch.float32)
    return path


def outputs(detector, old):
    """Everything that the network says about the categories of places `old`, by name."""
    torch.manual_seed(0)
    images = torch.randn(2, 3, 96, 128)
    rows, background = torch.tensor(old), detector.roi_head.num_classes
    relevant = torch.zeros(2, background, dtype=torch.bool)
    relevant[0, old[0]] = relevant[1, old[1]] = True
    with torch.inference_mode():
        state = detector.backbone.reducer.begin(relevant)
        levels = detector.neck(detector.backbone.run(images, state))
        scores, deltas = detector.rpn_head(levels)
        proposals = detector.rpn_head.select(scores, deltas, [(96, 128)] * 2)
        logits, boxes = detector.roi_head.bbox_head(detector.roi_head.pool(levels, proposals, 7))
        labels = [rows[torch.arange(len(p)) % len(rows)] for p in proposals]
        masks = detector.roi_head.masks(levels, proposals, labels)
    known = torch.cat((rows, torch.tensor([background])))
    found = {"class": logits[:, known], "box": boxes.unflatten(1, (-1, 4))[:, rows], "mask": torch.cat(masks)}
    found |= {f"token {number}": part[..., known] for number, part in enumerate(state.class_logits)}
    found |= {f"presence {number}": part[:, rows] for number, part in enumerate(state.presence)}
    return found | {f"keep {number}": part for number, part in enumerate(state.keep_logits)} | dict(enumerate(levels))


def test_what_the_old_model_says_of_its_categories_the_new_one_says(old_model):
    wanted = ("book", "mug", "cup", "chair")
    detector = build_detector("nano", "tasktp", len(wanted)).eval()
    told = start_from_model(detector, old_model, wanted)
    assert told == "3 carried over (book, cup, chair); 1 new (mug)"
    before, after = load_model(old_model)[0], detector
    # Tokens are described by probabilities, in which a new category has a share: keep logits and what follows may differ.
    with torch.no_grad():
        for gate in after.backbone.selectors:
            gate.mlp.fc2.bias[1] = -torch.inf
    one, other = outputs(before, [0, 1, 2]), outputs(after, [2, 3, 0])
    assert len(one) == 3 + 3 + 3 + 3 + 5
    # A product of another width may add up in another order, so a logit may differ in its last bit; weights do not.
    for name, expected in one.items():
        rounding = 1e-5 if isinstance(name, str) and name not in ("box", "mask") else 0.0
        torch.testing.assert_close(other[name], expected, atol=rounding, rtol=0)


def test_a_new_category_starts_as_the_mean_of_the_old_ones_and_background_is_none_of_them(old_model):
    old = load_model(old_model)[0].state_dict()
    rows = category_rows("nano", "tasktp")
    assert rows["roi_head.bbox_head.fc_cls.weight"] == CategoryRows(1, 1)
    assert rows["roi_head.bbox_head.fc_reg.bias"] == CategoryRows(4, 0)
    new = carry_rows(old, rows, OLD, ("mug", "chair"))
    weight, bias = "roi_head.bbox_head.fc_cls.weight", "roi_head.bbox_head.fc_reg.bias"
    torch.testing.assert_close(new[weight][0], old[weight][:3].mean(0))
    assert torch.equal(new[weight][1:], old[weight][[1, 3]])
    torch.testing.assert_close(new[bias][:4], old[bias].view(3, 4).mean(0))
    assert torch.equal(new[bias][4:], old[bias][4:8])
    assert all(new[name] is old[name] for name in old if name not in rows)
    for name in rows:
        each, tensor = rows[name].each, old[name]
        assert torch.equal(new[name][each:], torch.cat((tensor[each : 2 * each], tensor[3 * each :]))), name


@pytest.mark.parametrize("size", ["nano", "deit_tiny"])
@pytest.mark.parametrize("method", ["dense", "tasktp", "svit"])
def test_weights_for_other_categories_fit_the_network_of_those_and_no_weight_is_forgotten(size, method):
    old = build_detector(size, method, 20).state_dict()
    new = build_detector(size, method, 80)
    new.load_state_dict(carry_rows(old, category_rows(size, method), ROOMS, COCO))


def test_a_recipe_starts_from_a_model_of_another_vocabulary_and_says_what_became_of_it(tiny_set, tmp_path, capsys):
    dense = build_detector("nano", "dense", len(OLD))
    path = tmp_path / "mine.safetensors"
    save_model(path, dense, ModelCard("mine", "nano", "dense", "mine", (*OLD, "mug")[1:], True), torch.float32)
    recipe = shortened(RECIPES["rooms-nano-dense"], 1)
    recipe = replace(recipe, stages=tuple(replace(s, batch=2, inputs=((96, 128),)) for s in recipe.stages[1:2]))
    fabric = fabric_module.Fabric(accelerator="cpu", devices=1, precision="32-true")
    train(recipe, Run(tmp_path / "run", workers=0), fabric, tiny_set, "train", str(path))
    said = capsys.readouterr().out
    assert f"categories of {path}: 2 carried over (chair, book); 18 new (backpack, " in said
    assert "1 left out (mug)" in said
    assert load_model(tmp_path / "run" / "rooms-nano-dense.safetensors")[1].vocabulary == ROOMS


def test_a_model_of_another_size_does_not_fit_whatever_its_categories_are(old_model):
    with pytest.raises(ModelError, match="does not fit the network to be trained"):
        start_from_model(build_detector("deit_tiny", "tasktp", 2), old_model, ("cup", "mug"))


def test_nothing_is_told_where_nothing_changes():
    assert told_carried(OLD, OLD) == ""
    assert told_carried(OLD, OLD[::-1]) == "3 carried over (book, chair, cup)"
