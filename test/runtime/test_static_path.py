# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Frames in static shapes: the same result as ever, whatever fits or not, and a change of the task only writes to a buffer."""

import numpy as np
import pytest
import torch

from tasktp_ros import TaskDetector
from tasktp_ros.detectors import build_detector
from tasktp_ros.runtime.capacity import CapacityChooser, capacities
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.static_path import StaticPath
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.vision import static_heads
from tasktp_ros.vision.constants import constant, holding
from tasktp_ros.vision.static_detector import Slots, unpack


def picture(height=120, width=160, seed=0):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((height // 6 + 1, width // 8 + 1, 1), dtype=np.uint8))[:height, :width].copy()


def random_detector(method: str, size: str = "nano") -> TaskDetector:
    """A random network on small images whose gates care about the task, and whose scores are far from their limits."""
    torch.manual_seed(0)
    network = build_detector(size, method, len(COCO))
    torch.nn.init.normal_(network.roi_head.bbox_head.fc_cls.weight, std=0.3 if size.startswith("nano") else 0.05)
    torch.nn.init.normal_(network.rpn_head.rpn_cls.weight, std=0.3)
    for gate in getattr(network.backbone, "selectors", ()):
        torch.nn.init.normal_(gate.mlp.fc1.weight, std=0.3)
        torch.nn.init.normal_(gate.mlp.fc2.weight, std=0.5)
        torch.nn.init.normal_(gate.score_shift[2].weight, std=1.0)
    card = ModelCard("random", size, method, "coco", COCO, trained=False, input_size=(128, 160))
    return TaskDetector(network, card, torch.device("cpu"), torch.float32)


@pytest.fixture
def detector():
    detector = random_detector("tasktp")
    detector.score_threshold = 0.1
    return detector


def both(detector: TaskDetector, image: np.ndarray) -> tuple:
    """The image's detections by the dynamic path, and by the path that the detector is set to."""
    execution, static = detector.execution, detector._static
    detector._execution, detector._static = "dynamic", None
    expected = detector.detect(image)
    detector._execution, detector._static = execution, static
    return expected, detector.detect(image)


def assert_same(found, expected) -> None:
    """Same kept tokens and classes; boxes within a hundredth of a pixel; masks but for pixels on the threshold."""
    assert np.array_equal(found.token_masks, expected.token_masks)
    assert found.names == expected.names
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    assert np.mean(found.instance_map() != expected.instance_map()) < 1e-3
    np.testing.assert_allclose(found.presence, expected.presence, atol=1e-4)
    assert (found.task, found.frame, found.reach) == (expected.task, expected.frame, expected.reach)


@pytest.mark.parametrize(
    ("method", "size", "reach"),
    [
        ("dense", "nano", "frame"),
        ("dynamicvit", "nano", "network"),
        ("evit_remove", "nano", "blocks"),
        ("evovit", "nano", "network"),
        ("tome", "nano", "frame"),
        ("ats", "nano", "blocks"),
        ("tasktp", "nano_csp", "frame"),
        *(("tasktp", "nano", reach) for reach in ("blocks", "network", "frame")),
        *(("svit", "nano", reach) for reach in ("blocks", "network")),
        *(("tasktp", "deit_tiny", reach) for reach in ("blocks", "network")),
    ],
)
def test_static_equals_dynamic(method, size, reach):
    detector = random_detector(method, size)
    detector.execution, detector.reach = "static", reach
    detector.score_threshold = 0.02 if size.startswith("nano") else 0.3
    seen = 0
    for seed, task in enumerate((None, ["cup"], ["person", "chair"], None)):
        detector.set_task(task, threshold=0.45)
        expected, found = both(detector, picture(seed=seed))
        assert_same(found, expected)
        seen += len(found)
    assert seen > 0
    if method == "ats":
        assert detector.execution == "dynamic", "how many tokens it keeps is known only when it has"
    else:
        assert detector._static.left_over == 0


@pytest.mark.parametrize("shape", [(120, 160), (160, 120), (97, 131), (33, 7), (1, 1), (480, 640)])
def test_any_image(detector, shape):
    detector.execution = "static"
    expected, found = both(detector, picture(*shape))
    assert_same(found, expected)
    view = picture(*shape)[..., ::-1].copy()[..., ::-1]
    assert_same(detector.detect(view), expected)


def test_more_kept_tokens_than_rows_run_again_and_nothing_is_cut(detector):
    detector.execution = "static"
    static = detector._static
    image = picture()
    expected, found = both(detector, image)
    assert static.repeated == 0, "where nothing is known there is room for all"
    program = next(iter(static._programs.values()))
    most, least = max(found.kept_tokens), program.chooser.buckets[0]
    assert least < most
    for _ in range(10):
        program.chooser.note(0)
    assert program.chooser.choose() == least
    assert_same(detector.detect(image), expected)
    assert static.repeated >= 1
    before = static.repeated
    assert_same(detector.detect(image), expected)
    assert static.repeated == before, "the next frame has room"


def test_a_new_task_writes_to_buffers_and_makes_nothing_new(detector):
    detector.execution = "static"
    detector.warm_up(120, 160)
    program = next(iter(detector._static._programs.values()))
    runs, buffers = dict(program._runs), (program._relevant.data_ptr(), program._pixels.data_ptr())
    assert set(runs) == set(program.chooser.buckets)
    results = []
    for task in (["cup"], ["person", "dog"], None, ["cup"]):
        detector.set_task(task, threshold=0.4)
        expected, found = both(detector, picture())
        assert_same(found, expected)
        results.append(found)
    assert list(detector._static._programs.values()) == [program] and program._runs == runs
    assert (program._relevant.data_ptr(), program._pixels.data_ptr()) == buffers
    assert results[0].kept_tokens == results[3].kept_tokens != results[2].kept_tokens


def test_what_does_not_fit_the_heads_is_left_to_the_dynamic_path(detector, monkeypatch):
    monkeypatch.setattr(static_heads, "CANDIDATES", 5)
    detector.execution = "static"
    expected, found = both(detector, picture())
    assert len(expected) > 5
    assert_same(found, expected)
    assert detector._static.left_over == 1


def test_a_frame_is_left_at_the_gate_that_keeps_nothing():
    detector = random_detector("tasktp")
    detector.execution, detector.reach = "static", "frame"
    detector.set_task(None, threshold=0.999999)
    expected, found = both(detector, picture())
    assert len(found) == 0 and not found.token_masks.any()
    assert_same(found, expected)
    assert detector._static.left_over == 0


@pytest.mark.parametrize("most", [1, 3, 150])
def test_as_many_detections_as_asked_for(detector, most):
    detector.execution, detector.max_detections, detector.score_threshold = "static", most, 0.05
    expected, found = both(detector, picture(480, 640))
    assert len(found) == len(expected) and (len(found) == most or most == 150)
    assert_same(found, expected)


def test_shares_can_be_forced(detector):
    detector.execution, detector.forced_share = "static", 0.25
    expected, found = both(detector, picture())
    assert_same(found, expected)
    assert found.kept_tokens == expected.kept_tokens == (-(-found.total_tokens // 4),) * 9


def test_only_a_few_geometries_are_remembered(detector):
    detector.execution = "static"
    for height in range(100, 112):
        detector.detect(picture(height))
    assert 1 < len(detector._static._programs) <= 8


def test_executions(detector):
    assert detector.execution == "dynamic"
    with pytest.raises(ValueError, match="unknown execution 'fast'; expected one of dynamic, static, graphs"):
        detector.execution = "fast"
    with pytest.raises(ValueError, match="'graphs' needs a CUDA device, and this detector is on cpu"):
        detector.execution = "graphs"
    assert detector.execution == "dynamic"
    detector.execution = "static"
    assert isinstance(detector._static, StaticPath)
    detector.close()
    assert detector._static is None


@pytest.mark.parametrize("tokens", [1, 4, 31, 32, 48, 320, 999, 4200])
def test_capacities_are_few_and_the_last_holds_all(tokens):
    few = capacities(tokens)
    assert list(few) == sorted(set(few)) and len(few) <= 4 and few[-1] == tokens
    assert all(capacity % 32 == 0 for capacity in few[:-1])


def test_capacities_of_a_full_sized_image():
    assert capacities(4200) == (544, 1056, 2112, 4200)


def test_the_next_capacity_follows_the_last_counts():
    chooser = CapacityChooser((32, 64, 128, 200))
    assert chooser.choose() == 200
    chooser.note(25)
    assert chooser.choose() == 32
    chooser.note(30)
    assert chooser.choose() == 64, "a tenth more than the most"
    chooser.note(190)
    assert chooser.choose() == 200
    for _ in range(8):
        chooser.note(10)
    assert chooser.choose() == 32, "long ago does not count"
    assert chooser.fitting(64) == 64 and chooser.fitting(65) == 128
    chooser.forget()
    assert chooser.choose() == 200


@pytest.mark.parametrize(("gated_blocks", "gates"), [(0, 0), (9, 0), (9, 3)])
def test_what_is_packed_comes_out_again(gated_blocks, gates):
    slots = Slots(
        torch.rand(7, 4), torch.rand(7), torch.arange(7), torch.rand(7, 28, 28), torch.tensor([3]),
        torch.tensor([True]), torch.rand(gated_blocks, 15) < 0.5, torch.rand(gates) < 0.5, torch.rand(gates),
    )  # fmt: skip
    found = unpack(slots.pack().numpy(), slots.layout())
    assert len(found) == 9
    for name, array in found.items():
        assert np.array_equal(array, getattr(slots, name).numpy())
        assert array.dtype == getattr(slots, name).numpy().dtype


def test_constants_that_a_graph_reads_are_held_though_they_are_forgotten():
    first = constant((1.5, 2.5), torch.float32, torch.device("cpu"))
    with holding() as held:
        assert constant((1.5, 2.5), torch.float32, torch.device("cpu")) is first
    for number in range(100):
        constant((float(number),), torch.float32, torch.device("cpu"))
    assert len(held) == 1 and held[0] is first
    assert constant((1.5, 2.5), torch.float32, torch.device("cpu")) is not first
