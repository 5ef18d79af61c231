# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The papers' tables: what is trained alike is measured alike, printed beside what was published, and never mixed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasktp_ros.cli.main import main
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import DataError, InputError
from tasktp_ros.papers import published
from tasktp_ros.papers.estimate import seconds_for
from tasktp_ros.papers.page import TABLES, everything, one_table, renewed
from tasktp_ros.papers.plan import GROUPS, PLAN, SEEDS, chosen
from tasktp_ros.papers.records import Bench, missing, read_benches, write_record
from tasktp_ros.reduction import build_reducer
from tasktp_ros.runtime.checkpoints import ModelCard, load_model, save_model
from tasktp_ros.tasks.vocabulary import ROOMS
from tasktp_ros.training import recipes
from tasktp_ros.training.gate_losses import GATE_RECIPES

ROOT = Path(__file__).resolve().parents[2]
BENCH = Bench(("photos",), "val", 302, "nano", "coco", "coco-nano-dense", "0123456789ab", "coco-nano", 8000)


def named(name):
    return next(one for one in PLAN if one.name == name)


def record(box: float, milliseconds: float, run: str = "one", **parts) -> dict:
    """A record whose mask AP is a tenth of its box AP, and whose frames/s with one category are double those with all."""
    row = {"box_AP": box, "box_AP50": box, "mask_AP": box / 10, "precision_at_0.5": 50.0, "recall_at_0.5": 20.0, "kept": 0.5,
           "backbone_gflops": 1.0}  # fmt: skip
    rows = {size: {"milliseconds": each, "backbone": each / 2, "kept": 0.5, "detections": 3.0}
            for size, each in (("all", milliseconds), ("1", milliseconds / 2))}  # fmt: skip
    machine = {"processor": "CPU", "flags": ["avx2"], "gpu": None}
    times = {"run": run, "machine": machine, "rows": rows,
             "setting": {"images": 3, "threads": 1, "device": "cpu", "precision": "float32"}}  # fmt: skip
    return {"model": {"weights": "0" * 12, "parameters": 5, "brings": 7}, "restricted": None, "sweep": {}, "kept": None, "seconds": 60.0,
            "training": {"steps": [5], "image_passes": 8000, "images": 12, "seconds": 800.0}, "times": times,
            "sets": {}, "accuracy": {"all": row, "1": row | {"box_AP": box + 10}}} | parts  # fmt: skip


def write(results: Path, bench: Bench = BENCH, **records: dict) -> None:
    for name, each in records.items():
        write_record(results, bench, named(name.replace("_", "-")), each)


def row_of(text: str, title: str, categories: str = "") -> list[str]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return next(row for row in cells if row[0] == title and (not categories or row[1] == categories))


def test_every_contender_of_the_plan_can_be_built_and_has_a_name_of_its_own():
    assert len({one.name for one in PLAN}) == len(PLAN)
    assert {one.group for one in PLAN} == set(GROUPS)
    order = list(GROUPS)
    assert [order.index(one.group) for one in PLAN] == sorted(order.index(one.group) for one in PLAN)
    for one in PLAN:
        build_reducer(one.method, 16, 2, options=one.options)
        assert one.gates in ("", *GATE_RECIPES) and (one.trained or one.seed == 0)
    for key in ("dense", "svit", "tasktp"):
        assert [one.seed for one in PLAN if one.key == key] == list(SEEDS)
    tops = {one.options.get("top", 2) for one in PLAN if one.method == "tasktp"}
    assert tops == {1, 2, 3, 4, 5, 10}
    theirs = [published.TASKTP_1["T"], published.TASKTP_2["T"], published.TASKTP_3, published.TASKTP_4, published.TASKTP_5, published.SVIT_2,
              published.SVIT_3["T"], published.SVIT_4["T"], published.SVIT_5["T"]]  # fmt: skip
    assert {key for table in theirs for key in table} <= {one.key for one in PLAN}


def test_a_part_of_the_plan_is_named_by_group_contender_or_training():
    assert [one.name for one in chosen(["svit"])][:2] == ["svit", "svit-seed-1"], "a group and a contender"
    assert [one.name for one in chosen(["tasktp-seed-2", "dense"])] == [
        "dense",
        "dense-seed-1",
        "dense-seed-2",
        "tasktp-seed-2",
    ]
    assert chosen([]) == PLAN
    with pytest.raises(
        InputError, match=r"nothing in the plan is called 'magic'; groups are main, .*contenders dense-start"
    ):
        chosen(["magic"])


