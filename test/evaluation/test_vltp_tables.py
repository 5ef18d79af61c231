# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's tables: rows scale to a network's depth, GFLOPs are the paper's count, and the command measures what it has models for."""

import json

import numpy as np
import pytest
import torch

from tasktp_ros.cli.main import main
from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.errors import InputError
from tasktp_ros.evaluation.goal_iou import CategoryGoals, SentenceGoals, all_ious, percent
from tasktp_ros.evaluation.operations import operation_counter
from tasktp_ros.evaluation.vltp_measure import contenders, encoder_gflops, matched_stages, measure, scaled_stages
from tasktp_ros.evaluation.vltp_tables import MODELS, TABLES
from tasktp_ros.runtime.segmenter_files import SegmenterCard, save_segmenter
from tasktp_ros.runtime.task_segmenter import TaskSegmenter
from tasktp_ros.segmenters import GoalSegmenter
from tasktp_ros.tasks.vocabulary import ROOMS
from tasktp_ros.vision.pruned_encoding import PruneStage
from tasktp_ros.vision.segment_pruners import PRUNERS, RandomPruner, build_pruner
from tasktp_ros.vision.segmenter import SEGMENTERS, SegmenterConfig, build_segmenter


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(
        SEGMENTERS,
        "sam_nano",
        lambda: SegmenterConfig(96, 16, 8, 2, (1, 3, 5, 7), window=4, decoder_hidden=16, prune_channels=16),
    )


def model(pruner: str = "vltp") -> TaskSegmenter:
    torch.manual_seed(0)
    card = SegmenterCard(f"small {pruner}", "sam_nano", ROOMS, pruner=pruner)
    return TaskSegmenter(GoalSegmenter("sam_nano", 20, pruner), card)


@pytest.mark.parametrize(("size", "published"), [("sam_h", 2976), ("sam_l", 1491)])
def test_gflops_are_counted_as_the_paper_counts_them(size: str, published: int):
    with torch.device("meta"):
        network = build_segmenter(size).requires_grad_(False)
        with torch.no_grad(), operation_counter() as counter:
            network.image_encoder(torch.empty(1, 3, 1024, 1024))
    assert counter.get_total_flops() / 2e9 == pytest.approx(published, rel=0.002)


def test_rows_scale_to_the_depth():
    row = TABLES[5][7]
    assert scaled_stages(row, 32) == (PruneStage(8, 0.2), PruneStage(16, 0.4), PruneStage(24, 0.4))
    assert [stage.after for stage in scaled_stages(row, 8)] == [2, 4, 6]
    with pytest.raises(InputError, match="a network of 2 blocks"):
        scaled_stages(row, 2)
    for table in TABLES.values():
        for each in table:
            assert each.model in MODELS and len(each.places) == len(each.rates)
            scaled_stages(each, 8)


def test_pruning_costs_less_and_random_scores_cost_nothing():
    segmenter, random = model(), build_pruner("random", 16, 8, 20)
    dense = encoder_gflops(segmenter, ())
    half, most = (encoder_gflops(segmenter, (PruneStage(4, rate),), random) for rate in (0.5, 0.9))
    assert most < half < dense
    # Half of the tokens leave half of four blocks' linear layers, and less than half of their attention.
    blocks = 36 * 12 * 16**2 * 4 / 1e9
    assert dense - half >= 0.5 * blocks
    assert encoder_gflops(segmenter, (PruneStage(4, 0.5),)) > half


@pytest.mark.parametrize("name", list(PRUNERS))
def test_baselines_get_the_operations_of_the_row_they_are_compared_with(name: str):
    segmenter = model("vltp" if name == "random" else name)
    pruner = segmenter.pruner or build_pruner(name, 16, 8, 20)
    budget = encoder_gflops(segmenter, pruner.stages_for(8, 0.37), pruner)
    stages = matched_stages(segmenter, pruner, budget)
    assert encoder_gflops(segmenter, stages, pruner) == pytest.approx(budget, rel=0.02)
    assert budget < encoder_gflops(segmenter, pruner.stages_for(8, 0.0), pruner)


def test_rows_measured_together_have_the_numbers_that_each_has_alone(tiny_set):
    """The slow twin: one goal, one row, one image at a time."""
    images = CategoryGoals(CocoDataset.open(tiny_set, "val", ROOMS), 3)
    models = {"dense": model(), "half": model(), "dtop": model("dtop")}
    entries = [entry for entry in contenders(TABLES[7], models) if not isinstance(entry.pruner, RandomPruner)]
    assert [entry.row.label for entry in entries] == ["no pruning", "VLTP 50 %", "DToP"]
    for entry, row in zip(entries, measure(entries, images), strict=True):
        alone = entry.segmenter
        alone.pruner, alone.stages = entry.pruner, entry.stages
        assert row["mIoU"] == pytest.approx(percent(all_ious(alone, images)), abs=0.2) and row["pairs"]


def test_sentences_are_goals_whose_masks_are_the_union_of_what_serves_them(tiny_set):
    dataset = CocoDataset.open(tiny_set, "val", ROOMS)
    goals = list(SentenceGoals(dataset, len(dataset), "common"))
    assert goals
    for each in goals:
        assert len(each.goals) == len(each.masks) and each.masks.any((1, 2)).all()
        assert all(isinstance(goal, str) for goal in each.goals)


def test_a_goal_that_nobody_understands_scores_nothing(tiny_set):
    dataset = CocoDataset.open(tiny_set, "val", ROOMS)
    (entry,) = contenders(TABLES[8][:1], {"dense": model()})
    (row,) = measure([entry], SentenceGoals(dataset, 4, "common"))
    assert row["mIoU"] == 0.0 and row["pairs"], "the segmenter was given no source of guidance"


def test_a_row_refuses_a_model_that_was_trained_otherwise():
    with pytest.raises(InputError, match="row 'DToP' needs a model trained with dtop, small vltp was with vltp"):
        contenders(TABLES[7], {"half": model(), "dtop": model()})


def test_the_command_measures_rows_it_has_models_for(tmp_path, tiny_set, capsys):
    path = tmp_path / "half.safetensors"
    save_segmenter(path, model().segmenter, SegmenterCard("half", "sam_nano", ROOMS, ((4, 0.5), (6, 0.5))))
    words = ["vltp", "--half", str(path), "--data", str(tiny_set), "--images", "2", "--device", "cpu"]
    assert main([*words, "--table", "6", "--json", "--output", str(tmp_path / "table.json")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["table"] == 6 and len(report["rows"]) == 6
    assert report["rows"][1]["stages"] == [[4, 0.5], [6, 0.5]] and report["rows"][1]["paper"]["mIoU"] == 60.1
    assert all(0 <= row["mIoU"] <= 100 and row["pairs"] for row in report["rows"])
    costs = np.array([row["gflops"] for row in report["rows"]])
    assert (costs[[0, 2, 4]] < costs[[1, 3, 5]]).all(), "a second stage costs a second look"
    assert json.loads((tmp_path / "table.json").read_text())["rows"] == report["rows"]
    assert main([*words, "--table", "7"]) == 0
    text = capsys.readouterr().out
    assert "random as VLTP 50 %" in text and "DToP" not in text and "60.4" not in text, (
        "rows of models that were not given are left out"
    )
    assert main([*words, "--table", "8", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["goals"] for row in rows] == ["categories", "common", "uncommon"]
    assert [row["paper"]["mIoU"] for row in rows] == [60.1, 60.1, 37.5]
    assert main(["vltp", "--table", "3", "--data", str(tiny_set)]) == 2
    assert "--dense or --prune or --half" in capsys.readouterr().err
