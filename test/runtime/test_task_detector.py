# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""TaskDetector: the interface a robot uses, in source pixels, for any camera, task and thread."""

import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from tasktp_ros import TaskDetector
from tasktp_ros.errors import InputError, ModelError, TaskError
from tasktp_ros.runtime.models import untrained_nano
from tasktp_ros.runtime.prepare import prepare_for_inference


@pytest.fixture(scope="module")
def detector():
    return TaskDetector.load("nano-untrained", device="cpu", precision="float32")


@pytest.fixture(autouse=True)
def all_categories(detector):
    detector.set_task(None)
    detector.score_threshold, detector.max_detections = 0.5, 100


def picture(height=120, width=160, seed=0):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((height // 6 + 1, width // 8 + 1, 1), dtype=np.uint8))[:height, :width].copy()


def same(a, b):
    return (
        np.array_equal(a.boxes, b.boxes)
        and a.names == b.names
        and np.array_equal(a.instance_map(), b.instance_map())
        and np.array_equal(a.token_masks, b.token_masks)
    )


@pytest.mark.parametrize("shape", [(120, 160), (160, 120), (97, 131), (480, 640), (33, 7), (1, 1), (2160, 3840)])
def test_results_are_in_source_pixels(detector, shape):
    found = detector.detect(picture(*shape))
    height, width = shape
    assert found.image_size == shape
    assert found.boxes.dtype == np.float32 and found.boxes.shape == (len(found), 4)
    assert found.scores.dtype == np.float32 and (np.diff(found.scores) <= 0).all()
    assert (found.boxes >= 0).all() and (found.boxes <= np.array([width, height] * 2)).all()
    assert found.masks.shape == (len(found), height, width) and found.masks.dtype == bool
    assert found.names == [detector.vocabulary[label] for label in found.labels]
    for mask, (x0, y0, x1, y1) in zip(found.masks, found.boxes, strict=True):
        rows, columns = np.nonzero(mask)
        if len(rows):
            assert columns.min() + 0.5 >= x0 - 0.51 and columns.max() + 0.5 <= x1 + 0.51
            assert rows.min() + 0.5 >= y0 - 0.51 and rows.max() + 0.5 <= y1 + 0.51
    assert found.token_mask_image().shape == shape


def test_there_is_something_to_look_at(detector):
    found = detector.detect(picture())
    assert len(found) > 3 and found.masks.any()
    assert len(found.kept) == 9 and 0 < np.mean(found.kept) < 1
    assert found.kept == tuple(count / found.total_tokens for count in found.kept_tokens)
    assert found.timings["total"] >= sum(v for k, v in found.timings.items() if k != "total") * 0.99
    assert set(found.timings) >= {"preprocess", "blocks", "gates", "box_head", "mask_head", "postprocess"}


def test_the_instance_map_shows_the_higher_score_on_top(detector):
    found = detector.detect(picture())
    drawn = found.instance_map()
    assert drawn.dtype == np.uint16 and drawn.max() <= len(found)
    best = np.zeros(found.image_size, dtype=np.uint16)
    for number in range(len(found), 0, -1):
        best[found.masks[number - 1]] = number
    assert np.array_equal(drawn, best)


@pytest.mark.parametrize(
    "view",
    [
        lambda rgb: rgb[..., ::-1].copy()[..., ::-1],
        lambda rgb: np.dstack((rgb[..., ::-1], rgb[..., :1])).copy()[..., 2::-1],
        lambda rgb: np.hstack((rgb, rgb)).copy()[:, : rgb.shape[1]],
        lambda rgb: np.frombuffer(rgb.tobytes(), dtype=np.uint8).reshape(rgb.shape),
        lambda rgb: rgb[::-1].copy()[::-1],
    ],
    ids=["bgr", "bgra", "padded lines", "read-only", "upside down"],
)
def test_views_of_messages_give_the_same_result(detector, view):
    image = picture()
    assert same(detector.detect(view(image)), detector.detect(image))


def test_mono_views_are_read(detector):
    gray = picture()[..., 0].copy()
    view = np.broadcast_to(gray[..., None], (*gray.shape, 3))
    assert same(detector.detect(view), detector.detect(np.repeat(gray[..., None], 3, axis=2)))


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((10, 10), dtype=np.uint8), r"shape \(height, width, 3\), got \(10, 10\)"),
        (np.zeros((10, 10, 4), dtype=np.uint8), r"got \(10, 10, 4\)"),
        (np.zeros((10, 10, 3), dtype=np.float32), "must be uint8 RGB in 0..255, got float32"),
        (np.zeros((10, 10, 3), dtype=np.uint16), "got uint16"),
        (np.zeros((0, 10, 3), dtype=np.uint8), "at least one pixel, got 0 x 10"),
        (np.broadcast_to(np.uint8(0), (10001, 10000, 3)), "at most 100,000,000 pixels"),
        ([[1, 2, 3]], "must be a numpy array"),
    ],
)
def test_bad_images(detector, image, sentence):
    with pytest.raises(InputError, match=sentence):
        detector.detect(image)


