# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasktp_ros.cli.main import main
from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import DataError, ProcessError
from tasktp_ros.evaluation import accuracy
from tasktp_ros.evaluation.coco_ap import Truth
from tasktp_ros.evaluation.detect_set import evenly
from tasktp_ros.evaluation.subsets import draw_subsets, wrong_set
from tasktp_ros.runtime.checkpoints import ModelCard, save_model
from tasktp_ros.runtime.models import open_model
from tasktp_ros.tasks.vocabulary import ROOMS
from tasktp_ros.vision.reach import REACHES


@pytest.fixture(scope="module")
def dataset(tiny_set) -> CocoDataset:
    return CocoDataset.open(tiny_set, "val", ROOMS)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    paths = {}
    for method in ("dense", "tasktp"):
        torch.manual_seed(0)
        network = build_detector("nano", method, len(ROOMS))
        torch.nn.init.normal_(network.roi_head.bbox_head.fc_cls.weight, std=0.5)
        paths[method] = folder / f"{method}.safetensors"
        save_model(paths[method], network, ModelCard(method, "nano", method, "rooms", ROOMS, True))
    return paths


def truth_as_results(dataset: CocoDataset, score: float = 1.0) -> list[dict]:
    content = json.loads(dataset.file.read_text())
    return [{"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": score,
             "segmentation": _encoded(a, dataset)} for a in content["annotations"]]  # fmt: skip


def _encoded(annotation: dict, dataset: CocoDataset) -> dict:
    from pycocotools import mask as coco_mask

    entry = dataset.image_ids.index(annotation["image_id"])
    height, width = dataset.picture(entry).shape[:2]
    runs = coco_mask.merge(coco_mask.frPyObjects(annotation["segmentation"], height, width))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode()}


def present(dataset: CocoDataset) -> list[str]:
    return sorted({ROOMS[label] for index in range(len(dataset)) for label in dataset.labels_of(index)})


def test_the_truth_itself_scores_a_hundred_and_nothing_scores_zero(dataset):
    truth = Truth(dataset)
    for kind, scores in truth.precision(truth_as_results(dataset), ROOMS, dataset.image_ids).items():
        assert scores["AP"] == scores["AP50"] == 100.0, kind
        assert scores["precision_at_0.5"] == scores["recall_at_0.5"] == 100.0
    nothing = truth.precision([], ROOMS, dataset.image_ids)["box"]
    assert nothing["AP"] == 0.0 and nothing["recall_at_0.5"] == 0.0 and nothing["precision_at_0.5"] == -1.0


def test_only_the_categories_and_images_asked_for_count(dataset):
    truth = Truth(dataset)
    names = present(dataset)
    number = dataset.category_ids[names[0]]
    others = [r for r in truth_as_results(dataset) if r["category_id"] != number]
    assert truth.precision(others, [names[0]], dataset.image_ids)["box"]["AP"] == 0.0
    assert truth.precision(others, names[1:], dataset.image_ids)["box"]["AP"] == 100.0
    absent = next(name for name in ROOMS if name not in names)
    assert truth.precision(others, [absent], dataset.image_ids)["box"]["AP"] == -1.0, "nothing to be found"


def test_precision_and_recall_are_told_per_category(dataset):
    names = present(dataset)
    number = dataset.category_ids[names[0]]
    truth = truth_as_results(dataset)
    moved = [r | {"category_id": dataset.category_ids[names[1]]} if r["category_id"] == number else r for r in truth]
    of = Truth(dataset).precision(moved, ROOMS, dataset.image_ids, ("box",))["box"]["at_half_of"]
    count = {name: sum(r["category_id"] == dataset.category_ids[name] for r in truth) for name in names}
    assert {name: row["objects"] for name, row in of.items() if row["objects"]} == count
    assert of[names[0]] == {"objects": count[names[0]], "precision": -1.0, "recall": 0.0}, "never claimed"
    wrong = count[names[1]] / (count[names[0]] + count[names[1]])
    assert of[names[1]]["recall"] == 100.0 and of[names[1]]["precision"] == pytest.approx(100 * wrong, abs=0.01)


