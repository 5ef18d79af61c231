# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What gates keep is counted on the objects themselves, and every kind of task asks for what its name says."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tasktp_ros.cli.main import main
from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.detectors import build_detector
from tasktp_ros.evaluation.energy import EnergyMeter
from tasktp_ros.evaluation.selectivity import Look, looks, object_mask, own_shares, summarise, token_cover
from tasktp_ros.runtime.checkpoints import ModelCard, save_model
from tasktp_ros.tasks.vocabulary import ROOMS
from tasktp_ros.vision.image import InputSize, frame_for


class Spotlight:
    """A detector that keeps the tokens of the left half under a task and all of them without one; notes its tasks."""

    def __init__(self) -> None:
        self.tasks: list[list[str] | None] = []

    def set_task(self, categories, threshold=0.5):
        self.tasks.append(categories)

    def detect(self, image):
        frame = frame_for(*image.shape[:2], InputSize(96, 128))
        tokens = np.ones((2, frame.padded[0] // 16, frame.padded[1] // 16), bool)
        if self.tasks[-1] is not None:
            tokens[:, :, tokens.shape[2] // 2 :] = False
        kept = tuple(float(block.mean()) for block in tokens)
        return SimpleNamespace(token_masks=tokens, kept=kept, frame=frame, timings={"total": 1.0})


def test_an_objects_pixels_are_counted_in_the_tokens_they_lie_in():
    frame = frame_for(192, 256, InputSize(96, 128))
    mask = np.zeros((192, 256), bool)
    mask[0:32, 0:96] = True  # at half size 16 x 48 px: three tokens of the first row
    cover = token_cover(mask, frame)
    assert cover.shape == (6, 8) and cover[0].tolist() == [256, 256, 256, 0, 0, 0, 0, 0] and cover[1:].sum() == 0
    kept = np.zeros((2, 6, 8), bool)
    kept[0], kept[1, 0, 0] = True, True
    seen = SimpleNamespace(frame=frame, token_masks=kept)
    assert own_shares(seen, mask) == pytest.approx((1.0, 1 / 3))
    assert own_shares(seen, mask & False) is None, "what is not there cannot be kept"


def test_every_kind_of_task_asks_for_what_it_says(tiny_set):
    dataset, detector = CocoDataset.open(tiny_set, "train", ROOMS), Spotlight()
    found = looks(detector, dataset, range(len(dataset)), most=2, wrong_size=5)
    seen = iter(zip(found, detector.tasks, strict=True))
    for index in range(len(dataset)):
        there = {ROOMS[label] for label in dataset.labels_of(index)}
        mine = [next(seen) for _ in range(1 + min(2, len(there)) + min(2, max(1, len(there))) + 1)]
        assert [look.kind for look, _ in mine] == [
            "all",
            *["shown"] * min(2, len(there)),
            *["absent"] * min(2, max(1, len(there))),
            "wrong",
        ]
        for look, task in mine:
            if look.kind == "shown":
                assert task == [look.category] and look.category in there and look.own is not None
            elif look.kind == "absent":
                assert task == [look.category] and look.category not in there and look.own is None
            elif look.kind == "wrong":
                assert len(task) == 5 and not there & set(task) and look.own is None
            else:
                assert task is None and look.kept == (1.0, 1.0)
    again = Spotlight()
    looks(again, dataset, range(len(dataset)), most=2, wrong_size=5)
    assert again.tasks == detector.tasks, "what is drawn follows from the images"


def test_the_share_of_an_object_that_was_kept_is_that_of_its_left_half(tiny_set):
    dataset, detector = CocoDataset.open(tiny_set, "train", ROOMS), Spotlight()
    index = next(index for index in range(len(dataset)) if len(dataset.labels_of(index)))
    sample = dataset[index]
    for look in looks(detector, dataset, [index]):
        if look.kind == "shown":
            mask = object_mask(sample, dataset, look.category)
            assert look.own == pytest.approx([mask[:, :64].sum() / mask.sum()] * 2)
            assert look.kept == (0.5, 0.5)


def test_partly_labelled_images_are_not_asked_for_what_nobody_looked_for(tiny_set):
    dataset, detector = CocoDataset.open(tiny_set, "train", ROOMS, labelled=["cup", "chair"]), Spotlight()
    looks(detector, dataset, range(len(dataset)))
    absent = {name for task in detector.tasks if task for name in task} - {
        ROOMS[label] for i in range(len(dataset)) for label in dataset.labels_of(i)
    }
    assert absent <= {"cup", "chair"}


def test_the_summary_is_of_each_kind_and_category():
    row = {"left": False, "milliseconds": 2.0, "joules": None}
    found = [
        Look("shown", "cup", (0.2, 0.1), (1.0, 0.5), **row),
        Look("shown", "cup", (0.4, 0.1), (0.8, 0.5), **row),
        Look("absent", "cup", (0.0, 0.0), None, **(row | {"left": True, "joules": 0.5})),
    ]
    report = summarise(found)
    assert report["kinds"]["shown"] == {"looks": 2, "kept": 0.2, "kept_per_block": [0.3, 0.1], "own": 0.7, "own_per_block": [0.9, 0.5],
                                        "left": 0.0, "milliseconds": 2.0, "joules": None}  # fmt: skip
    assert (
        report["kinds"]["absent"]["left"] == 1.0
        and report["kinds"]["absent"]["own"] is None
        and report["kinds"]["absent"]["joules"] == 0.5
    )
    assert report["of"] == {"cup": {"shown": 2, "absent": 1, "kept_shown": 0.2, "own": 0.7, "kept_absent": 0.0}}


def test_energy_is_what_all_packages_count_and_nothing_where_nobody_tells(tmp_path):
    for name, joules in (("intel-rapl:0", 3_000_000), ("intel-rapl:1", 500_000), ("intel-rapl:0:0", 99_000_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{joules}\n")
    meter = EnergyMeter(tmp_path)
    assert meter.readable and meter.joules() == 3.5, "what lies within a package is in its count already"
    assert EnergyMeter(tmp_path / "none").joules() is None and not EnergyMeter(tmp_path / "none").readable


def test_the_command_writes_the_table_and_refuses_what_has_no_gates(tiny_set, tmp_path, capsys):
    files = {}
    for method in ("tasktp", "dense"):
        torch.manual_seed(0)
        files[method] = tmp_path / f"{method}.safetensors"
        save_model(
            files[method],
            build_detector("nano", method, len(ROOMS)),
            ModelCard(method, "nano", method, "rooms", ROOMS, True),
        )
    asked = ["kept", "--data", str(tiny_set), "--images", "2", "--precision", "float32", "--model"]
    assert main([*asked, str(files["tasktp"]), "--reach", "network", "--output", str(tmp_path / "kept.json")]) == 0
    report = json.loads((tmp_path / "kept.json").read_text())
    assert (
        report["images"] == 2
        and set(report["kinds"]) <= {"all", "shown", "absent", "wrong"}
        and report["reach"] == "network"
    )
    assert len(report["weights"]) == 12
    assert "one category, not in view" in capsys.readouterr().out
    assert main([*asked, str(files["dense"])]) == 2
    assert "has no gates" in capsys.readouterr().err
