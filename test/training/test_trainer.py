# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasktp_ros.cli.train import chosen_precision
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import DataError, ModelError, TrainingError
from tasktp_ros.runtime import precision
from tasktp_ros.runtime.checkpoints import load_model
from tasktp_ros.training.optimiser import learning_rate, parameter_groups, set_drop_path, set_learning_rate
from tasktp_ros.training.recipes import RECIPES, Stage, recipe_named
from tasktp_ros.training.run import shortened, train
from tasktp_ros.training.starts import load_transformer, start_from_model
from tasktp_ros.training.trainer import Run, Trainer

fabric_module = pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
SMALL = (96, 128)


def small(name: str, steps: int = 4, stages: slice = slice(None)):
    recipe = shortened(RECIPES[name], steps)
    return replace(recipe, stages=tuple(replace(s, batch=2, inputs=(SMALL,), warm_up=1) for s in recipe.stages[stages]))


def cpu():
    return fabric_module.Fabric(accelerator="cpu", devices=1, precision="32-true")


def losses_of(folder: Path) -> list[str]:
    with (folder / "log.csv").open(newline="") as file:
        return [row["loss"] for row in csv.DictReader(file) if row["loss"]]


def run_in(folder: Path, **changes) -> Run:
    return Run(folder, checkpoint_every=2, log_every=1, workers=0, **changes)