def test_what_scores_below_one_half_is_no_claim(dataset):
    scores = Truth(dataset).precision(truth_as_results(dataset, 0.4), ROOMS, dataset.image_ids)["box"]
    assert scores["AP"] == 100.0 and scores["recall_at_0.5"] == 0.0


@pytest.mark.parametrize(
    "change",
    [
        lambda number, row: row | {"id": number},
        lambda number, row: row | {"id": 1},
        lambda number, row: {key: row[key] for key in ("image_id", "category_id", "bbox")},
        lambda number, row: row | {"segmentation": []},
    ],
    ids=["numbered from 0", "one number for all", "boxes only", "empty outlines"],
)
def test_what_a_file_lacks_costs_no_precision(change, dataset, tiny_set, tmp_path):
    content = json.loads(dataset.file.read_text())
    content["annotations"] = [change(number, row) for number, row in enumerate(content["annotations"])]
    (tmp_path / "a.json").write_text(json.dumps(content))
    truth = Truth(CocoDataset(tiny_set / "val", tmp_path / "a.json", ROOMS))
    for kind, scores in truth.precision(truth_as_results(dataset), ROOMS, dataset.image_ids).items():
        assert scores["AP"] == scores["recall_at_0.5"] == 100.0, kind


def test_a_broken_outline_stops_the_evaluation_with_its_number(dataset, tiny_set, tmp_path):
    content = json.loads(dataset.file.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2, 3]]
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"annotation 1 of image \d+ .*at least three points"):
        Truth(CocoDataset(tiny_set / "val", tmp_path / "a.json", ROOMS))


def test_asking_twice_gives_the_same_and_leaves_the_detections_alone(dataset):
    truth, found = Truth(dataset), truth_as_results(dataset)
    before = json.dumps(found)
    scores = [truth.precision(found, ROOMS, dataset.image_ids) for _ in range(2)]
    assert scores[0] == scores[1] and json.dumps(found) == before
    names = present(dataset)
    assert all(scores[0]["box"]["AP_of"][name] == scores[0]["mask"]["AP50_of"][name] == 100.0 for name in names)


def test_a_mask_is_small_or_large_by_its_own_area(dataset):
    """An unmatched detection counts against the size class of its mask, also where its box is larger."""
    from pycocotools import mask as coco_mask

    truth, found = Truth(dataset), truth_as_results(dataset)
    chosen = next(each for each in found if each["bbox"][2] * each["bbox"][3] < 32**2)
    size = chosen["segmentation"]["size"]
    empty_handed = torch.zeros(size, dtype=torch.uint8).numpy()
    empty_handed[:2, :2] = 1
    run = coco_mask.encode(empty_handed.copy(order="F"))
    stray = chosen | {"bbox": [0, 0, size[1], size[0]], "score": 2.0,
                      "segmentation": {"size": size, "counts": run["counts"].decode()}}  # fmt: skip
    name = next(name for name, number in dataset.category_ids.items() if number == chosen["category_id"])
    scores = truth.precision([*found, stray], [name], dataset.image_ids)
    assert scores["box"]["AP_small"] == 100.0, "a box as large as the image is no small box"
    assert 0 <= scores["mask"]["AP_small"] < 100.0, "four pixels are a small mask"


def test_subsets_are_seeded_and_single_categories_differ():
    singles = draw_subsets(ROOMS, 1, 5, 0)
    assert len(set(singles)) == 5 and singles == draw_subsets(ROOMS, 1, 5, 0)
    assert draw_subsets(ROOMS, 1, 5, 1) != singles
    for names in draw_subsets(ROOMS, 10, 5, 0):
        assert len(set(names)) == 10 and list(names) == sorted(names, key=ROOMS.index)
    assert draw_subsets(ROOMS, 40) == [ROOMS]


def test_a_wrong_set_has_nothing_to_do_with_the_image():
    assert not set(wrong_set(ROOMS, {"cup", "bed"}, 10, (1,))) & {"cup", "bed"}
    assert len(wrong_set(ROOMS, set(ROOMS[:15]), 10, (1,))) == 5
    assert evenly(100, 3).tolist() == [0, 50, 99] and evenly(2, 10).tolist() == [0, 1]