def test_table_1_has_ours_beside_theirs(tmp_path):
    dense = record(30.0, 40.0)
    dense["restricted"] = {size: row | {"box_AP": row["box_AP"] + 1} for size, row in dense["accuracy"].items()}
    write(tmp_path, dense=dense, svit=record(20.0, 20.0), svit_seed_1=record(22.0, 20.0), tasktp=record(25.0, 25.0),
          evit=record(20.0, 10.0, run="two"))  # fmt: skip
    text = one_table("tasktp-1", tmp_path)
    assert "8000 images of photos; AP on 302 images of photos val; times on 3 of them, CPU (avx2)" in text
    assert row_of(text, "SViT (2 seeds)")[1:7] == ["all", "21.0 ± 1.4", "2.1 ± 0.1", "50.0", "2.00", "50%"]
    assert row_of(text, "SViT (2 seeds)")[-3:] == ["45.5", "40.7", "33.5"]
    assert row_of(text, "EViT")[4:6] == ["100.0†", "-"], "times of another run are no comparison"
    assert row_of(text, "ATC")[2:6] == ["-"] * 4, "what is missing keeps its place beside the published numbers"
    one = row_of(text, "TaskTP", "1")
    assert one[2:4] == ["-5.0 (-6.0)", "-0.5 (-0.5)"], "below dense, and below dense that is told the set"
    assert one[4:6] == ["80.0", "3.20"] and one[-3:] == ["-0.8", "-0.2", "38.5"]
    assert row_of(text, "dense, told the set", "1")[2] == "+1.0"


def test_gates_and_thresholds_have_tables(tmp_path):
    kinds = {kind: {"kept": kept, "own": own} for kind, kept, own in
             (("all", 0.7, 0.9), ("shown", 0.3, 0.8), ("absent", 0.2, None), ("wrong", 0.4, None))}  # fmt: skip
    scores = {"box_AP": 10.0, "mask_AP": 9.0, "backbone_gflops": 1.5, "kept": 0.6}
    tasktp = record(20.0, 20.0, kept={"images": 3, "kinds": kinds}, sweep={"0.3": {"1": scores}})
    tasktp["times"]["rows"]["1 at 0.3"] = {"milliseconds": 50.0}
    write(tmp_path, tasktp=tasktp)
    assert row_of(one_table("gates", tmp_path), "TaskTP")[1:] == ["70%", "30%", "20%", "40%", "80%"]
    assert row_of(one_table("tasktp-figure-2", tmp_path), "0.3")[1:] == ["1", "10.0", "9.0", "20.0", "60%", "1.50"]


def test_every_table_can_be_made_of_nothing_and_of_little(tmp_path):
    assert "nothing has been measured" in everything(tmp_path).lower()
    write(tmp_path, tome_untrained=record(1.0, 1.0, times=None, training=None))
    text = everything(tmp_path)
    assert all(f"## {title}" in text for title, _ in TABLES.values())
    assert "not timed" in text and f"{len(PLAN) - 1} of {len(PLAN)}" in text


def test_what_is_missing_is_named_with_the_time_it_takes(tmp_path):
    write(tmp_path, dense=record(30.0, 40.0), tome_untrained=record(1.0, 1.0, training=None))
    (records,) = read_benches(tmp_path).values()
    lacking = missing(records, PLAN)
    assert {"dense", "tome-untrained"}.isdisjoint(one.name for one in lacking) and len(lacking) == len(PLAN) - 2
    assert seconds_for(named("svit"), list(records.values()), 8000) == 800 + 4 * 30
    assert seconds_for(named("atc-untrained"), list(records.values()), 8000) == 4 * 30
    assert seconds_for(named("svit"), [], 8000) is None
    assert "* svit (main): SViT, about 15 minutes" in everything(tmp_path)
    changed = [replace(one, options={"kept": 0.7}) if one.name == "tome-untrained" else one for one in PLAN]
    assert "tome-untrained" in [one.name for one in missing(records, changed)], "a record of other options is none"


def test_benches_are_never_mixed(tmp_path):
    other = replace(BENCH, passes=16)
    write(tmp_path, dense=record(30.0, 40.0))
    write(tmp_path, other, dense=record(10.0, 40.0))
    text = one_table("svit-5", tmp_path)
    assert text.count("dense, trained on (") == 0 and text.count("| dense, trained on |") == 2
    (tmp_path / other.name / "dense.json").rename(tmp_path / BENCH.name / "svit.json")
    with pytest.raises(DataError, match=r"svit.json is of the bench photos-nano-012345-16-302, whose records"):
        read_benches(tmp_path)