def test_tasks(detector):
    task = detector.set_task(["sink", "cup", "cup"], task_id="dishes", revision=3, threshold=0.4)
    assert task.categories == ("cup", "sink"), "vocabulary order, no duplicates"
    found = detector.detect(picture())
    assert found.task == task and set(found.names) <= {"cup", "sink"}
    assert detector.set_task(None).categories is None


@pytest.mark.parametrize(
    ("categories", "threshold", "sentence"),
    [
        ([], 0.5, "names no category"),
        (["cup", "unicorn", ""], 0.5, "unknown categories '', 'unicorn'; the vocabulary has 80 names"),
        ("cup", 0.5, "must be a list of names, not the single string 'cup'"),
        (["cup"], 0.0, "between 0 and 1"),
        (["cup"], 1.0, "between 0 and 1"),
        (["cup"], float("nan"), "between 0 and 1"),
    ],
)
def test_bad_tasks_leave_the_task_as_it_was(detector, categories, threshold, sentence):
    before = detector.set_task(["chair"])
    with pytest.raises(TaskError, match=sentence):
        detector.set_task(categories, threshold=threshold)
    assert detector.task is before


def test_a_class_task_finds_only_its_class_among_what_all_find_without_gates():
    """With every token kept, asking for one class only leaves the others out."""
    detector = TaskDetector.load("nano-untrained", device="cpu", precision="float32")
    detector.max_detections = 1000
    image = picture()
    detector.set_task(None, threshold=1e-9)
    everything = detector.detect(image)
    category = Counter(everything.names).most_common(1)[0][0]
    detector.set_task([category], threshold=1e-9)
    one = detector.detect(image)
    wanted = [i for i, name in enumerate(everything.names) if name == category]
    assert set(one.names) == {category}
    np.testing.assert_allclose(one.boxes, everything.boxes[wanted], atol=1e-2)


def test_reach_frame_skips_what_follows_an_empty_gate_and_equals_network_elsewhere():
    detector = TaskDetector.load("nano-untrained", device="cpu", precision="float32")
    image = picture()
    detector.set_task(None)
    detector.reach = "network"
    network = detector.detect(image)
    detector.reach = "frame"
    frame = detector.detect(image)
    assert min(network.kept_tokens) > 0 and network.names
    assert (network.reach, frame.reach) == ("network", "frame")
    assert same(frame, network)
    detector.set_task(["cup"], threshold=1 - 1e-12)
    empty = detector.detect(image)
    assert len(empty) == 0 and empty.masks.shape == (0, *image.shape[:2]) and empty.boxes.shape == (0, 4)
    assert empty.kept == (0.0,) * 9, "the blocks that were never reached ran no token"
    assert "gates" in empty.timings and not {"pyramid", "proposals", "box_head"} & set(empty.timings)
    detector.reach = "blocks"
    assert "box_head" in detector.detect(image).timings, "the published method goes on"


def test_reach_blocks_is_the_default_of_a_model_that_was_trained_for_nothing_else(detector):
    assert detector.card.reach == "blocks" and detector.reach == "blocks"
    assert detector.detect(picture()).reach == "blocks"


def test_reach_begins_as_the_card_says_and_takes_no_other_words():
    network, card = untrained_nano()
    detector = TaskDetector(network, replace(card, reach="frame"), torch.device("cpu"), torch.float32)
    assert detector.reach == "frame"
    with pytest.raises(ValueError, match="unknown reach 'far'; expected one of blocks, network, frame"):
        detector.reach = "far"
    assert detector.reach == "frame"


