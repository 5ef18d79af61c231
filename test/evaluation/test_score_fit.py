# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What scores are worth: a fit finds the numbers that made the data, is measured elsewhere, and never makes things up."""

import json

import numpy as np
import pytest
import torch
from test_accuracy import truth_as_results
from tiny_set import write_set

from tasktp_ros.cli.main import main
from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation import score_fit
from tasktp_ros.evaluation.coco_ap import Truth
from tasktp_ros.evaluation.detect_set import detect_images
from tasktp_ros.evaluation.judged import Judged
from tasktp_ros.evaluation.score_fit import balance, fit, judge_images, quality
from tasktp_ros.runtime.checkpoints import ModelCard, load_model, save_model
from tasktp_ros.runtime.score_map import ScoreMap
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.tasks.vocabulary import ROOMS

TRUE = ScoreMap(1.6, 0.9)


def drawn(count: int, score_map: ScoreMap = TRUE, seed: int = 0) -> Judged:
    """Detections that are right as often as the map says, of two categories."""
    random = np.random.default_rng(seed)
    scores = random.uniform(0.05, 0.95, count)
    right = random.uniform(size=count) < score_map.probabilities(scores)
    return Judged(scores, right, random.integers(0, 2, count), np.array([count, count]), ("chair", "cup"))


@pytest.mark.parametrize("made_by", [TRUE, ScoreMap(0.5, -1.0), ScoreMap(1.0, 0.0)], ids=str)
def test_a_fit_finds_what_made_the_data_and_holds_elsewhere(made_by):
    seen, other = drawn(20_000, made_by), drawn(20_000, made_by, seed=1)
    found = fit(seen.scores, seen.right)
    assert (found.scale, found.shift) == pytest.approx((made_by.scale, made_by.shift), abs=0.08)
    assert quality(other, found)["calibration_error"] < 0.02
    if made_by.shift:
        assert quality(other)["calibration_error"] > 0.1


def test_precision_and_recall_balance_where_f1_is_highest():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    right = np.array([True, True, False, True, False, False])
    seen = Judged(scores, right, np.zeros(6, np.int64), np.array([4]), ("cup",))
    # F1 of the best 1 to 6: 2/5, 4/6, 4/7, 6/8, 6/9, 6/10
    assert balance(seen, seen) == {"score": 0.6, "precision": 0.75, "recall": 0.75}
    mapped = balance(seen, seen, ScoreMap(1.0, -1.0))
    assert (
        mapped["score"] == pytest.approx(np.floor(100 / (1 + np.exp(1) * 4 / 6)) / 100) and mapped["precision"] == 0.75
    )
    other = Judged(scores - 0.5, right, np.zeros(6, np.int64), np.array([4]), ("cup",))
    assert balance(seen, other) == {"score": 0.6, "precision": 0.0, "recall": 0.0}, (
        "chosen on the first, measured on the second"
    )


def test_no_other_numbers_are_more_likely():
    seen = drawn(2000)
    found = fit(seen.scores, seen.right)

    def likelihood(scale, shift):
        exact = 1 / (1 + np.exp(-(scale * np.log(seen.scores / (1 - seen.scores)) + shift)))
        return np.log(np.where(seen.right, exact, 1 - exact)).mean()

    best = likelihood(found.scale, found.shift)
    for scale, shift in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        assert likelihood(found.scale + scale, found.shift + shift) < best


def test_scores_that_part_right_from_wrong_still_give_finite_numbers():
    scores = np.linspace(0.05, 0.95, 200)
    found = fit(scores, scores > 0.4)
    low, high = found.probabilities(np.array([0.1, 0.9]))
    assert low < 0.02 and high > 0.98 and found.scale < 100
    assert fit(np.array([0.0, 1.0] * 50), np.array([False, True] * 50)).scale > 0


