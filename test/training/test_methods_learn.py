# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Every method trains by the same objective and the same command, and a model's file remembers which it was."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasktp_ros.cli.main import main
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import InputError, ModelError
from tasktp_ros.reduction import registry
from tasktp_ros.runtime.checkpoints import ModelCard, load_model, save_model
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.detection_losses import SampleCounts
from tasktp_ros.training.gate_losses import GATE_RECIPES
from tasktp_ros.training.objectives import DetectionObjective, gate_parts
from tasktp_ros.training.recipes import recipe_named
from tasktp_ros.training.starts import start_from_model

CLASSES = 3
NAMES = ("cup", "pan", "sink")
OWN_LOSSES = {
    "dense": set(),
    "evit": set(),
    "ats_remove": set(),
    "evovit": set(),
    "tome": set(),
    "dynamicvit": {"loss_ratio"},
    "dynamicvit_remove": {"loss_ratio"},
    "svit": {"loss_ratio"},
    "tasktp": {"loss_token_class", "loss_prune", "loss_presence"},
}
OPTIONS = [
    ("evit", {"fuse": True}),
    ("svit", {"reactivate": False, "fixed_rate": True, "complex_gate": True}),
    ("tasktp", {"top": 10, "embedding": False, "early_rule": True, "blocks_per_gate": 1, "threshold": 0.3}),
]


