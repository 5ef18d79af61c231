# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which image every draw sees: shuffled epochs, several data sets by weight, rare categories more often."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_set import SIDE, write_set

from tasktp_ros.cli.main import main
from tasktp_ros.datasets.mixed import MixedDataset, Source, open_sources
from tasktp_ros.errors import DataError
from tasktp_ros.tasks.vocabulary import COCO, ROOMS
from tasktp_ros.training.image_order import BLOCK, ImageOrder, draws_per_block, repeat_factors
from tasktp_ros.training.loading import Share, StageImages, load_steps
from tasktp_ros.training.recipes import RECIPES, Stage


class Labels:
    """Stands for a data set: categories of every image."""

    vocabulary = ("bed", "cup", "oven")

    def __init__(self, *images: tuple[int, ...]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def labels_of(self, index: int) -> np.ndarray:
        return np.array(self.images[index], np.int64)


def test_one_data_set_is_seen_in_the_order_it_always_was():
    order = ImageOrder(Labels(*[()] * 7), seed=5)
    was = [index for epoch in range(3) for index in np.random.default_rng((5, epoch)).permutation(7)]
    assert [order(position) for position in range(21)] == was
    assert [order(position) for position in reversed(range(21))] == was[::-1]


def test_data_sets_are_drawn_by_weight_and_each_of_their_images_equally_often():
    few, many = Labels(*[()] * 50), Labels(*[()] * 200)
    order = ImageOrder(MixedDataset([few, many], [3, 1]), seed=1)
    drawn = np.array([order(position) for position in range(4 * BLOCK)])
    counts = np.bincount(drawn, minlength=250)
    assert (counts[:50] == 60).all() and (counts[50:] == 5).all()
    assert not np.array_equal(drawn[:BLOCK], drawn[BLOCK : 2 * BLOCK])
    in_batches = (drawn.reshape(-1, 16) < 50).sum(1)
    assert in_batches.min() >= 5 and in_batches.std() > 0.5, "mixed within a step, not step by step"
    again = ImageOrder(MixedDataset([few, many], [3, 1]), seed=1)
    places = np.random.default_rng(0).permutation(4 * BLOCK)[:300]
    assert [again(place) for place in places] == drawn[places].tolist(), "whatever was drawn before"
    other = ImageOrder(MixedDataset([few, many], [3, 1]), seed=2)
    assert [other(position) for position in range(30)] != drawn[:30].tolist()


@pytest.mark.parametrize("weights", [[1.0], [3, 1], [1, 1, 1], [1e-6, 1], [5, 1e-9, 1e-9, 7]])
def test_whole_draws_add_up_and_no_data_set_is_forgotten(weights):
    shares = np.array(weights) / sum(weights)
    counts = draws_per_block(shares)
    assert counts.sum() == BLOCK and counts.min() >= 1
    assert np.abs(counts - shares * BLOCK).max() <= len(weights)


def test_images_with_rare_categories_are_repeated_as_for_lvis():
    common, rare, empty = (0,), (0, 1), ()
    dataset = MixedDataset([Labels(rare, *[common] * 98, empty), Labels(*[empty] * 10)], [1, 1])
    first, second = repeat_factors(dataset, 0.02)
    assert first[0] == pytest.approx(2.0), "of the drawn images 1 in 200 shows it: sqrt(0.02 / 0.005)"
    assert (first[1:] == 1).all() and (second == 1).all()
    order = ImageOrder(dataset.parts[0], seed=3, repeat_below=0.04)
    length = 101
    for epoch in range(3):
        counts = np.bincount([order(epoch * length + place) for place in range(length)], minlength=100)
        assert counts[0] == 2 and (counts[1:] == 1).all(), "sqrt(0.04 / 0.01)"
    often = ImageOrder(dataset.parts[0], seed=3, repeat_below=0.0225)  # 1.5 times
    drawn = np.bincount([often(place) for place in range(100 * 100)], minlength=100)
    assert 1.35 < drawn[0] / drawn[1:].mean() < 1.65


@pytest.fixture(scope="module")
def two_sets(tmp_path_factory) -> tuple[Path, Path]:
    roots = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for seed, root in enumerate(roots):
        write_set(root, "train", 6 + 4 * seed, seed)
        write_set(root, "val", 2, seed + 5)
    return roots


def test_several_data_sets_have_one_vocabulary_by_name(two_sets):
    one, two = two_sets
    mixed = open_sources([Source(one), Source(two, 2.0, "all")], "train", COCO)
    assert len(mixed) == 16 and mixed.vocabulary == COCO
    assert {COCO[label] for index in range(16) for label in mixed.labels_of(index)} <= set(ROOMS)
    assert mixed[0].labelled.sum() == 20 and mixed[6].labelled.all()
    assert mixed[15].image_id == 10 and mixed[-1].image_id == 10
    assert np.array_equal(mixed[7].image, mixed.parts[1][1].image)
    with pytest.raises(IndexError):
        mixed[16]
    with pytest.raises(DataError, match="has no category 'person'"):
        open_sources([Source(one)], "train", COCO)


def test_a_steps_batches_follow_from_seed_and_step(two_sets):
    mixed = open_sources([Source(two_sets[0], 3), Source(two_sets[1])], "train", COCO)
    stage = Stage("s", "detection", inputs=(SIDE,), repeat_below=0.3)
    share = Share(0, 1, 3, 1)
    whole = list(load_steps(StageImages(mixed, stage, 4), share, 0, 6, workers=0))
    rest = list(load_steps(StageImages(mixed, stage, 4), share, 3, 6, workers=1))
    for one, other in zip(whole[3:], rest, strict=True):
        assert (one.images == other.images).all()
        for truth, again in zip(one.truths, other.truths, strict=True):
            assert (truth.labels == again.labels).all() and (truth.labelled is None) == (again.labelled is None)
            assert truth.labelled is not None and truth.labelled.sum() == 20


def test_several_data_sets_are_trained_on_and_measured(two_sets, tmp_path):
    pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
    words = ["train", "coco-nano-dense", "--data", f"{two_sets[0]}=3", str(two_sets[1]), "--labelled", f"{two_sets[1]}=all",
             "--output", str(tmp_path), "--device", "cpu", "--batch", "2", "--steps", "1", "--workers", "0", "--check-images", "2"]  # fmt: skip
    assert main(words) == 0
    head = (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
    assert {"val_AP", "val2_AP", "val_mask_AP", "val2_AP50"} <= set(head)


def test_what_cannot_be_meant_is_said_in_a_sentence(two_sets, tmp_path, capsys):
    one, two = map(str, two_sets)
    for data, labelled, complaint in (
        ([f"{one}=x"], [], "PATH=WEIGHT, where a weight must be a number"),
        ([f"{one}=0"], [], "PATH=WEIGHT, where a weight must be a number"),
        ([one], [one], "must be PATH=all or PATH=NAME,NAME"),
        ([one], [f"{one}=cup,,"], "must be PATH=all or PATH=NAME,NAME"),
        ([one], [f"{two}=all"], "which is not among --data"),
        ([one, two], [f"{two}=cup,boot"], "no category 'boot' that could be labelled"),
    ):
        words = ["train", "coco-nano-dense", "--output", str(tmp_path / "run"), "--data", *data]
        assert main([*words, "--labelled", *labelled] if labelled else words) == 2
        assert complaint in capsys.readouterr().err


def test_a_folder_with_an_equals_sign_is_a_folder(two_sets, tmp_path):
    from tasktp_ros.cli.train import weighted

    named = tmp_path / "a=3"
    assert weighted(str(named)) == (tmp_path / "a", 3.0)
    named.mkdir()
    assert weighted(str(named)) == (named, 1.0) and weighted(f"{named}=2") == (named, 2.0)


def test_the_photos_recipes_draw_every_size_of_task():
    dense, gated = RECIPES["coco-nano-dense"], RECIPES["coco-nano"]
    assert dense.frozen == gated.frozen == ("backbone.stem.trunk.",)
    assert gated.gates.set_sizes == (1, 10, 40, 80)
    assert all(stage.repeat_below > 0 for stage in (*dense.stages, *gated.stages))
    assert RECIPES["rooms-nano-dense"].stages[0].repeat_below == 0


def test_precision_counts_what_is_labelled_on_an_image(two_sets, tmp_path):
    from tasktp_ros.datasets.coco import CocoDataset
    from tasktp_ros.evaluation.coco_ap import Truth

    file = two_sets[0] / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    there = content["annotations"][0]
    other = next(each["id"] for each in content["categories"] if each["id"] != there["category_id"])
    found = {"image_id": there["image_id"], "score": 0.9, "bbox": there["bbox"], "category_id": there["category_id"]}
    wrong = found | {"category_id": other}
    name = {each["id"]: each["name"] for each in content["categories"]}
    scores = []
    for numbers in (None, [there["category_id"]]):
        for row in content["images"]:
            row["labelled_category_ids"] = numbers
        (tmp_path / "a.json").write_text(json.dumps(content))
        truth = Truth(CocoDataset(two_sets[0] / "train", tmp_path / "a.json", COCO, allow_missing=True))
        names = [name[there["category_id"]], name[other]]
        scores.append(truth.precision([found, wrong], names, [there["image_id"]], ("box",))["box"]["precision_at_0.5"])
    assert scores == [50.0, 100.0]