def test_a_whole_evaluation_and_going_on_after_it_broke(models, tiny_set, tmp_path, monkeypatch, capsys):
    command = ["eval", "--model", str(models["tasktp"]), "--dense", str(models["dense"]), "--data", str(tiny_set), "--subsets", "1",
               "10", "all", "--sets", "2", "--images", "3", "--workers", "1", "--sweep", "0.3", "--parts", str(tmp_path / "parts"),
               "--output", str(tmp_path / "report.json"), "--json"]  # fmt: skip
    original = accuracy.run_job
    calls = []

    def breaks(job):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(job)
        return original(job)

    monkeypatch.setattr(accuracy, "run_job", breaks)
    assert main(command) == 130
    assert not (tmp_path / "report.json").exists() and len(list((tmp_path / "parts").glob("*.json"))) == 3
    again = []
    monkeypatch.setattr(accuracy, "run_job", lambda job: again.append(job) or original(job))
    assert main(command) == 0
    assert not set(again) & set(calls), "what was done is not done again"
    report = json.loads((tmp_path / "report.json").read_text())
    assert [entry["size"] for entry in report["sets"]] == ["1", "1", "10", "10", "all"]
    entry = report["sets"][0]
    assert len(entry["method"]["kept_per_block"]) == 9 and "kept" not in entry["dense"]
    assert entry["method"]["backbone_gflops"] < entry["dense"]["backbone_gflops"]
    assert {"box", "mask", "milliseconds"} <= set(entry["dense_restricted"])
    assert 0 <= report["means"]["1"]["kept_wrong_task"] <= 1 and "kept_wrong_task" not in report["means"]["all"]
    assert [row["threshold"] for row in report["sweep"]] == [0.3] * 3
    assert json.loads(capsys.readouterr().out)["images"] == 3


def test_with_an_output_the_finished_passes_wait_beside_it(models, tiny_set, tmp_path, monkeypatch, capsys):
    output = tmp_path / "results" / "dense.json"
    command = ["eval", "--model", str(models["dense"]), "--data", str(tiny_set), "--subsets", "1", "--sets", "2", "--images", "1",
               "--workers", "1", "--output", str(output)]  # fmt: skip
    original, calls = accuracy.run_job, []

    def breaks(job):
        calls.append(job)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(job)

    monkeypatch.setattr(accuracy, "run_job", breaks)
    assert main(command) == 130 and not output.exists()
    assert len(list(output.with_name("dense.json.parts").iterdir())) == 1
    assert main(command) == 0
    assert calls[0] not in calls[1:], "what was done is not done again"
    assert [path.name for path in output.parent.iterdir()] == ["dense.json"]
    report = json.loads(output.read_text())
    assert "kept" not in report["means"]["1"]["method"] and "kept_wrong_task" not in report["means"]["1"]
    assert report["setting"]["score_threshold"] == 0.05
    assert "dense" in capsys.readouterr().out


def test_a_model_written_anew_makes_old_passes_worthless(models, tiny_set, tmp_path, monkeypatch):
    model = tmp_path / "model.safetensors"
    model.write_bytes(models["dense"].read_bytes())
    job = accuracy.stamped(accuracy.Job(str(model), str(tiny_set), "val", 1))
    assert accuracy.stamped(job) == job

    def trained_on(job):
        model.write_bytes(models["tasktp"].read_bytes())
        return {}

    monkeypatch.setattr(accuracy, "run_job", trained_on)
    with pytest.raises(DataError, match="written anew during the evaluation"):
        list(accuracy.run_jobs([job], tmp_path / "parts", 1))
    assert not list((tmp_path / "parts").iterdir())
    assert accuracy.stamped(job).name != job.name


def test_a_pass_follows_the_task_as_far_as_its_job_says(models, tiny_set):
    job = accuracy.Job(str(models["tasktp"]), str(tiny_set), "val", 2, categories=("cup",), threshold=0.01)
    jobs = {reach: replace(job, reach=reach) for reach in REACHES}
    first_gate = [[image["kept"][0] for image in accuracy.run_job(one)["images"]] for one in jobs.values()]
    assert min(first_gate[0]) > 0 and first_gate[0] == first_gate[1] == first_gate[2]
    nothing_kept = {reach: accuracy.run_job(replace(one, threshold=0.999)) for reach, one in jobs.items()}
    assert all(max(image["kept"]) == 0 for result in nothing_kept.values() for image in result["images"])
    assert not nothing_kept["frame"]["detections"]
    assert nothing_kept["frame"]["gflops"] < nothing_kept["network"]["gflops"] <= nothing_kept["blocks"]["gflops"]
    assert len({one.name for one in jobs.values()}) == 3