def batch() -> Batch:
    """Two images of 64 x 96 px with an object each."""
    masks = torch.zeros(1, 64, 96, dtype=torch.bool)
    masks[:, 16:48, 16:64] = True
    truth = Truth(torch.tensor([[16.0, 16.0, 64.0, 48.0]]), torch.tensor([1]), masks, torch.zeros(1, dtype=torch.bool))
    images = torch.randint(0, 255, (2, 64, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Batch(images, [truth, truth])


def losses_of(method: str, options: dict) -> tuple:
    """Losses of one step by the rooms' gate recipe, and the detector with its gradients."""
    torch.manual_seed(0)
    detector = build_detector("nano", method, CLASSES, options)
    objective = DetectionObjective(detector, CLASSES, SampleCounts(32, 16, 2), GATE_RECIPES["rooms"]).train()
    losses = objective(batch())
    sum(value for name, value in losses.items() if name.startswith("loss")).backward()
    return losses, detector


def test_the_method_of_the_guide_runs_and_learns(monkeypatch):
    monkeypatch.setattr(registry, "REDUCERS", dict(registry.REDUCERS))
    monkeypatch.setattr(registry, "PRESETS", dict(registry.PRESETS))
    guide = (Path(__file__).resolve().parents[2] / "docs" / "methods.md").read_text()
    exec(guide.split("```python\n")[1].split("```")[0], {"__name__": "guide"})
    losses, detector = losses_of("mine", {"kept": 0.5})
    assert losses["loss_mine"] >= 0 and detector.backbone.mine[0].weight.grad.any()
    state = detector.backbone.reducer.begin()
    with torch.no_grad():
        detector.eval().backbone.run(torch.randn(2, 3, 64, 96), state)
    assert 0 < torch.stack(state.keep).float().mean() < 1


@pytest.mark.parametrize(("method", "options"), [*((name, {}) for name in OWN_LOSSES), *OPTIONS])
def test_one_step(method, options):
    losses, detector = losses_of(method, options)
    assert all(value.isfinite() for value in losses.values())
    common = losses_of("dense", {})[0].keys() if method != "dense" else losses.keys()
    assert {name for name in losses.keys() - common if name != "kept"} == OWN_LOSSES[method]
    assert ("kept" in losses) == bool(detector.backbone.reducer.gated_blocks())
    parts = gate_parts(detector)
    gates = [parameter for name, parameter in detector.named_parameters() if parts and name.startswith(parts)]
    assert bool(gates) == (method not in ("dense", "tome"))
    assert not gates or any(gate.grad is not None and gate.grad.any() for gate in gates)


def test_the_ratio_loss_of_each_image_and_of_all():
    reducer = build_detector("nano", "svit", CLASSES).backbone.reducer
    fixed = build_detector("nano", "svit", CLASSES, {"fixed_rate": True}).backbone.reducer
    state = reducer.begin()
    # One image keeps all, the other little: right together, wrong each.
    state.masks = [torch.tensor([[1.0] * 10, [1.0] * (round(20 * share) - 10) + [0.0] * (20 - round(20 * share))])
                   for share in (0.7, 0.7, 0.7, 0.5, 0.5, 0.5)] + [torch.full((2, 10), 0.343)] * 3  # fmt: skip
    assert reducer.losses(state, None)["loss_ratio"] < 1e-3 < fixed.losses(state, None)["loss_ratio"]


def test_tokens_that_may_not_come_back_do_not():
    torch.manual_seed(0)
    backbone = build_detector("nano", "svit", CLASSES, {"reactivate": False}).eval().backbone
    for gate in backbone.selective_modules:
        torch.nn.init.normal_(gate.mlp.fc2.weight, std=1.0)
    for entering in (None, torch.rand(1, 48, generator=torch.Generator().manual_seed(1)) < 0.7):
        state = backbone.reducer.begin()
        state.entering = entering
        backbone.run(torch.randn(1, 3, 96, 128), state)
        keep = torch.stack(state.keep)[:, 0]
        assert len(state.masks) == 3 and keep.dtype == torch.bool
        assert (keep[:3] == keep[0]).all() and not (keep[3:] & ~keep[:-3]).any() and 0 < keep[-1].sum() < keep[0].sum()


def test_a_sampled_gate_is_random_and_the_usual_one_is_not():
    for sampled in (False, True):
        torch.manual_seed(0)
        backbone = build_detector("nano", "svit", CLASSES, {"sampled": sampled}).eval().backbone
        image, kept = torch.randn(1, 3, 96, 128), []
        for _ in range(2):
            state = backbone.reducer.begin()
            backbone.run(image, state)
            kept.append(torch.stack(state.keep))
        assert torch.equal(*kept) != sampled


@pytest.mark.parametrize(
    ("method", "options", "sentence"),
    [
        ("tasktp", {"top": 0}, "top must be a whole number from 1 on, got 0"),
        ("tasktp", {"blocks_per_gate": 2}, "blocks_per_gate must be 1 or 3, got 2"),
        ("tasktp", {"threshold": 1.0}, r"threshold must be between 0 and 1 \(both excluded\), got 1.0"),
        ("svit", {"sampled": "yes"}, "sampled must be true or false, got 'yes'"),
    ],
)
def test_options_that_cannot_be(method, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_detector("nano", method, CLASSES, options)


def test_a_models_file_remembers_its_method_and_options(tmp_path):
    path = tmp_path / "m.safetensors"
    options = {"top": 4, "embedding": False, "threshold": 0.25}
    detector = build_detector("nano", "tasktp", CLASSES, options)
    card = ModelCard("m", "nano", "tasktp", "kitchen", NAMES, True, input_size=(64, 96), options=options)
    save_model(path, detector, card)
    assert load_model(path)[1].options == options
    loaded = TaskDetector.load(path, device="cpu", precision="float32")
    assert loaded.task.threshold == 0.25 and loaded.set_task(["cup"]).threshold == 0.25
    assert loaded.set_task(["cup"], threshold=0.5).threshold == 0.5
    for wrong, complaint in (
        ({"top": 5, "embedding": False}, "score_shift"),
        ({"tops": 5}, "no option 'tops'"),
        ([1], "unreadable card"),
    ):
        save_model(path, detector, replace(card, options=wrong))
        with pytest.raises(ModelError, match=complaint):
            load_model(path)


@pytest.mark.parametrize("method", ["evit", "dynamicvit_remove", "tome", "svit"])
def test_any_method_starts_from_a_dense_model_and_from_one_with_gates(method, tmp_path):
    for source in ("dense", "tasktp"):
        path = tmp_path / f"{source}.safetensors"
        trained = build_detector("nano", source, CLASSES)
        save_model(path, trained, ModelCard(source, "nano", source, "kitchen", NAMES, True), torch.float32)
        detector = build_detector("nano", method, CLASSES)
        fresh = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
        start_from_model(detector, path, NAMES)
        after = detector.state_dict()
        assert torch.equal(after["backbone.pos_embed"], trained.state_dict()["backbone.pos_embed"])
        parts = gate_parts(detector)
        assert all(torch.equal(after[name], fresh[name]) for name in after if parts and name.startswith(parts))


def test_recipes_take_another_method():
    recipe = recipe_named("rooms-nano").with_method("evit", {"kept": 0.5, "fuse": True})
    assert recipe.name == "rooms-nano-with-evit-with-fuse-True-with-kept-0.5" and recipe.method == "evit"
    assert recipe_named("rooms-nano").with_method("tasktp", {"top": 4}).name == "rooms-nano-with-top-4"
    with pytest.raises(InputError, match="unknown reducer 'magic'"):
        recipe_named("rooms-nano").with_method("magic", {})
    with pytest.raises(InputError, match="no option 'top'"):
        recipe_named("rooms-nano").with_method("evit", {"top": 4})
    with pytest.raises(InputError, match="tome brings nothing"):
        recipe_named("rooms-nano-gates").with_method("tome", {})


def test_the_command_trains_and_runs_any_method(tiny_set, tmp_path, capsys):
    pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
    words = ["train", "rooms-nano", "--data", str(tiny_set), "--output", str(tmp_path), "--device", "cpu", "--workers", "0",
             "--check-images", "0", "--steps", "1", "--batch", "2", "--init", "none"]  # fmt: skip
    assert main([*words, "--method", "evit", "--option", "kept=0.5"]) == 0
    model = tmp_path / "rooms-nano-with-evit-with-kept-0.5.safetensors"
    network, card = load_model(model)
    assert (card.method, card.options, network.backbone.reducer.kept) == ("evit", {"kept": 0.5}, 0.5)
    capsys.readouterr()
    assert main([*words, "--method", "evit", "--option", "kepped=0.5"]) == 2
    assert "has no option 'kepped'; it has kept, fuse, remove" in capsys.readouterr().err
    assert main([*words, "--option", "kept"]) == 2
    assert "--option must be NAME=VALUE, such as kept=0.7, got 'kept'" in capsys.readouterr().err
