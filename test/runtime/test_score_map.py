# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""From scores to probabilities: no order changes, the way back leads back, and thresholds speak of what results show."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktp_ros import TaskDetector
from tasktp_ros.detectors import build_detector
from tasktp_ros.evaluation.operations import run_network
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.score_map import ScoreMap
from tasktp_ros.runtime.stream import TokenStream
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.vision.detector import Detector

MAPS = st.builds(ScoreMap, st.floats(0.2, 4.0), st.floats(-4.0, 4.0))
SCORES = st.floats(2.0**-20, 1.0 - 2.0**-20, width=32)
UNSURE = ScoreMap(1.4, 0.8)


@settings(deadline=None)
@given(MAPS, st.lists(SCORES, min_size=2, max_size=50))
def test_no_order_changes(score_map, scores):
    ordered = np.sort(np.array(scores, np.float32))
    made = score_map.probabilities(ordered)
    assert made.dtype == np.float32 and made.shape == ordered.shape
    assert (np.diff(made) >= 0).all() and (made >= 0).all() and (made <= 1).all()
    apart = np.diff(ordered) > 1e-3
    assert (np.diff(made.astype(np.float64))[apart & (made[1:] < 0.999)] > 0).all()


@settings(deadline=None)
@given(MAPS, st.floats(0.001, 0.999))
def test_the_way_back_leads_back(score_map, score):
    logit = math.log(score / (1 - score))
    probability = 1 / (1 + math.exp(-(score_map.scale * logit + score_map.shift)))
    assert score_map.probabilities(np.array([score]))[0] == pytest.approx(probability, rel=1e-6)
    assert score_map.score(probability) == pytest.approx(score, rel=1e-6)


@settings(max_examples=300, deadline=None)
@given(MAPS, st.floats(0.0, 1.0), st.lists(SCORES, max_size=30))
def test_a_cut_off_loses_nothing_and_lets_hardly_anything_through(score_map, threshold, scores):
    around = np.float32(score_map.score(threshold))
    tried = [*map(np.float32, scores), around, np.nextafter(around, np.float32(1)), np.nextafter(around, np.float32(0))]
    tried = np.array(tried, np.float32)
    cut_off = score_map.cut_off(threshold)
    wanted = score_map.probabilities(tried) > threshold
    assert (tried[wanted] > np.float32(cut_off)).all(), "what is wanted lies above the cut-off"
    assert cut_off >= score_map.score(threshold - 1e-6) - 1e-6, "and nothing far below the threshold does"


@pytest.mark.parametrize("score_map", [ScoreMap(1.0, 0.0), UNSURE, ScoreMap(0.3, -2.0)], ids=str)
def test_ends_stay_ends(score_map):
    assert score_map.probabilities(np.array([0.0, 1.0], np.float32)).tolist() == [0.0, 1.0]
    assert [score_map.score(end) for end in (-1.0, 0.0, 1.0, 2.0)] == [0.0, 0.0, 1.0, 1.0]
    assert score_map.cut_off(0.0) == 0.0 and score_map.cut_off(1.0) < 1.0
    assert score_map.probabilities(np.zeros(0, np.float32)).shape == (0,)


def test_one_and_nothing_is_no_change():
    scores = np.linspace(0.01, 0.99, 99, dtype=np.float32)
    np.testing.assert_allclose(ScoreMap(1.0, 0.0).probabilities(scores), scores, rtol=1e-6)


@pytest.mark.parametrize("numbers", [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (1.0, math.inf), ("1", 0.0)], ids=str)
def test_numbers_that_are_no_map(numbers):
    with pytest.raises(ValueError, match="finite scale above 0"):
        ScoreMap(*numbers)


def picture(seed=0):
    random = np.random.default_rng(seed)
    return np.kron(random.integers(0, 255, (6, 8, 3), dtype=np.uint8), np.ones((20, 20, 1), dtype=np.uint8))


@pytest.fixture(scope="module")
def loaded():
    torch.manual_seed(0)
    network = build_detector("nano", "tasktp", len(COCO))
    torch.nn.init.normal_(network.roi_head.bbox_head.fc_cls.weight, std=0.3)
    torch.nn.init.normal_(network.rpn_head.rpn_cls.weight, std=0.3)
    card = ModelCard("random", "nano", "tasktp", "coco", COCO, trained=False, input_size=(128, 160), score_map=UNSURE)
    return TaskDetector(network, card, torch.device("cpu"), torch.float32)


@pytest.fixture(params=["dynamic", "static"])
def detector(loaded, request):
    loaded.execution, loaded.score_map, loaded.max_detections = request.param, UNSURE, 100
    return loaded


def detect(detector, score_map, threshold, **arguments):
    detector.score_map, detector.score_threshold = score_map, threshold
    return detector.detect(picture(), **arguments)


def test_results_are_the_same_but_for_their_scores(detector):
    assert detector.card.score_map == UNSURE
    raw = detect(detector, None, 0.1)
    mapped = detect(detector, UNSURE, float(UNSURE.probabilities(np.array([0.1]))[0]))
    assert len(raw) > 3 and raw.names == mapped.names
    assert np.array_equal(raw.boxes, mapped.boxes) and np.array_equal(raw.instance_map(), mapped.instance_map())
    assert np.array_equal(mapped.scores, UNSURE.probabilities(raw.scores)) and mapped.scores.dtype == np.float32
    assert (mapped.scores > raw.scores).any(), "or nothing was tried"


def test_the_threshold_is_compared_with_the_scores_of_results(detector):
    everything = detect(detector, UNSURE, 0.05)
    network = detect(detector, None, 0.001).scores
    kept = []
    for threshold in (0.1, 0.2, 0.3, float(everything.scores[2])):
        found = detect(detector, UNSURE, threshold)
        expected = everything.scores > np.float32(threshold)
        assert np.array_equal(found.scores, everything.scores[expected]), "detections score more than the threshold"
        assert len(found.boxes) == len(found.labels) == len(found.mask_windows) == len(found)
        kept.append(len(found))
    assert kept[-1] == 2, "the threshold itself is not more than the threshold"
    assert kept[1] != int((network > 0.2).sum()), "a threshold on the network's scores would give other results"


def test_the_best_stay_where_there_is_room_for_few(detector):
    everything = detect(detector, UNSURE, 0.05)
    detector.max_detections = 2
    found = detect(detector, UNSURE, 0.05)
    assert len(everything) > 2 and np.array_equal(found.scores, everything.scores[:2])


def test_a_stream_and_a_network_on_its_own_use_the_same_threshold(loaded, monkeypatch):
    loaded.execution = "dynamic"
    expected = detect(loaded, UNSURE, 0.3)
    found = detect(loaded, UNSURE, 0.3, arrival=TokenStream().at(0.0))
    assert len(expected) and np.array_equal(found.scores, expected.scores)
    seen = []
    forward = Detector.forward

    def listens(network, images, shapes, state, threshold, most):
        seen.append(threshold)
        return forward(network, images, shapes, state, threshold, most)

    monkeypatch.setattr(Detector, "forward", listens)
    run_network(loaded, picture())
    loaded.detect(picture())
    assert seen == [loaded.cut_off] * 2 and loaded.cut_off == pytest.approx(UNSURE.score(0.3), rel=1e-5)
    loaded.score_map = None
    assert loaded.cut_off == 0.3 and loaded.in_results(0.05) == 0.05


def test_a_card_without_a_map_leaves_scores_alone():
    other = TaskDetector.load("nano-untrained", device="cpu", precision="float32")
    assert other.score_map is None and other.cut_off == other.score_threshold == 0.5