@pytest.mark.parametrize(("text", "sentence"), [("{", "cannot be read"), ("[]", "is no record"), ('{"schema": "tasktp_ros table 1"}', "lacks 'bench'")])  # fmt: skip
def test_a_broken_record_is_named(text, sentence, tmp_path):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "dense.json").write_text(text)
    with pytest.raises(DataError, match=rf"dense.json {sentence}"):
        read_benches(tmp_path)


def test_the_search_is_table_2(tmp_path):
    write(tmp_path, dense=record(30.0, 40.0))
    row = {"runs": 90, "milliseconds": 900.0, "milliseconds_per_run": 10.0, "success_rate": 0.5}
    spread = {"runs": [91.0, 2.0], "milliseconds": [910.0, 20.0]}
    names = ("dense", "dense, one class", "tasktp, as published")
    report = {"seeds": {"0": {"queries": 20, "verified": dict.fromkeys(names, row)}}, "over_seeds": {"verified": dict.fromkeys(names, spread)},
              "scans": 30, "data": "walks", "machine": {"processor": "CPU", "gpu": None}, "setting": {"threads": 1}}  # fmt: skip
    (tmp_path / BENCH.name / "search.json").write_text(json.dumps(report))
    text = one_table("tasktp-2", tmp_path)
    assert row_of(text, "tasktp, as published")[1:] == [
        "90",
        "900",
        "10.0",
        "50%",
        "91.0 ± 2.0",
        "910 ± 20",
        "92",
        "2437",
    ]
    assert row_of(text, "dense, one class")[-2:] == ["-", "-"], "the paper has no such row"