@pytest.mark.parametrize(
    ("scores", "right", "sentence"),
    [
        (np.full(49, 0.5), np.ones(49, bool), "49 detections are too few to fit on, 50 are needed"),
        (np.zeros(0), np.zeros(0, bool), "0 detections are too few"),
        (np.linspace(0.1, 0.9, 60), np.zeros(60, bool), "none of 60 detections is right"),
        (np.linspace(0.1, 0.9, 60), np.arange(60) < 30, "do not score higher than wrong ones"),
    ],
)
def test_what_nothing_can_be_fitted_on(scores, right, sentence):
    with pytest.raises(DataError, match=f"scores stay as they are: .*{sentence}"):
        fit(scores, right)


def test_quality_by_hand():
    found = Judged(
        np.array([0.9, 0.9, 0.6, 0.4]),
        np.array([True, False, True, True]),
        np.array([0, 0, 0, 1]),
        np.array([4, 1, 0]),
        ("chair", "cup", "bed"),
    )
    row = quality(found)
    assert row["detections"] == 4 and [one["detections"] for one in row["bins"]] == [1, 1, 2]
    assert row["calibration_error"] == pytest.approx((0.6 + 0.4 + 2 * 0.4) / 4)
    assert (row["objects"], row["precision"], row["recall"]) == (5, pytest.approx(2 / 3, abs=1e-5), 0.4)
    assert row["of"] == {
        "chair": {"objects": 4, "precision": pytest.approx(2 / 3, abs=1e-5), "recall": 0.5},
        "cup": {"objects": 1, "precision": None, "recall": 0.0},
        "bed": {"objects": 0, "precision": None, "recall": None},
    }
    surer = quality(found, ScoreMap(1.0, 1.0))
    assert surer["recall"] == 0.6 and surer["of"]["cup"]["precision"] == 1.0
    nothing = Judged(np.zeros(0), np.zeros(0, bool), np.zeros(0, int), np.array([1]), ("cup",))
    assert quality(nothing)["calibration_error"] == 0.0 and quality(nothing)["recall"] == 0.0


def one_image(folder, annotations):
    """A data set of a single image with these annotations of category 1."""
    write_set(folder, "val", 1)
    file = folder / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    content["annotations"] = [{"image_id": 1, "category_id": 1, "iscrowd": 0} | row for row in annotations]
    file.write_text(json.dumps(content))
    return CocoDataset.open(folder, "val")


def test_a_second_box_on_an_object_is_wrong_and_crowds_do_not_count(tmp_path):
    dataset = one_image(tmp_path, [{"bbox": [0, 0, 20, 20]}, {"bbox": [50, 50, 40, 40], "iscrowd": 1}])
    row = {"image_id": 1, "category_id": 1}
    results = [
        row | {"bbox": [0, 0, 20, 12], "score": 0.9},
        row | {"bbox": [0, 0, 20, 20], "score": 0.8},
        row | {"bbox": [0, 0, 20, 9], "score": 0.95},
        row | {"bbox": [52, 52, 10, 10], "score": 0.7},
        row | {"bbox": [0, 0, 20, 20], "score": 0.6, "category_id": 2},
    ]
    found = Truth(dataset).judge(results, dataset.vocabulary[:2], [1])
    assert found.objects.tolist() == [1, 0]
    judged = sorted(zip(found.scores.tolist(), found.right.tolist(), found.categories.tolist(), strict=True))
    assert judged == [(0.6, False, 1), (0.8, False, 0), (0.9, True, 0), (0.95, False, 0)]