@pytest.mark.parametrize("broken_at", [(0, 3), (1, 0), (1, 3)])
def test_a_resumed_training_has_the_losses_of_an_uninterrupted_one(broken_at, tiny_set, tmp_path, monkeypatch):
    recipe = small("rooms-nano-dense", 4, slice(0, 2))
    train(recipe, run_in(tmp_path / "whole"), cpu(), tiny_set, "train", "none")
    original = Trainer._check

    def broken(self, losses, number, step):
        if (number, step) == broken_at:
            raise RuntimeError("power cut")
        original(self, losses, number, step)

    monkeypatch.setattr(Trainer, "_check", broken)
    with pytest.raises(RuntimeError, match="power cut"):
        train(recipe, run_in(tmp_path / "broken"), cpu(), tiny_set, "train", "none")
    monkeypatch.setattr(Trainer, "_check", original)
    train(recipe, run_in(tmp_path / "broken", resume=True), cpu(), tiny_set, "train", "none")
    assert losses_of(tmp_path / "broken") == losses_of(tmp_path / "whole")
    one, other = (
        load_model(tmp_path / name / "rooms-nano-dense.safetensors")[0].state_dict() for name in ("whole", "broken")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_finished_training_goes_on_where_its_recipe_grew_and_not_where_it_changed(tiny_set, tmp_path):
    grown = small("rooms-nano-dense", 4, slice(0, 2))
    first = replace(grown, stages=grown.stages[:1])
    train(grown, run_in(tmp_path / "whole"), cpu(), tiny_set, "train", "none")
    train(first, run_in(tmp_path / "grown"), cpu(), tiny_set, "train", "none")
    train(grown, run_in(tmp_path / "grown", resume=True), cpu(), tiny_set, "train", "none")
    assert losses_of(tmp_path / "grown") == losses_of(tmp_path / "whole")
    changed = replace(grown, stages=(replace(grown.stages[0], steps=3), grown.stages[1]))
    with pytest.raises(DataError, match=r"stages of \[4, 4\] steps, not .*\[3, 4\]"):
        train(changed, run_in(tmp_path / "grown", resume=True), cpu(), tiny_set, "train", "none")


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_checkpoint(tiny_set, tmp_path, monkeypatch):
    original = Trainer._step
    steps = []

    def poisoned(self, *arguments):
        steps.append(1)
        losses = original(self, *arguments)
        return (
            losses | {"loss": losses["loss"] * float("nan"), "loss_mask": losses["loss"] * float("nan")}
            if len(steps) == 4
            else losses
        )

    monkeypatch.setattr(Trainer, "_step", poisoned)
    with pytest.raises(TrainingError, match=r"not finite in stage 'labels' at step 3 \(loss_mask\).*--resume"):
        train(small("rooms-nano-dense", 4, slice(0, 1)), run_in(tmp_path), cpu(), tiny_set, "train", "none")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["step"] == 2


def test_gates_alone_leave_every_weight_of_the_detector_as_it_was(tiny_set, tmp_path):
    train(small("rooms-nano-dense", 2, slice(1, 2)), run_in(tmp_path / "dense"), cpu(), tiny_set, "train", "none")
    dense_file = tmp_path / "dense" / "rooms-nano-dense.safetensors"
    train(small("rooms-nano-gates", 3), run_in(tmp_path / "gates"), cpu(), tiny_set, "train", str(dense_file))
    trained, card = load_model(tmp_path / "gates" / "rooms-nano-gates.safetensors")
    assert card.reach == "blocks", "whatever follows the blocks has learned from whole maps"
    dense, gated = load_model(dense_file)[0].state_dict(), trained.state_dict()
    assert all(torch.equal(tensor, gated[name]) for name, tensor in dense.items())
    torch.manual_seed(0)
    fresh = build_detector("nano", "tasktp", 20).state_dict()
    gates = [name for name in gated if "selectors" in name]
    assert gates and any(not torch.equal(gated[name], fresh[name].half().float()) for name in gates)


@pytest.mark.parametrize(("name", "reach"), [("rooms-nano", "network"), ("rooms-nano-svit", "blocks")])
def test_a_full_fine_tune_trains_gates_and_detector_together(name, reach, tiny_set, tmp_path):
    recipe = small(name, 2, slice(-1, None))
    file = train(recipe, run_in(tmp_path), cpu(), tiny_set, "train", "none")
    assert load_model(file)[1].reach == reach, "it runs the way it was trained"
    with (tmp_path / "log.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert 0.0 <= float(row["kept"]) <= 1.0
    assert {"loss_ratio"} <= set(row) or {"loss_prune", "loss_token_class"} <= set(row)


@pytest.mark.parametrize("gates", ["final", "plain"])
def test_coco_recipes_run_on_the_subset(gates, shared, tmp_path):
    from tasktp_ros.training.gate_losses import GATE_RECIPES

    recipe = shortened(RECIPES["coco-tiny-tasktp"], 2)
    recipe = replace(
        recipe,
        gates=GATE_RECIPES[gates],
        stages=tuple(replace(s, batch=2, inputs=((128, 160),)) for s in recipe.stages),
    )
    train(recipe, run_in(tmp_path), cpu(), shared / "data" / "coco_subset", "val", "none")
    assert len(losses_of(tmp_path)) == 2


def test_two_processes_share_a_batch(tiny_set, tmp_path):
    command = [sys.executable, "-m", "tasktp_ros.cli.main", "train", "rooms-nano-dense", "--data", str(tiny_set), "--output",
               str(tmp_path), "--steps", "1", "--batch", "4", "--processes", "2", "--device", "cpu", "--workers", "0", "--check-images", "0"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "rooms-nano-dense.safetensors").is_file()
    assert len(losses_of(tmp_path)) == len(RECIPES["rooms-nano-dense"].stages), (
        "one row per stage, written by one of the processes"
    )


def test_an_interrupt_saves_and_says_how_to_go_on(tiny_set, tmp_path):
    command = [sys.executable, "-m", "tasktp_ros.cli.main", "train", "rooms-nano-dense", "--data", str(tiny_set), "--output",
               str(tmp_path), "--batch", "2", "--device", "cpu", "--workers", "0", "--check-images", "0", "--checkpoint-every", "1"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    deadline = time.monotonic() + 240
    while not (tmp_path / "last.ckpt").is_file():
        assert process.poll() is None and time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "stopped in stage 'labels' after step" in errors and "--resume" in errors


def test_a_checkpoint_of_another_recipe_is_refused(tiny_set, tmp_path):
    train(small("rooms-nano-dense", 2, slice(0, 1)), run_in(tmp_path), cpu(), tiny_set, "train", "none")
    with pytest.raises(DataError, match="is of recipe 'rooms-nano-dense'"):
        train(small("rooms-nano-svit", 2), run_in(tmp_path, resume=True), cpu(), tiny_set, "train", "none")
    with pytest.raises(DataError, match="nothing to resume"):
        train(small("rooms-nano-svit", 2), run_in(tmp_path / "empty", resume=True), cpu(), tiny_set, "train", "none")


def test_learning_rate_curves():
    stage = Stage("s", "detection", steps=1000, rate=1.0, warm_up=100)
    assert learning_rate(stage, 0, 1000) == pytest.approx(1e-3)
    assert learning_rate(stage, 100, 1000) == pytest.approx(1.0)
    assert learning_rate(stage, 1000, 1000) == pytest.approx(0.01)
    stepped = replace(stage, drops=(0.75, 0.9))
    assert [learning_rate(stepped, step, 1000) for step in (700, 800, 950)] == pytest.approx([1.0, 0.1, 0.01])


def test_norms_biases_and_embeddings_have_no_weight_decay():
    detector = build_detector("nano", "tasktp", 20)
    decayed, free, quick = parameter_groups(detector, 0.05)
    assert decayed["weight_decay"] == 0.05 and free["weight_decay"] == 0.0
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    assert any(parameter is detector.backbone.pos_embed for parameter in free["params"])
    assert sum(p.numel() for group in (decayed, free, quick) for p in group["params"]) == sum(
        p.numel() for p in detector.parameters()
    )
    assert len(parameter_groups(build_detector("nano", "dense", 20), 0.05)) == 2


def test_what_a_gate_weighs_its_image_by_learns_at_a_pace_of_its_own():
    detector = build_detector("nano", "tasktp", 20)
    quick = parameter_groups(detector, 0.05)[2]
    numbers = {n.rsplit(".", 1)[1] for n, p in detector.named_parameters() if any(p is q for q in quick["params"])}
    assert numbers == {"scale", "sharpness", "trust", "context"} and quick["weight_decay"] == 0.0
    optimiser = torch.optim.AdamW(parameter_groups(detector, 0.05), lr=1.0)
    set_learning_rate(optimiser, 0.01)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.01, 0.01, 0.05])


@pytest.mark.parametrize("method", ["dense", "svit"])
def test_drop_path_rises_over_the_blocks_and_is_off_in_evaluation(method):
    backbone = build_detector("nano", method, 3).backbone
    set_drop_path(backbone.blocks, 0.9)
    tokens = torch.randn(64, 4, 160)
    assert torch.equal(backbone.blocks[0](tokens), backbone.eval().blocks[0](tokens))
    evaluated = backbone.blocks[-1](tokens)
    backbone.train()
    torch.manual_seed(0)
    trained = backbone.blocks[-1](tokens)
    unchanged = (trained == tokens).flatten(1).all(1).float().mean()
    assert 0.6 < unchanged < 0.95, "both branches left out: 0.9 squared"
    assert not torch.equal(trained, evaluated)


def test_a_dense_model_starts_a_svit_one_and_keeps_its_numbers(tmp_path):
    from tasktp_ros.runtime.checkpoints import ModelCard, save_model
    from tasktp_ros.tasks.vocabulary import ROOMS

    dense = build_detector("nano", "dense", 20)
    path = tmp_path / "dense.safetensors"
    save_model(path, dense, ModelCard("d", "nano", "dense", "rooms", ROOMS, True), dtype=torch.float32)
    svit = build_detector("nano", "svit", 20)
    start_from_model(svit, path)
    tokens = torch.randn(1, 8, 160)
    torch.testing.assert_close(svit.backbone.blocks[5](tokens), dense.backbone.blocks[5](tokens), atol=2e-4, rtol=0)
    with pytest.raises(ModelError, match="does not fit"):
        start_from_model(build_detector("nano", "tasktp", 80), path)


def test_timm_weights_load_by_their_own_names():
    detector = build_detector("deit_tiny", "dense", 3)
    published = {name.removeprefix("backbone."): torch.randn_like(tensor) for name, tensor in detector.state_dict().items()
                 if name.startswith(("backbone.blocks", "backbone.patch_embed", "backbone.pos_embed"))}  # fmt: skip
    load_transformer(detector, published)
    assert torch.equal(detector.backbone.blocks[3].attn.qkv.weight, published["blocks.3.attn.qkv.weight"])
    del published["blocks.0.mlp.fc1.weight"]
    with pytest.raises(ModelError, match=r"blocks\.0\.mlp\.fc1\.weight"):
        load_transformer(detector, published)


def test_unknown_recipes_are_named():
    from tasktp_ros.errors import InputError

    with pytest.raises(InputError, match="unknown recipe 'rooms'"):
        recipe_named("rooms")


@pytest.mark.parametrize(("speedup", "chosen"), [(1.9, "bf16-mixed"), (0.1, "32-true")])
def test_a_processor_without_bf16_trains_in_float32(speedup, chosen, monkeypatch):
    monkeypatch.setattr(precision, "bf16_speedup", lambda device: speedup)
    assert chosen_precision("auto", "cpu") == chosen
    assert chosen_precision("16-mixed", "cpu") == "16-mixed"
