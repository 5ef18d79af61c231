# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from old_model import uneven_detector

from tasktp_ros.cli.main import main
from tasktp_ros.datasets.mixed import Source, open_sources
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import DataError, InputError
from tasktp_ros.runtime.checkpoints import ModelCard, load_model, save_model
from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.fine_tuning import FEWEST_STEPS, MOST_STEPS, steps_for, tuning_of
from tasktp_ros.training.remembering import TuningObjective
from tasktp_ros.training.run import train
from tasktp_ros.training.trainer import Run, Trainer

fabric_module = pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
OLD = ("chair", "cup", "book")


@pytest.fixture(scope="module")
def old_model(tmp_path_factory):
    detector = uneven_detector(len(OLD), 0.03)
    with torch.no_grad():
        # All tokens are kept: in training random ones come to those that are too few.
        for gate in detector.backbone.selectors:
            gate.score_shift[2].bias.copy_(torch.tensor([-2.0, 2.0]))
    path = tmp_path_factory.mktemp("old") / "old.safetensors"
    card = ModelCard("old", "nano", "tasktp", "three", OLD, True, reach="frame", stop_below=(0.1, 0.1, 0.1))
    save_model(path, detector, card, torch.float32)
    return path


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Nine photos as a labelling tool exports them: cups and mugs, and a spoon that nobody asks for."""
    root = tmp_path_factory.mktemp("mine")
    (root / "classes.txt").write_text("spoon\nmug\ncup\n")
    random = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for number in range(9):
        image = random.integers(0, 80, (96, 128, 3), dtype=np.uint8)
        image[20:60, 20:70] = (number * 20, 200, 90)
        cv2.imwrite(str(root / f"images/{number}.png"), image)
        (root / f"labels/{number}.txt").write_text(f"{number % 3} 0.35 0.42 0.39 0.42\n")
    return root


def batch_of(labels=(1, 3)) -> Batch:
    """Two images with one labelled object each, of four categories of which "cup" and "mug" are labelled."""
    torch.manual_seed(1)
    boxes, labelled = torch.tensor([[20.0, 20, 70, 60]]), torch.tensor([False, True, False, True])
    masks = torch.zeros(1, 96, 128, dtype=torch.bool)
    masks[0, 20:60, 20:70] = True
    truths = [
        Truth(boxes, torch.tensor([label]), masks, torch.tensor([False]), torch.tensor([False]), labelled)
        for label in labels
    ]
    return Batch(torch.randint(0, 255, (2, 96, 128, 3), dtype=torch.uint8), truths)


def objective_of(old_model, categories, vocabulary_size):
    from tasktp_ros.training.starts import start_from_model

    tuning = tuning_of(str(old_model), categories)
    recipe = tuning.recipe("my-cups")
    detector = build_detector("nano", "tasktp", vocabulary_size)
    start_from_model(detector, old_model, tuning.vocabulary)
    objective = TuningObjective(detector, vocabulary_size, recipe.stages[0].counts, recipe.gates, tuning.teacher())
    return objective.train()


def kept(losses):
    return {name: value.item() for name, value in losses.items() if name.startswith("loss_keep")}


def test_a_network_that_has_changed_nothing_has_nothing_to_keep(old_model):
    objective = objective_of(old_model, ("cup",), 3)
    batch = batch_of((1, 1))
    for truth in batch.truths:
        truth.labelled = truth.labelled[:3]
    losses = kept(objective(batch))
    assert len(losses) == 7
    assert max(losses.values()) < 1e-5
    with torch.no_grad():
        for parameter in objective.detector.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.03)
    changed = kept(objective(batch))
    assert all(value > 1e-4 for name, value in changed.items() if name != "loss_keep_pruning"), changed


def test_what_is_labelled_is_free_of_what_the_teacher_says(old_model):
    objective = objective_of(old_model, ("cup", "mug"), 4)
    with torch.no_grad():
        for parameter in objective.detector.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.03)
    losses = objective(batch_of())
    # Presence counts tokens by their probabilities, in which every category has a share.
    counted = [name for name in losses if name.startswith("loss_keep") and name != "loss_keep_presence"]
    sum(losses[name] for name in counted).backward()
    head, gate = objective.detector.roi_head.bbox_head, objective.detector.backbone.selectors[2]
    for rows in (head.fc_cls.weight.grad, gate.mlp.fc2.weight.grad):
        moved = [bool(row.abs().sum() > 0) for row in rows]
        assert moved == [True, False, True, False, True], "chair, cup, book, mug, background"
    moved = head.fc_reg.weight.grad.unflatten(0, (4, 4)).abs().sum((1, 2)) > 0
    assert moved.tolist() == [True, False, True, False]


def test_the_teacher_never_changes_and_is_in_no_checkpoint(old_model):
    objective = objective_of(old_model, ("cup", "mug"), 4)
    (teacher,) = objective._teacher
    before = {name: tensor.clone() for name, tensor in teacher.detector.state_dict().items()}
    losses = objective(batch_of())
    sum(value for name, value in losses.items() if name.startswith("loss")).backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.detector.state_dict().items())
    assert not any(parameter.grad is not None for parameter in teacher.detector.parameters())
    assert not any("teacher" in name for name in objective.state_dict())
    norm = objective.detector.backbone.stem.stride2.norm
    assert torch.equal(norm.running_mean, teacher.detector.backbone.stem.stride2.norm.running_mean)


def test_the_first_data_set_is_labelled_for_the_categories_and_others_are_seen_whole(old_model, mine, tiny_set):
    tuning = tuning_of(str(old_model), ("mug", "cup"))
    assert tuning.vocabulary == (*OLD, "mug")
    sources = tuning.restricted([Source(mine, 3.0), Source(tiny_set)])
    own, replay = open_sources(sources, "train", tuning.vocabulary).parts
    assert len(own) == 8
    assert [own.labels_of(index).tolist() for index in range(3)] == [[], [3], [1]]
    assert own.labelled_on(0).tolist() == [False, True, False, True]
    assert replay.labelled_on(0).tolist() == [True, True, True, False]
    with pytest.raises(DataError, match=r"classes.txt has no category 'Cup'; it has spoon, mug, cup"):
        open_sources(tuning_of(str(old_model), ("Cup",)).restricted([Source(mine)]), "train", (*OLD, "Cup"))


def test_a_fine_tuning_from_the_command_line_makes_a_model_of_its_own(old_model, mine, tmp_path, capfd):
    words = [
        "train",
        "my-cups",
        "--init",
        str(old_model),
        "--data",
        str(mine),
        "--categories",
        "mug",
        "cup",
        "--steps",
        "1",
    ]
    words += ["--batch", "2", "--device", "cpu", "--workers", "0", "--output", str(tmp_path)]
    assert main(words) == 0
    said = capfd.readouterr().out
    assert "1 of 9 images are held back" in said and "3 carried over (chair, cup, book); 1 new (mug)" in said
    card = load_model(tmp_path / "my-cups.safetensors")[1]
    assert (card.name, card.vocabulary_name, card.vocabulary) == ("my-cups", "my-cups", (*OLD, "mug"))
    assert (card.size, card.method, card.reach, card.stop_below) == ("nano", "tasktp", "frame", ())
    with (tmp_path / "log.csv").open(newline="") as file:
        columns = next(csv.reader(file))
    assert {"loss_keep_class", "loss_keep_tokens", "val_AP"} <= set(columns)


def test_a_resumed_fine_tuning_has_the_losses_of_an_uninterrupted_one(old_model, mine, tmp_path, monkeypatch):
    tuning = tuning_of(str(old_model), ("cup", "mug"))
    recipe = tuning.recipe("my-cups")
    stage = replace(recipe.stages[0], steps=4, batch=2, inputs=((96, 128),), warm_up=1)
    recipe, original = replace(recipe, stages=(stage,)), Trainer._check

    def run(folder, tuning=tuning, **changes):
        fabric = fabric_module.Fabric(accelerator="cpu", devices=1, precision="32-true")
        settings = Run(tmp_path / folder, checkpoint_every=2, log_every=1, workers=0, **changes)
        train(recipe, settings, fabric, [Source(mine)], "train", str(old_model), 0, tuning)
        with (tmp_path / folder / "log.csv").open(newline="") as file:
            return [row["loss"] for row in csv.DictReader(file)]

    def broken(self, losses, number, step):
        if step == 3:
            raise RuntimeError("power cut")
        original(self, losses, number, step)

    whole = run("whole")
    monkeypatch.setattr(Trainer, "_check", broken)
    with pytest.raises(RuntimeError, match="power cut"):
        run("broken")
    monkeypatch.setattr(Trainer, "_check", original)
    with pytest.raises(
        DataError, match=r"is for the categories chair, cup, book, mug, in this order, not chair, cup, book, spoon"
    ):
        run("broken", tuning_of(str(old_model), ("spoon",)), resume=True)
    assert run("broken", resume=True) == whole


def test_the_length_follows_the_number_of_own_images_within_limits(old_model):
    stage = tuning_of(str(old_model), ("cup",)).recipe("x").stages[0]
    assert [steps_for(stage, images) for images in (10, 300, 100_000)] == [FEWEST_STEPS, 562, MOST_STEPS]
    assert steps_for(replace(stage, steps=7), 300) == 7


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["my-cups", "--categories", "cup"], "name it by --init"),
        (["my-cups", "--categories", "cup", "cup", "--init", "OLD"], "must be different names, got 'cup', 'cup'"),
        (
            ["rooms-nano", "--categories", "cup", "--init", "OLD"],
            "needs a name of its own, such as my-cups; got 'rooms-nano'",
        ),
        (["../x", "--categories", "cup", "--init", "OLD"], "needs a name of its own"),
        (["my-cups", "--categories", "cup", "--init", "OLD", "--freeze", "detector"], "leave --freeze and --gates out"),
        (["my-cups", "--categories", "cup", "--init", "OLD", "--teacher", "n.json"], "leave --teacher out"),
    ],
)
def test_what_cannot_be_fine_tuned_is_said_in_a_sentence(words, complaint, old_model, mine, capsys):
    words = [str(old_model) if word == "OLD" else word for word in words]
    assert main(["train", *words, "--data", str(mine)]) != 0
    assert complaint in capsys.readouterr().err
    with pytest.raises(InputError):
        tuning_of("none", ("cup",))
