# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A segmenter learns through the same trainer: its losses are the paper's, frozen parts stay, and a run resumes."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tasktp_ros.datasets.augment import NO_AUGMENT
from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.errors import DataError, InputError, ModelError, TaskError
from tasktp_ros.evaluation.goal_iou import category_goals, iou, mean_iou
from tasktp_ros.runtime.segmenter_files import SegmenterCard, load_segmenter, save_segmenter
from tasktp_ros.runtime.task_segmenter import TaskSegmenter
from tasktp_ros.segmenters import GoalSegmenter, stages_of
from tasktp_ros.tasks.vocabulary import ROOMS
from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.pruner_lessons import shows_one_thing
from tasktp_ros.training.recipes import RECIPES
from tasktp_ros.training.run import train
from tasktp_ros.training.segment_objectives import PeerObjective, PruneObjective
from tasktp_ros.training.trainer import Run
from tasktp_ros.training.vltp_losses import (
    dice_loss,
    goal_masks,
    overlap_loss,
    patch_index,
    patch_target,
    prune_map_loss,
)
from tasktp_ros.vision.pruned_encoding import PruneStage
from tasktp_ros.vision.segmenter import SEGMENTERS, SegmenterConfig

SIDE = 64
NAMES = ("cup", "sink", "bed")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(
        SEGMENTERS, "sam_nano", lambda: SegmenterConfig(SIDE, 16, 8, 2, (1, 3, 5, 7), window=3, decoder_hidden=16)
    )


def recipe(name: str, **changes):
    found = RECIPES[name]
    stages = tuple(
        replace(stage, steps=2, batch=4, warm_up=1, inputs=((SIDE, SIDE),), augment=NO_AUGMENT, **changes)
        for stage in found.stages
    )
    return replace(found, stages=stages)


def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1, precision="32-true")


def trained(chosen, folder: Path, data: Path, start: str = "", **settings) -> dict[str, torch.Tensor]:
    train(chosen, Run(folder, workers=0, **settings), fabric(), data, "train", start)
    return load_segmenter(folder / f"{chosen.name}.safetensors")[0].state_dict()


def test_targets_of_patches():
    masks = torch.zeros(2, 48, 64, dtype=torch.bool)
    masks[0, 47, 63] = masks[0, 16, 0] = masks[1, 15, 16] = True
    target = patch_target(masks)
    assert target.shape == (2, 12)
    assert target[0].nonzero().flatten().tolist() == [patch_index(1, 0, 64), patch_index(2, 3, 64)] == [4, 11]
    assert target[1].nonzero().flatten().tolist() == [patch_index(0, 1, 64)]


def test_losses_by_hand():
    logits, target = torch.tensor([[0.0, 0.0, 20.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    dice = 1 - (2 * 1.5e-3 + 1e-6) / (2e-3 + 2e-3 + 1e-6)
    assert float(dice_loss(logits, target)) == pytest.approx(dice, rel=1e-4)
    crossed = 2 * math.log(2) / 3
    assert float(overlap_loss(logits, target)) == pytest.approx(2 * crossed + 0.5 * dice, rel=1e-4)
    nothing = torch.zeros(1, 3)
    assert float(dice_loss(nothing - 50, nothing)) < 1e-3 < 0.9 < float(dice_loss(nothing, nothing))
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[0, 0, 0] = True
    good, bad = torch.tensor([[9.0, -9.0, -9.0, -9.0]]), torch.tensor([[-9.0, 9.0, -9.0, -9.0]])
    mean = (overlap_loss(good, patch_target(mask)) + overlap_loss(bad, patch_target(mask))) / 2
    torch.testing.assert_close(prune_map_loss([good, bad], mask), mean)


def test_each_decoder_learns_from_its_own_loss():
    torch.manual_seed(0)
    segmenter = GoalSegmenter("sam_nano", 3)
    stage = replace(RECIPES["rooms-vltp-nano"].stages[0], inputs=((SIDE, SIDE),))
    objective = PruneObjective(segmenter, 3, stage)
    masks = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    masks[0, 4:30, 4:30] = True
    truth = Truth(torch.tensor([[4.0, 4, 30, 30]]), torch.tensor([1]), masks, torch.zeros(1, dtype=torch.bool))
    batch = Batch(torch.randint(0, 255, (2, SIDE, SIDE, 3), dtype=torch.uint8), [truth, truth])
    heads = {"loss_mask": segmenter.network.mask_decoder, "loss_prune": segmenter.network.prune_head}
    for name, own in heads.items():
        segmenter.zero_grad(set_to_none=True)
        objective(batch)[name].backward()
        taught = {other for other, head in heads.items() if any(p.grad is not None for p in head.parameters())}
        assert taught == {name} and any(p.grad is not None and p.grad.any() for p in own.parameters())


def test_a_goals_mask_unites_what_serves_it():
    masks = torch.zeros(3, 4, 4, dtype=torch.bool)
    for number in range(3):
        masks[number, number] = True
    truth = Truth(torch.zeros(3, 4), torch.tensor([0, 2, 0]), masks, torch.tensor([False, False, True]))
    empty = Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), masks[:0], torch.zeros(0, dtype=torch.bool))
    found = goal_masks([truth, truth, empty], torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 1]], dtype=torch.bool))
    assert torch.equal(found[0], masks[0] | masks[2]) and not found[1:].any()


