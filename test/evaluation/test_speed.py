# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What `tasktp bench` measures: the plain way is the same network, operations are all counted, contenders take turns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tasktp_ros.errors import InputError
from tasktp_ros.evaluation import comparison, matrix_rate, peers
from tasktp_ros.evaluation.contenders import Contender, Ours, Result, Setting, open_source
from tasktp_ros.evaluation.operations import Product, products_of, stage_gflops
from tasktp_ros.evaluation.peers import Peer
from tasktp_ros.evaluation.speed import DENSE, as_records, measure_speed
from tasktp_ros.evaluation.speed_report import compared, text
from tasktp_ros.evaluation.textbook import TWINS, textbook
from tasktp_ros.evaluation.traces import trace
from tasktp_ros.vision import heads
from tasktp_ros.vision.image import InputSize

CPU = torch.device("cpu")
INPUT = (96, 128)


@pytest.fixture(scope="module")
def image():
    coarse = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((16, 16, 1), dtype=np.uint8))


@pytest.fixture(scope="module")
def source():
    return open_source("nano", "tasktp", INPUT)


@pytest.mark.parametrize("samples", [2, 0])
def test_the_plain_way_finds_the_same(image, source, samples):
    """Slow twins, nothing folded: what all fast parts together are measured against is what they compute."""
    found = []
    for plain in (False, True):
        detector = source.detector(DENSE, CPU, torch.float32, plain=plain)
        head = detector.network().roi_head
        head.config = replace(head.config, samples=samples)
        contender = Ours("x", detector, Setting(detections=12, plain=plain), image)
        with contender._set():
            found.append(detector.detect(image))
    fast, slow = found
    assert len(fast) == len(slow) == 12
    np.testing.assert_allclose(fast.boxes, slow.boxes, atol=0.05)
    np.testing.assert_allclose(fast.scores, slow.scores, atol=1e-4)
    assert fast.names == slow.names
    assert np.mean(fast.masks != slow.masks) < 1e-3


def test_the_plain_way_folds_nothing_and_ends(source):
    fast = [getattr(owner, name) for owner, name, _ in TWINS]
    plain = source.detector(DENSE, CPU, torch.float32, plain=True).network()
    assert any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    prepared = source.detector(DENSE, CPU, torch.float32).network()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in prepared.modules())
    with textbook():
        assert [getattr(owner, name) for owner, name, _ in TWINS] == [twin for _, _, twin in TWINS]
    with pytest.raises(ZeroDivisionError), textbook():
        raise ZeroDivisionError
    assert [getattr(owner, name) for owner, name, _ in TWINS] == fast


def test_every_mask_is_computed_where_the_class_is_known_already(source, monkeypatch):
    """The plain way has the logits of all classes, ours of one."""
    computed = []
    forward = heads.MaskHead.forward
    monkeypatch.setattr(heads.MaskHead, "forward", lambda *a: computed.append(forward(*a)) or computed[-1])
    head = source.detector(DENSE, CPU, torch.float32).network().roi_head.mask_head
    regions, labels = torch.randn(3, 96, 14, 14), torch.tensor([5, 0, 79])
    ours = head.of_class(regions, labels)
    assert computed == []
    with textbook():
        theirs = head.of_class(regions, labels)
    assert computed[0].shape == (3, 80, 28, 28)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_operations_of_blocks_include_attention(image, source):
    detector = source.detector(DENSE, CPU, torch.float32)
    tokens, dim = INPUT[0] // 16 * INPUT[1] // 16, 160
    linear, attention = 24 * tokens * dim**2, 4 * tokens**2 * dim
    assert stage_gflops(detector, image)["blocks"] == pytest.approx(9 * (linear + attention) / 1e9)


def test_products_are_those_that_ran_the_largest_first():
    small, large, conv = nn.Linear(8, 4), nn.Linear(64, 32), nn.Conv2d(3, 5, 3)
    depthwise = nn.Conv2d(4, 4, 3, groups=4)

    def run():
        with torch.no_grad():
            small(torch.ones(2, 3, 8)), small(torch.ones(6, 8)), large(torch.ones(7, 64))
            conv(torch.ones(1, 3, 6, 4)), depthwise(torch.ones(1, 4, 9, 9)), torch.ones(2, 3, 4) @ torch.ones(2, 4, 5)

    assert products_of(run) == [Product(7, 64, 32), Product(8, 27, 5), Product(6, 8, 4), Product(3, 4, 5)]