def test_the_reach_of_an_evaluation_is_the_cards_unless_named_and_stands_in_the_report(
    models, tiny_set, tmp_path, capsys
):
    model = tmp_path / "far.safetensors"
    network, card = open_model(models["tasktp"])
    save_model(model, network, replace(card, reach="network"))
    words = [
        "eval",
        "--model",
        str(model),
        "--data",
        str(tiny_set),
        "--subsets",
        "all",
        "--images",
        "1",
        "--workers",
        "1",
        "--json",
    ]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["setting"]["reach"] == "network"
    assert main([*words, "--reach", "frame"]) == 0
    assert json.loads(capsys.readouterr().out)["setting"]["reach"] == "frame"


def ended_from_outside(job, folder):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_ends_the_evaluation_instead_of_hanging_it(tiny_set, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy, "_run_and_write", ended_from_outside)
    jobs = [accuracy.Job("none", str(tiny_set), "val", images) for images in (1, 2)]
    with pytest.raises(ProcessError, match="ended from outside"):
        list(accuracy.run_jobs(jobs, tmp_path / "parts", 2))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--sweep", "0.3"], "need gates"),
        (["--reach", "frame"], "need gates"),
        (["--reach", "far"], "--reach must be one of blocks, network, frame, got 'far'"),
        (["--output", "."], "is a folder"),
        (["--parts", __file__], "cannot write to"),
        (["--subsets", "few"], "--subsets must be numbers or all"),
        (["--subsets", "40"], "no subset is left"),
        (["--sweep", "1.5"], "between 0 and 1"),
        (["--split", "test"], "no annotations of split 'test'"),
        (["--model", "missing"], "unknown model"),
        (["--dense", "nano-untrained"], "different vocabularies"),
    ],
)
def test_bad_input_is_one_sentence(options, complaint, models, tiny_set, capsys):
    assert main(["eval", "--model", str(models["dense"]), "--data", str(tiny_set), *options]) == 2
    errors = capsys.readouterr().err
    assert complaint in errors and errors.count("\n") == 1


def test_plots_are_drawn_from_logs_reports_and_images(models, tiny_set, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="no plot was drawn: matplotlib is not installed")
    log = tmp_path / "log.csv"
    log.write_text(
        "step,loss,stage,val_AP,val_AP50,val_mask_AP\n19,4.0,0,,,\n39,3.0,0,,,\n39,,0,1.0,2.0,0.5\n59,2.0,1,,,\n"
    )
    assert main(["plot", "training", str(log), str(tmp_path / "curve.png")]) == 0
    unchecked = tmp_path / "unchecked.csv"
    unchecked.write_text("step,loss,stage\n19,4.0,0\n39,3.0,0\n")
    assert main(["plot", "training", str(unchecked), str(tmp_path / "losses.png")]) == 0
    report = tmp_path / "report.json"
    rows = [{"threshold": t, "categories": ["cup"], "box": {"AP": 10.0}, "kept": t} for t in (0.3, 0.5)]
    report.write_text(json.dumps({"sweep": rows}))
    assert main(["plot", "sweep", str(report), str(tmp_path / "sweep.png")]) == 0
    image = next((tiny_set / "val").glob("*.jpg"))
    tasks = [
        "plot",
        "tokens",
        str(image),
        str(tmp_path / "t.png"),
        "--model",
        str(models["tasktp"]),
        "--tasks",
        "cup,bowl",
        "all",
    ]
    assert main(tasks) == 0
    assert all((tmp_path / name).stat().st_size > 5000 for name in ("curve.png", "losses.png", "sweep.png", "t.png"))
    capsys.readouterr()
    report.write_text("{}")
    assert main(["plot", "sweep", str(report), str(tmp_path / "x.png")]) == 2
    report.write_text('{"sweep": [{"threshold": 0.3}]}')
    assert main(["plot", "sweep", str(report), str(tmp_path / "x.png")]) == 2
    assert main(["plot", "training", str(report), str(tmp_path / "x.png")]) == 2
    assert main(["plot", "sweep", str(report), str(tmp_path / "no" / "x.png")]) == 2
    assert not (tmp_path / "x.png").exists()


