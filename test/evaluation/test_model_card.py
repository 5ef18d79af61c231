# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A model's card says what was measured of its very weights, in the file and on the page, and nothing else."""

import json
from pathlib import Path

import pytest
import torch

from tasktp_ros.cli.main import main
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.data_count import count_set
from tasktp_ros.evaluation.model_card import page
from tasktp_ros.evaluation.model_facts import read_facts, weights_mark
from tasktp_ros.runtime.checkpoints import ModelCard, load_model, save_model
from tasktp_ros.runtime.score_map import ScoreMap
from tasktp_ros.tasks.vocabulary import ROOMS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    network = build_detector("nano", "tasktp", len(ROOMS))
    torch.nn.init.normal_(network.roi_head.bbox_head.fc_cls.weight, std=0.5)
    path = tmp_path_factory.mktemp("model") / "mine.safetensors"
    card = ModelCard(
        "mine",
        "nano",
        "tasktp",
        "rooms",
        ROOMS,
        True,
        measured={"trained_with": {"images": 12, "image_passes": 3400, "seed": 0}},
    )
    save_model(path, network, card)
    return path


def test_the_page_in_the_docs_is_made_from_the_models_and_results_that_ship():
    names = sorted(file.stem for file in (ROOT / "weights").glob("*.safetensors"))
    assert (ROOT / "docs" / "models.md").read_text() == page(names, ROOT / "results")


def test_the_mark_tells_weights_and_not_what_is_said_about_them(model, tmp_path):
    network, card = load_model(model)
    save_model(
        tmp_path / "renamed.safetensors",
        network,
        ModelCard("other", "nano", "tasktp", "rooms", ROOMS, True, score_map=ScoreMap(1, 0)),
    )
    assert weights_mark(tmp_path / "renamed.safetensors") == weights_mark(model)
    with torch.no_grad():
        next(network.parameters()).mul_(2)
    save_model(tmp_path / "changed.safetensors", network, card)
    assert weights_mark(tmp_path / "changed.safetensors") != weights_mark(model)
    assert weights_mark("nano-untrained") is None
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(DataError, match="not a whole safetensors file"):
        weights_mark(tmp_path / "broken.safetensors")


def test_from_measuring_to_the_page_and_the_file(model, tiny_set, tmp_path, capsys):
    results = tmp_path / "results"
    on = ["--data", str(tiny_set), "--precision", "float32"]
    evaluate = ["eval", "--model", str(model), *on, "--workers", "1", "--subsets", "all"]
    assert main([*evaluate, "--output", str(results / "eval_mine.json")]) == 0
    assert main(["kept", "--model", str(model), *on, "--output", str(results / "kept_mine.json")]) == 0
    assert main(["count", str(tiny_set), "--model", str(model), "--output", str(results / "data_mine.json")]) == 0
    assert main(["card", str(model), "--results", str(results), "--write", "--page", str(tmp_path / "page.md")]) == 0
    text = (tmp_path / "page.md").read_text()
    report = json.loads((results / "eval_mine.json").read_text())
    whole = report["means"]["all"]["method"]
    assert f"| all | tasktp | {whole['box_AP']:.1f} | {whole['box_AP50']:.1f} |" in text
    assert "12 images, 3,400 image passes" in text and "train | 12 |" in text and "drawn by `tasktp rooms`" in text
    assert "one category, in view" in text and report["command"] in text and weights_mark(model) in text
    measured = load_model(model)[1].measured
    assert measured["validation"]["box_AP50"] == whole["box_AP50"] and measured["validation"]["images"] == 4
    assert measured["trained_with"]["images"] == 12 and set(measured["kept"]) >= {"all", "absent", "wrong"}
    report["weights"] = "0" * 12
    (results / "eval_mine.json").write_text(json.dumps(report))
    assert main(["card", str(model), "--results", str(results)]) == 2
    assert "is about other weights (000000000000)" in capsys.readouterr().err


def test_a_model_that_was_not_measured_is_named_and_has_no_card_to_write(model, tmp_path, capsys):
    assert "Not measured in this form: `mine`" in page([str(model)], tmp_path)
    assert main(["card", str(model), "--results", str(tmp_path), "--write"]) == 2
    assert "there is no eval_mine.json" in capsys.readouterr().err
    assert main(["card", "--results", str(tmp_path / "none")]) == 2
    (tmp_path / "eval_mine.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_facts(tmp_path, "mine", None)


def test_a_count_is_of_objects_and_licences_in_the_file(tiny_set, tmp_path):
    content = json.loads((tiny_set / "annotations" / "instances_val.json").read_text())
    crowd = content["annotations"][0] | {"iscrowd": 1, "id": 999}
    content |= {
        "licenses": [{"id": 4, "name": "Attribution License", "url": ""}],
        "annotations": [*content["annotations"], crowd],
    }
    content["images"][0] |= {"license": 4, "source": "somewhere", "aspect_squashed": True}
    (tmp_path / "val").mkdir()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val.json").write_text(json.dumps(content))
    found = count_set(tmp_path, "val")
    assert found["images"] == 4 and found["objects"] == found["with_mask"] == len(content["annotations"]) - 1 == sum(
        found["of"].values()
    )
    assert found["licences"] == {"not recorded": 3, "Attribution License": 1}
    assert found["sources"] == {"somewhere": 1} and found["squashed"] == 1
    only = next(iter(found["of"]))
    assert count_set(tmp_path, "val", [only])["objects"] == found["of"][only]