def test_a_pages_tables_are_made_anew_and_its_prose_stays(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table svit-3 -->\nold\n<!-- end -->\nafter\n")
    results = tmp_path / "results"
    write(results, svit=record(20.0, 20.0))
    assert main(["tables", "--results", str(results), "--write", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n") and "old" not in text
    assert row_of(text, "SViT")[1] == "20.0" and renewed(text, results) == text
    with pytest.raises(DataError, match="no table is called 'svit-9'; there are tasktp-1"):
        renewed("<!-- table svit-9 -->\n<!-- end -->", results)
    page.write_text("no table")
    assert main(["tables", "--results", str(results), "--write", str(page)]) == 2
    assert "the page has no table" in capsys.readouterr().err and page.read_text() == "no table"


def test_the_comparison_is_made_from_the_results():
    page = (ROOT / "docs" / "comparison.md").read_text()
    assert page == renewed(page, ROOT / "results" / "tables")
    assert all(f"<!-- table {name} -->" in page for name in (*TABLES, "tasktp-2"))


@pytest.fixture
def little_recipe(monkeypatch):
    """The rooms' recipe with steps of two small images."""
    recipe = recipes.RECIPES["rooms-nano"]
    stages = tuple(
        replace(stage, batch=2, inputs=((96, 128),), steps=steps)
        for stage, steps in zip(recipe.stages, (30, 10), strict=True)
    )
    monkeypatch.setitem(recipes.RECIPES, "rooms-nano", replace(recipe, stages=stages))


@pytest.fixture
def words(tiny_set, tmp_path, little_recipe) -> list[str]:
    """Of a command that works on the tiny set, from a dense model that finds things."""
    torch.manual_seed(0)
    network = build_detector("nano", "dense", len(ROOMS))
    torch.nn.init.normal_(network.roi_head.bbox_head.fc_cls.weight, std=0.2)
    card = ModelCard("little-dense", "nano", "dense", "rooms", ROOMS, True, input_size=(96, 128))
    save_model(tmp_path / "little-dense.safetensors", network, card)
    return ["tables", "--data", str(tiny_set), "--dense", str(tmp_path / "little-dense.safetensors"), "--recipe", "rooms-nano", "--passes",
            "8", "--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs"), "--images", "2", "--sets", "1", "--looks", "2",
            "--timed", "2", "--repeats", "1", "--workers", "0", "--device", "cpu", "--precision", "float32", "--train-precision", "32-true"]  # fmt: skip


def test_what_is_missing_is_trained_evaluated_and_timed_once(words, tmp_path, monkeypatch, capsys):
    pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
    from tasktp_ros.papers import work

    only = ["--only", "dense-start", "tome-untrained", "tasktp-top-4", "svit-fixed"]
    original, broken = work.measure, []

    def breaks(contender, *others):
        broken.append(contender.name)
        if contender.name == "tasktp-top-4":
            raise KeyboardInterrupt
        return original(contender, *others)

    monkeypatch.setattr(work, "measure", breaks)
    assert main([*words, "--train", *only]) == 130, "may be stopped at any time"
    assert broken == ["dense-start", "tome-untrained", "tasktp-top-4"]
    again = []
    monkeypatch.setattr(work, "measure", lambda one, *others: again.append(one.name) or original(one, *others))
    assert main([*words, "--train", *only]) == 0
    assert again == ["tasktp-top-4", "svit-fixed"], "what was done is not done again"
    ((bench, records),) = read_benches(tmp_path / "results").items()
    assert (bench.passes, bench.images, bench.size) == (8, 2, "nano")
    tasktp, tome = records["tasktp-top-4"], records["tome-untrained"]
    assert (
        tasktp["training"]["image_passes"] == 8
        and tasktp["training"]["steps"] == [3, 1]
        and tasktp["training"]["seconds"] > 0
    )
    assert tome["training"] is None and tome["model"]["brings"] == 0 and tasktp["contender"]["options"] == {"top": 4}
    assert set(tasktp["accuracy"]) == {"1", "all"} and set(tome["accuracy"]) == {"1", "10", "all"}
    assert 0 <= tasktp["accuracy"]["1"]["kept_wrong_task"] <= 1 and set(tasktp["kept"]["kinds"]) >= {"all", "wrong"}
    assert records["dense-start"]["restricted"] and not tome["restricted"] and records["dense-start"]["kept"] is None
    assert len({record["times"]["run"] for record in records.values()}) == 1, "all took turns in one run"
    assert set(tasktp["times"]["rows"]) == {"1", "10", "all"} and set(tome["times"]["rows"]) == {"all"}
    shop = tmp_path / "runs" / bench.name
    network, card = load_model(shop / "tasktp-top-4" / "tasktp-top-4.safetensors")
    assert (card.method, card.options, card.reach) == ("tasktp", {"top": 4}, "blocks") and network.backbone.selectors[
        0
    ].top == 4
    capsys.readouterr()
    assert main([*words, "--train", *only]) == 0 and again == ["tasktp-top-4", "svit-fixed"]
    assert f"{len(PLAN) - 4} of {len(PLAN)}" in capsys.readouterr().out


def test_all_learned_contenders_start_from_the_same_weights_and_see_the_same_number_of_images(words, tmp_path):
    pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
    from tasktp_ros.papers.train import recipe_for
    from tasktp_ros.training.starts import dressed

    bench = replace(BENCH, recipe="rooms-nano", passes=40, vocabulary="rooms")
    shown = set()
    for one in PLAN:
        recipe = recipe_for(one, bench, 12)
        shown.add(sum(stage.steps * stage.batch for stage in recipe.stages))
        assert recipe.size == "nano" and recipe.name == one.name and recipe.gates.reach == one.reach
    assert shown == {40}
    assert recipe_for(named("tasktp"), bench, 12).gates.class_weights == GATE_RECIPES["plain"].class_weights
    with pytest.raises(
        InputError, match="--passes allows less than one step of 2 images in stage 'adapt at full size'"
    ):
        recipe_for(named("dense"), replace(bench, passes=2), 12)
    dense = tmp_path / "little-dense.safetensors"
    weights = load_model(dense)[0].state_dict()
    for method in ("tome", "ats", "dense"):
        worn, card = load_model(dressed(dense, method, {}, tmp_path / f"{method}.safetensors"))
        assert card.method == method and card.input_size == (96, 128)
        assert all(torch.equal(worn.state_dict()[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--recipe", "coco-nano"], "recipe coco-nano is for the vocabulary coco, and little-dense knows rooms"),
        (["--dense", "rooms-nano"], "--dense must be a dense model, and rooms-nano is of the method tasktp"),
        (["--only", "magic"], "nothing in the plan is called 'magic'"),
        (["--passes", "1"], "--passes allows less than one step of 2 images"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(more, sentence, words, capsys):
    pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
    assert main([*words, "--train", "--only", "svit", *more]) == 2
    assert sentence in capsys.readouterr().err