def test_a_part_of_the_vocabulary_is_evaluated_on_that_part_and_said_so(models, dataset, tiny_set, tmp_path, capsys):
    known = present(dataset)[:2]
    content = json.loads(dataset.file.read_text())
    numbers = {row["id"] for row in content["categories"] if row["name"] in known}
    content["categories"] = [row for row in content["categories"] if row["id"] in numbers]
    content["annotations"] = [row for row in content["annotations"] if row["category_id"] in numbers]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val.json").write_text(json.dumps(content))
    (tmp_path / "val").symlink_to(tiny_set / "val")
    words = ["eval", "--model", str(models["tasktp"]), "--dense", str(models["dense"]), "--data", str(tmp_path), "--subsets", "1",
             "all", "--sets", "2", "--images", "2", "--workers", "1"]  # fmt: skip
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sorted(report["vocabulary"]) == known
    assert set(report["not_in_the_data"]) == set(ROOMS) - set(known)
    everything = next(entry for entry in report["sets"] if entry["size"] == "all")
    assert sorted(everything["categories"]) == known and set(everything["method"]["box"]["AP_of"]) == set(known)
    assert {category for entry in report["sets"] for category in entry["categories"]} == set(known)
    assert main(words) == 0
    assert "evaluated on 2 of the model's 20 categories; the data set has no" in capsys.readouterr().out
    content["categories"] = [{"id": 1, "name": "unicorn"}]
    content["annotations"] = []
    (tmp_path / "annotations" / "instances_val.json").write_text(json.dumps(content))
    assert main(words) == 2 and "it has unicorn" in capsys.readouterr().err


def test_several_models_and_methods_are_evaluated_in_one_run(models, tiny_set, tmp_path, monkeypatch, capsys):
    output = tmp_path / "both.json"
    words = ["eval", "--model", str(models["tasktp"]), str(models["dense"]), "--method", "tome", "--option", "kept=0.7", "--data",
             str(tiny_set), "--subsets", "all", "--images", "1", "--workers", "1", "--output", str(output)]  # fmt: skip
    original, calls = accuracy.run_job, []

    def breaks(job):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(Path(job.model).stem)
        return original(job)

    monkeypatch.setattr(accuracy, "run_job", breaks)
    assert main(words) == 130
    monkeypatch.setattr(accuracy, "run_job", lambda job: calls.append(Path(job.model).stem) or original(job))
    assert main(words) == 0
    assert calls == ["tasktp", "dense", "dense-with-tome"], "each once, also what was made for this run"
    reports = json.loads(output.read_text())["models"]
    assert [(each["model"], each["method"]) for each in reports] == [
        ("tasktp", "tasktp"), ("dense", "dense"), ("dense-with-tome", "tome")]  # fmt: skip
    gflops = [each["means"]["all"]["method"]["backbone_gflops"] for each in reports]
    assert gflops[2] < gflops[1] and reports[2]["means"]["all"]["method"]["kept"] < 1
    assert [path.name for path in tmp_path.iterdir()] == ["both.json"], "models that were made for this are gone"
    text = capsys.readouterr().out
    assert all(f"       all  {each['model']} " in text for each in reports)


@pytest.mark.parametrize(
    ("model", "method", "sentence"),
    [
        ("tasktp", "tome", "--method runs on a dense model's weights, and of .* none is dense"),
        ("dense", "svit", "--method svit has to learn first: `tasktp train RECIPE --method svit`, then give its model"),
        ("dense", "magic", "unknown reducer 'magic'"),
    ],
)
def test_only_what_has_nothing_to_learn_runs_on_dense_weights(model, method, sentence, models, tiny_set, capsys):
    assert main(["eval", "--model", str(models[model]), "--data", str(tiny_set), "--method", method]) == 2
    assert re.search(sentence, capsys.readouterr().err)
