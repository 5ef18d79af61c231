# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""When a gate may leave a frame: thresholds keep to the share of misses, save what they can, and end up in the model's file."""

import json

import numpy as np
import pytest
import torch

from tasktp_ros.cli import main as command
from tasktp_ros.detectors import build_detector
from tasktp_ros.evaluation.early_stop import Search, choose, halves, outcome
from tasktp_ros.runtime.checkpoints import ModelCard, load_model, save_model
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.tasks.vocabulary import ROOMS

TIMES = (10.0, 20.0, 30.0)


def searches(seed: int, count: int = 400) -> list[Search]:
    """Gates that know more the later they come."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        shown = number % 2 == 0
        logits = random.normal((1.0, 2.0, 3.0) if shown else (-1.0, -2.0, -3.0), 1.0)
        made.append(Search(number // 4, "cup", shown, tuple(1 / (1 + np.exp(-logits))), 40.0))
    return made


@pytest.mark.parametrize("miss", [0.0, 0.01, 0.05, 0.3])
def test_no_more_is_missed_than_allowed_and_more_misses_save_more(miss):
    found = searches(0)
    row = outcome(found, TIMES, choose(found, TIMES, miss))
    assert row["missed"] <= miss
    assert row["milliseconds_absent"] < row["milliseconds_whole"] == 40.0
    assert row["milliseconds_absent"] < row["milliseconds_shown"]
    strict = outcome(found, TIMES, choose(found, TIMES, miss / 2))
    assert row["milliseconds_absent"] <= strict["milliseconds_absent"]


def test_what_is_chosen_on_one_half_holds_on_the_other():
    chosen_on, measured_on = halves(searches(1, 4000))
    assert {one.image for one in chosen_on} & {one.image for one in measured_on} == set()
    assert len(chosen_on) == len(measured_on)
    row = outcome(measured_on, TIMES, choose(chosen_on, TIMES, 0.05))
    assert 0.02 < row["missed"] < 0.08


def test_a_gate_that_knows_nothing_is_not_asked():
    blind = [Search(one.image, "cup", one.shown, (0.5, *one.presence[1:]), 40.0) for one in searches(2)]
    thresholds = choose(blind, TIMES, 0.02)
    assert thresholds[0] <= 0.5 and outcome(blind, TIMES, thresholds)["missed"] <= 0.02


def test_outcomes_by_hand():
    found = [
        Search(0, "cup", True, (0.9, 0.2), 40.0),
        Search(0, "bed", True, (0.9, 0.9), 40.0),
        Search(1, "cup", False, (0.1, 0.1), 40.0),
        Search(1, "bed", False, (0.9, 0.9), 40.0),
    ]
    row = outcome(found, (10.0, 20.0), (0.5, 0.3))
    assert row == {
        "missed": 0.5,
        "left": 0.5,
        "milliseconds_shown": 30.0,
        "milliseconds_absent": 25.0,
        "milliseconds_whole": 40.0,
    }


def test_calibrating_writes_the_thresholds_into_the_model_and_nothing_else(tiny_set, tmp_path, capsys):
    torch.manual_seed(0)
    path, report = tmp_path / "model.safetensors", tmp_path / "curve.json"
    save_model(
        path, build_detector("nano", "tasktp", len(ROOMS)), ModelCard("m", "nano", "tasktp", "rooms", ROOMS, True)
    )
    before = load_model(path)[0].state_dict()
    words = ["calibrate", str(path), "--data", str(tiny_set), "--miss", "0.2", "--output", str(report)]
    assert command.main(words) == 0
    assert "<- taken" in capsys.readouterr().out
    network, card = load_model(path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    taken = json.loads(report.read_text())["taken"]
    assert card.reach == "frame" and list(card.stop_below) == taken["stop_below"] and taken["allowed"] == 0.2
    detector = TaskDetector.load(path)
    assert detector.reach == "frame" and detector.stop_below == card.stop_below


def test_a_model_whose_gates_do_not_estimate_presence_is_told_so_and_left_alone(tiny_set, tmp_path, capsys):
    path = tmp_path / "dense.safetensors"
    network = build_detector("nano", "dense", len(ROOMS))
    torch.nn.init.constant_(network.roi_head.bbox_head.fc_cls.bias[-1:], 10.0)  # all is background
    save_model(path, network, ModelCard("d", "nano", "dense", "rooms", ROOMS, True))
    before = path.read_bytes()
    assert command.main(["calibrate", str(path), "--data", str(tiny_set)]) == 0
    said = capsys.readouterr().out
    assert "do not estimate" in said and "scores stay as they are: 0 detections" in said
    assert command.main(["calibrate", "nano-untrained", "--data", str(tiny_set)]) == 2
    assert path.read_bytes() == before