def test_reach_frame_leaves_where_presence_is_below_what_the_card_says():
    network, card = untrained_nano()
    card = replace(card, reach="frame", stop_below=(0.0, 1.0))
    detector = TaskDetector(network, card, torch.device("cpu"), torch.float32)
    detector.set_task(["cup"], threshold=1e-9)
    stopped = detector.detect(picture())
    assert len(stopped) == 0 and stopped.kept == (1.0,) * 3 + (0.0,) * 6, "by the second gate"
    assert len(stopped.presence) == 2 and all(0 < share < 1 for share in stopped.presence)
    detector.reach = "network"
    assert detector.detect(picture()).kept == (1.0,) * 9


def test_reach_network_changes_nothing_where_all_tokens_are_kept():
    detector = TaskDetector.load("nano-untrained", device="cpu", precision="float32")
    image = picture()
    detector.set_task(None, threshold=1e-9)
    plain = detector.detect(image)
    detector.reach = "network"
    narrowed = detector.detect(image)
    assert plain.kept == (1.0,) * 9 and plain.names == narrowed.names
    np.testing.assert_allclose(narrowed.boxes, plain.boxes, atol=1e-2)
    detector.forced_share = 0.1
    assert "mask_head" in detector.detect(image).timings


def test_tasks_may_change_from_another_thread(detector):
    stop, failures = threading.Event(), []

    def keep_changing():
        tasks = [None, ["cup"], ["chair", "couch"], list(detector.vocabulary)]
        number = 0
        while not stop.is_set():
            detector.set_task(tasks[number % len(tasks)], revision=number)
            number += 1
            stop.wait(0.001)

    changer = threading.Thread(target=keep_changing)
    changer.start()
    try:
        for seed in range(20):
            found = detector.detect(picture(seed=seed))
            if found.task.categories and not set(found.names) <= set(found.task.categories):
                failures.append(found.task)
    finally:
        stop.set()
        changer.join()
    assert not failures


def test_two_threads_detect_the_same_as_one(detector):
    expected = [detector.detect(picture(seed=seed)) for seed in range(4)]
    found: dict[int, object] = {}

    def work(seed):
        found[seed] = detector.detect(picture(seed=seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(found[seed], expected[seed]) for seed in range(4))


def test_thresholds_and_limits_take_effect_at_once(detector):
    detector.score_threshold = 0.05
    many = detector.detect(picture())
    detector.score_threshold, detector.max_detections = 0.7, 2
    few = detector.detect(picture())
    assert len(many) > len(few) == 2 and few.scores.min() > 0.7


def test_half_precision_finds_nearly_the_same(detector):
    half = TaskDetector.load("nano-untrained", device="cpu", precision="bfloat16")
    assert half.precision == "bfloat16"
    a, b = detector.detect(picture()), half.detect(picture())
    assert np.mean(a.token_masks == b.token_masks) > 0.9


def test_preparing_for_inference_changes_nothing():
    network, other = untrained_nano()[0], untrained_nano()[0]
    generator = torch.Generator().manual_seed(0)
    for module in (*network.modules(),):
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
    other.load_state_dict(network.state_dict())
    prepared = prepare_for_inference(other, torch.device("cpu"), torch.float32)
    image = torch.randn(1, 3, 96, 128, generator=generator)
    with torch.inference_mode():
        for a, b in zip(network.neck(network.backbone(image)), prepared.neck(prepared.backbone(image)), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
        heads = [some.roi_head.bbox_head for some in (network, prepared)]
        regions = torch.randn(5, network.neck.channels, 7, 7, generator=generator)
        for a, b in zip(*(head(regions) for head in heads), strict=True):
            assert a.abs().max() > 0.1
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_a_closed_detector_says_so():
    detector = TaskDetector.load("nano-untrained", device="cpu", precision="float32")
    detector.close()
    with pytest.raises(RuntimeError, match="was closed"):
        detector.detect(picture())
    detector.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"device": "quantum"}, "unknown device 'quantum'; expected auto, cpu, cuda"),
        ({"device": "cuda:99"}, "this machine has"),
        ({"device": "meta"}, "not supported"),
        ({"precision": "int1"}, "unknown precision 'int1'; expected auto, float32 or bfloat16"),
        ({"model": "nothing"}, "unknown model 'nothing'"),
    ],
)
def test_bad_load_arguments(arguments, sentence):
    with pytest.raises(ModelError, match=sentence):
        TaskDetector.load(**arguments)


def test_what_it_says_about_itself(detector):
    assert detector.name == "nano-untrained" and not detector.trained and "untrained" in detector.label
    assert detector.method == "tasktp" and detector.vocabulary_name == "coco" and len(detector.vocabulary) == 80
    assert sum(p.numel() for p in untrained_nano()[0].parameters()) <= 6_000_000