def test_stages_train_what_they_say_and_nothing_else(tmp_path, tiny_set):
    dense = trained(recipe("rooms-vltp-nano-dense"), tmp_path / "dense", tiny_set)
    file = str(tmp_path / "dense/rooms-vltp-nano-dense.safetensors")
    both = trained(recipe("rooms-vltp-nano"), tmp_path / "both", tiny_set, file)
    one = trained(recipe("rooms-vltp-nano", freeze="detector"), tmp_path / "one", tiny_set, file)
    fresh = GoalSegmenter("sam_nano", 20).state_dict()
    assert dense.keys() == fresh.keys()

    def changed(before, after) -> set[str]:
        return {".".join(name.split(".")[:2]) for name in before if not torch.equal(before[name], after[name])}

    frozen = {name.split(".")[1] for name in changed(dense, both)}
    assert frozen == {"mask_decoder", "prune_head"}
    assert changed(dense, one) == {"network.prune_head"}
    card = load_segmenter(tmp_path / "both/rooms-vltp-nano.safetensors")[1]
    assert card.stages == ((4, 0.8), (6, 0.8)) and card.measured["trained_with"]["images"] == 12


@pytest.mark.parametrize("peer", ["cts", "dtop", "svit"])
def test_baselines_train_their_head_and_the_mask_decoder_around_the_same_encoder(tmp_path, tiny_set, peer: str):
    start = tmp_path / "start.safetensors"
    torch.manual_seed(0)
    save_segmenter(start, GoalSegmenter("sam_nano", 20), SegmenterCard("start", "sam_nano", ROOMS))
    before = load_segmenter(start)[0].state_dict()
    after = trained(recipe(f"rooms-vltp-nano-{peer}"), tmp_path / peer, tiny_set, str(start))
    changed = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"mask_decoder"} and any(name.startswith("pruner.") for name in after)
    segmenter, card = load_segmenter(tmp_path / peer / f"rooms-vltp-nano-{peer}.safetensors")
    assert card.pruner == peer and TaskSegmenter(segmenter, card).pruner is segmenter.pruner
    wrong = {"cts": ((1, 0.2),), "dtop": ((4, 0.5), (6, 0.4)), "svit": ((1, 0.2),)}[peer]
    save_segmenter(start, segmenter, replace(card, stages=wrong))
    with pytest.raises(ModelError, match=r"cannot be built: (CTS|DToP|SViT) "):
        load_segmenter(start)


@pytest.mark.parametrize("peer", ["cts", "dtop", "svit"])
def test_a_baselines_head_learns_what_its_paper_teaches(peer: str):
    torch.manual_seed(0)
    segmenter = GoalSegmenter("sam_nano", 3, peer)
    segmenter.network.requires_grad_(False)
    stage = RECIPES[f"rooms-vltp-nano-{peer}"].stages[0]
    objective = PeerObjective(segmenter, 3, stage)
    masks = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    masks[0, 4:30, 4:60] = True
    truth = Truth(torch.tensor([[4.0, 4, 60, 30]]), torch.tensor([1]), masks, torch.zeros(1, dtype=torch.bool))
    assert shows_one_thing(truth).tolist() == [False, False, True, True]
    batch = Batch(torch.randint(0, 255, (2, SIDE, SIDE, 3), dtype=torch.uint8), [truth, truth])
    name = {"cts": "loss_policy", "dtop": "loss_heads", "svit": "loss_share"}[peer]
    optimiser = torch.optim.Adam(segmenter.pruner.parameters(), lr=1e-2)

    def lesson() -> float:
        torch.manual_seed(1)
        return float(objective(batch)[name].detach())

    first = lesson()
    for _ in range(20):
        optimiser.zero_grad()
        objective(batch)[name].backward()
        optimiser.step()
    assert lesson() < 0.7 * first
    if peer == "svit":
        optimiser.zero_grad()
        objective(batch)["loss_mask"].backward()
        assert all(p.grad is not None for p in segmenter.pruner.parameters()), "gates learn from the masks, too"


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path, tiny_set):
    chosen = recipe("rooms-vltp-nano")
    whole = trained(chosen, tmp_path / "whole", tiny_set, checkpoint_every=2)
    first = replace(chosen, stages=chosen.stages[:1])
    trained(first, tmp_path / "parts", tiny_set, checkpoint_every=2)
    resumed = trained(chosen, tmp_path / "parts", tiny_set, checkpoint_every=2, resume=True)
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