def test_a_rate_bounds_operations_from_below():
    products = [Product(64, 64, 64), Product(1000, 4000, 2000)]
    rate = matrix_rate.matrix_rate(products, torch.float32, CPU)
    assert rate > 0.1
    assert matrix_rate.floor_milliseconds(2 * rate, rate) == pytest.approx(2000)


def test_a_trace_counts_kernels_and_the_memory_alive():
    left, right = torch.ones(256, 256), torch.ones(256, 256)

    def run():
        product = left @ right.t().contiguous().view(256, 256)
        return (product + 1).transpose(0, 1)[:100]

    run()
    kernels, live = trace(run, CPU)
    assert kernels == 3, "a copy of the transposed, the product, the sum"
    assert live >= 2 * left.numel() * 4


class Fake(Contender):
    device, dtype, parameters = CPU, torch.float32, 1.0

    def __init__(self, name, times, log):
        self.name, self.times, self.log = name, iter(times), log

    def run(self, image):
        self.log.append((self.name, image[0, 0, 0]))
        return Result({"blocks": 1.0, "total": next(self.times, 0.0)}, 0.5, 2)

    def gflops(self, image):
        return {"blocks": 2.0, "total": 4.0}


@pytest.fixture
def images():
    return [np.full((2, 2, 3), value, dtype=np.uint8) for value in (7, 9)]


def test_contenders_take_turns_on_every_image_and_medians_count(images):
    log, warm = [], [900.0] * 3
    fakes = [Fake(DENSE, [*warm, 8, 9, 1], log), Fake("other", [*warm, 4, 4, 4], log)]
    rows, rounds = measure_speed(fakes, images, 3)
    assert rounds == 3
    counted = log[6:12]
    assert counted == [(name, value) for value in (7, 9, 7) for name in (DENSE, "other")]
    assert [row.milliseconds for row in rows] == [8, 4]
    first, second = as_records(rows)
    assert (first["speedup"], second["speedup"]) == (1, 2) and second["kept"] == 0.5 and second["detections"] == 2


def test_no_round_begins_after_the_time_but_three_do(images):
    assert measure_speed([Fake("one", [1.0] * 99, [])], images, 50, seconds=0.0)[1] == 3
    assert measure_speed([Fake("one", [1.0] * 99, [])], images, 2, seconds=0.0)[1] == 2


def test_rows_stand_beside_dense_the_peer_and_the_floor(images):
    log = []
    fakes = [Fake("plain", [20.0] * 9, log), Fake(DENSE, [10.0] * 9, log), Fake("maskrcnn, same", [40.0] * 9, log)]
    rows = as_records(measure_speed(fakes, images, 3)[0])
    plain, dense, _ = compared(rows, {"float32": 1000.0, "bfloat16": 2000.0})
    assert plain == {"of_dense": 2, "of_peer": 0.5, "floors": {"float32": 4, "bfloat16": 2}, "of_floor": 5}
    assert dense["of_dense"] == 1 and dense["of_peer"] == 0.25


def test_shares_are_measured_asked_for_or_stated(tmp_path, monkeypatch):
    measured = comparison.shares(None)
    assert set(measured.kept) == set(comparison.TASKS) and "rooms_nano_tasktp.json" in measured.source
    assert measured.kept["none"] < measured.kept["one"] < measured.kept["all"] < 1
    assert comparison.shares([0.7, 0.3, 0.1]).kept == {"all": 0.7, "ten": 0.3, "one": 0.1, "none": 0.1}
    with pytest.raises(InputError, match="three shares for --keep"):
        comparison.shares([0.7])
    monkeypatch.setattr(comparison, "MEASURED_SHARES", tmp_path / "none.json")
    assert comparison.shares(None).kept == comparison.STATED_SHARES