def test_average_precision_is_that_of_the_scores_as_they_were(tmp_path):
    write_set(tmp_path, "val", 12, seed=3)
    dataset, random = CocoDataset.open(tmp_path, "val", ROOMS), np.random.default_rng(0)
    results = [row | {"score": float(np.float32(random.uniform(0.05, 1)))} for row in truth_as_results(dataset)]
    for row in list(results):
        x, y, w, h = row["bbox"]
        results.append(row | {"bbox": [x + w / 4, y, w, h], "score": float(np.float32(random.uniform(0.05, 1)))})
        results.append(row | {"bbox": [x, y + h, w, h], "score": float(np.float32(random.uniform(0.05, 1)))})
    scores = np.array([row["score"] for row in results])
    truth = Truth(dataset)
    before = truth.precision(results, ROOMS, dataset.image_ids)["box"]
    assert 5 < before["AP"] < 95
    for score_map in (TRUE, ScoreMap(0.4, -2.0), ScoreMap(3.0, 1.0)):
        mapped = score_map.probabilities(scores).tolist()
        changed = [row | {"score": score} for row, score in zip(results, mapped, strict=True)]
        after = truth.precision(changed, ROOMS, dataset.image_ids)["box"]
        at_half = [key for key in before if "0.5" in key or "half" in key]
        assert {k: v for k, v in after.items() if k not in at_half} == {
            k: v for k, v in before.items() if k not in at_half
        }
        assert after["recall_at_0.5"] != before["recall_at_0.5"]


def random_model(path, method, std=0.5, score_map=None, background=0.0):
    torch.manual_seed(0)
    network = build_detector("nano", method, len(ROOMS))
    torch.nn.init.normal_(network.roi_head.bbox_head.fc_cls.weight, std=std)
    torch.nn.init.constant_(network.roi_head.bbox_head.fc_cls.bias[-1:], background)
    save_model(path, network, ModelCard("m", "nano", method, "rooms", ROOMS, True, score_map=score_map))
    return path


def test_evaluation_sees_the_same_detections_with_a_map_and_calibration_sees_through_it(tiny_set, tmp_path):
    dataset = CocoDataset.open(tiny_set, "val", ROOMS)
    detector = TaskDetector.load(random_model(tmp_path / "m.safetensors", "dense", score_map=ScoreMap(2.0, -1.0)))
    mapped = [found for _, found in detect_images(detector, dataset, range(4))]
    halves = judge_images(detector, dataset, range(4))
    raw = [found for _, found in detect_images(detector, dataset, range(4))]
    assert sum(map(len, raw)) > 50 and min(float(found.scores.min()) for found in mapped) < 0.05
    for one, other in zip(raw, mapped, strict=True):
        assert np.array_equal(one.boxes, other.boxes) and one.names == other.names
    for first, half in enumerate(halves):
        expected = np.concatenate([found.scores for found in raw[first::2]])
        assert np.array_equal(np.sort(half.scores), np.sort(expected.astype(np.float64)))


@pytest.mark.parametrize("method", ["dense", "tasktp"])
def test_the_command_writes_the_map_and_says_what_it_changed(method, tiny_set, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(score_fit, "judge_images", lambda *_: (drawn(3000), drawn(3000, seed=1)))
    model, output = random_model(tmp_path / "m.safetensors", method, 0.01), tmp_path / "report.json"
    before = load_model(model)[0].state_dict()
    assert main(["calibrate", str(model), "--data", str(tiny_set), "--output", str(output)]) == 0
    text, report = capsys.readouterr().out, json.loads(output.read_text())["scores"]
    network, card = load_model(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert card.score_map == ScoreMap(**report["score_map"]) == TaskDetector.load(model).score_map
    assert card.reach == ("blocks" if method == "dense" else "frame")
    assert report["after"]["calibration_error"] < 0.05 < report["before"]["calibration_error"]
    assert report["after"]["recall"] > report["before"]["recall"] and set(report["after"]["of"]) == {"chair", "cup"}
    assert "calibration error on the other half, 3000 detections" in text and "chair" in text
    assert ("do not estimate" in text) == (method == "dense")


def test_a_model_that_finds_nothing_keeps_its_scores(tiny_set, tmp_path, capsys):
    old = ScoreMap(2.0, 0.0)
    model = random_model(tmp_path / "m.safetensors", "dense", 0.01, old, background=10.0)
    before = model.read_bytes()
    assert main(["calibrate", str(model), "--data", str(tiny_set), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "scores stay as they are" in report["scores"]["refused"] and "after" not in report["scores"]
    assert model.read_bytes() == before and load_model(model)[1].score_map == old