def test_freezing_what_a_stage_does_not_train_is_refused(tmp_path, tiny_set):
    with pytest.raises(DataError, match="does not train the prune decoder"):
        trained(recipe("rooms-vltp-nano-dense", freeze="detector"), tmp_path, tiny_set)
    with pytest.raises(ModelError, match="does not exist"):
        trained(recipe("rooms-vltp-nano"), tmp_path / "other", tiny_set, "nowhere.safetensors")


@pytest.fixture
def segmenter() -> TaskSegmenter:
    torch.manual_seed(0)
    return TaskSegmenter(GoalSegmenter("sam_nano", 3), SegmenterCard("small", "sam_nano", NAMES, ((4, 0.5), (6, 0.75))))


def test_a_mask_comes_back_in_the_images_own_pixels(segmenter):
    image = np.random.default_rng(0).integers(0, 255, (30, 50, 3)).astype(np.uint8)
    with pytest.raises(InputError, match="needs a goal first"):
        segmenter.segment(image)
    segmenter.set_goal(["cup", "bed"])
    found = segmenter.segment(image)
    assert found.mask.shape == (30, 50) and found.mask.dtype == bool
    assert found.kept == (0.5, 0.25) and found.tokens.shape == (2, 4, 4)
    segmenter.stages = ()
    assert segmenter.segment(image).kept == ()
    with pytest.raises(InputError, match="after blocks 1 to 7"):
        segmenter.stages = (PruneStage(8, 0.5),)
    with pytest.raises(InputError, match="uint8"):
        segmenter.segment(image.astype(np.float32))


def test_a_goal_that_cannot_be_used_leaves_the_last_one(segmenter):
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    segmenter.set_goal(torch.ones(1, 1, 256))
    before = segmenter.segment(image)
    for goal, kind in (
        (["spoon"], TaskError),
        ([], TaskError),
        ("wash the cups", TaskError),
        (torch.zeros(10), InputError),
        (torch.full((256,), math.nan), InputError),
    ):
        with pytest.raises(kind):
            segmenter.set_goal(goal)
    assert np.array_equal(segmenter.segment(image).mask, before.mask)


def test_iou_of_goals(segmenter, tiny_set):
    some, none = np.array([[True, True, False]]), np.zeros((1, 3), np.bool_)
    assert iou(some, some) == 1.0 and iou(none, none) == 1.0 and iou(some, none) == 0.0
    assert iou(some, np.array([[False, True, True]])) == pytest.approx(1 / 3)
    goals = category_goals(CocoDataset.open(tiny_set, "val"), 4)
    for each in goals:
        assert len(each.goals) == len(each.masks) and each.masks.any((1, 2)).all()
    model = TaskSegmenter(GoalSegmenter("sam_nano", 20), SegmenterCard("m", "sam_nano", goals.dataset.vocabulary))
    assert 0.0 <= mean_iou(model, goals) <= 100.0


def test_files_are_whole_or_refused(tmp_path, segmenter):
    path = tmp_path / "model.safetensors"
    save_segmenter(path, segmenter.segmenter, segmenter.card)
    loaded, card = load_segmenter(path)
    assert card == segmenter.card and stages_of(card.stages)[0] == PruneStage(4, 0.5)
    weight = segmenter.segmenter.network.mask_decoder.iou_token.weight
    torch.testing.assert_close(loaded.network.mask_decoder.iou_token.weight, weight, rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        weight[0, 0] = math.nan
    for broken, said in (
        (lambda: save_segmenter(path, segmenter.segmenter, segmenter.card), "not finite"),
        (lambda: save_segmenter(path, GoalSegmenter("sam_nano", 4), segmenter.card), "does not fit"),
        (lambda: save_segmenter(path, loaded, replace(card, size="sam_x")), "cannot be built"),
        (lambda: save_segmenter(path, loaded, replace(card, stages=((9, 0.5),))), "cannot be built"),
        (lambda: save_segmenter(path, loaded, replace(card, vocabulary=("a", "a", "b"))), "unreadable card"),
        (lambda: path.write_bytes(path.read_bytes()[:900]), "not a whole"),
    ):
        broken()
        with pytest.raises(ModelError, match=said):
            load_segmenter(path)