def test_the_sample_images_are_those_that_were_looked_at():
    found = comparison.sample_images((48, 64))
    assert len(found) == len(comparison.SAMPLE_FRAMES) and found[0].shape == (48, 64, 3)
    assert len({image.tobytes() for image in found}) == len(found)


def test_random_gates_keep_their_shares_and_leave_the_frame_where_nothing_is(image, source):
    kept = comparison.Shares({"all": 0.75, "ten": 0.5, "one": 0.25, "none": 0.125}, "chosen here")
    contenders = comparison.table_contenders(source, image, kept, ("blocks", "frame"), 20, "cpu", "float32", peer=False)
    results = {contender.name: contender.run(image) for contender in contenders}
    assert list(results)[:3] == ["plain: eager float32, textbook", "dense", "dense, 1 category"]
    assert [round(result.kept, 3) for result in results.values() if result.kept is not None] == [
        0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0.125, 0.0,
    ]  # fmt: skip
    assert [result.detections for result in results.values()] == [20, 20, 2, 20, 20, 5, 5, 2, 2, 0, 0]
    left = results["tasktp, 1, not in view, all the way"]
    assert "gates" in left.timings and not left.timings.keys() & {"blocks", "proposals"}
    assert "proposals" in results["tasktp, 1, not in view, as published"].timings


def test_a_model_that_does_not_know_what_is_in_view_is_refused(image, source):
    stranger = replace(source, card=replace(source.card, vocabulary=("cup",)))
    with pytest.raises(InputError, match="does not know"):
        comparison.table_contenders(stranger, image, None, ("blocks",), 20, "cpu", "float32", peer=False)


def test_peers_run_at_our_input_and_their_own_and_find_as_much(image, monkeypatch):
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    build = peers.TWO_STAGE[name][0]
    monkeypatch.setattr(peers, "TWO_STAGE", {name: (build, InputSize(64, 96))})
    monkeypatch.setattr(Peer, "_seconds", lambda peer, dtype, image: dtype == torch.bfloat16)
    found = peers.peers(image, InputSize(*INPUT), 5, CPU, everything=True)
    assert [peer.name for peer in found] == [
        f"{name}, same input 96 x 128", f"{name}, own input 64 x 85", "ssdlite320_mobilenet_v3_large, own input 320 x 320",
    ]  # fmt: skip
    same, own, one_stage = found
    assert same.dtype == torch.float32
    assert same.gflops(image)["total"] > own.gflops(image)["total"] > 0
    assert 0.9 < one_stage.gflops(image)["total"] < 1.6, "torchvision states 0.58 G multiply-adds"
    assert [peer.run(image).detections for peer in found] == [5, 5, 5]
    monkeypatch.setattr(peers, "TWO_STAGE", {peers.MASK_PEER: (build, InputSize(64, 96))})
    assert len(peers.peers(image, InputSize(*INPUT), 5, CPU, everything=False)) == 1
    monkeypatch.setattr(peers, "TWO_STAGE", {name: (build, InputSize(*INPUT))})
    assert (
        peers.peers(image, InputSize(*INPUT), 5, CPU, everything=True)[0].name == f"{name}, same and own input 96 x 128"
    )


def test_the_text_has_every_row_twice(images):
    report = {
        "setting": {"model": "m", "device": "cpu", "threads": 1, "precision": "float32", "image": [2, 2], "rounds": 3, "shares": "s"},
        "machine": {"gpu": None, "processor": "p", "flags": ["avx2"]},
        "matrix_rates": {"float32": 100.0, "bfloat16": 200.0},
        "rows": as_records(measure_speed([Fake(DENSE, [10.0] * 9, []), Fake("other", [5.0] * 9, [])], images, 3)[0]),
    }  # fmt: skip
    shown = text(report).splitlines()
    assert [sum(line.startswith(name) for line in shown) for name in (DENSE, "other")] == [2, 2]
    other = next(line for line in shown if line.startswith("other")).split()
    assert other[:6] == ["other", "50%", "2", "5.0", "0.50", "-"], "kept, found, ms, of dense, of peer"
