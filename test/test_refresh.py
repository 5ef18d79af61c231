# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Sheets of a walk, curves over image passes, and the command that makes everything anew when a model ships."""

import json
import shutil

import cv2
import numpy as np
import pytest

import refresh
from tasktp_ros.cli.main import COMMANDS, main
from tasktp_ros.datasets.cut_walk import cut_walk
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.plots import _places
from tasktp_ros.evaluation.sheet import sheet, spread
from tasktp_ros.runtime.default import DEFAULT_MODEL


@pytest.fixture
def walk(tmp_path):
    """An RGB-D folder of six pictures whose brightness tells their number."""
    folder = tmp_path / "office"
    (folder / "color").mkdir(parents=True)
    for number in range(6):
        cv2.imwrite(str(folder / "color" / f"{number:05}.jpg"), np.full((48, 64, 3), 40 * number, np.uint8))
    poses = np.tile(np.eye(4).ravel(), (6, 1))
    poses[:, 3] = range(6)
    np.savetxt(folder / "poses.txt", poses)
    np.savetxt(folder / "K.txt", [[50, 0, 32], [0, 50, 24], [0, 0, 1]])
    (folder / "LICENSE").write_text("MIT License")
    return folder


def test_a_cut_holds_the_stretch_its_poses_and_the_notice(walk, tmp_path):
    bag = cut_walk(walk, tmp_path / "cut", first=2, frames=3)
    assert (bag / "LICENSE").read_text() == "MIT License"
    with open_source(bag) as source:
        assert [round(float(frame.image.mean())) // 40 for frame in source] == [2, 3, 4]
    metadata = (bag / "metadata.yaml").read_text()
    assert metadata.count("message_count: 3") == 3 and "/tf" in metadata and "/camera/color/camera_info" in metadata
    with pytest.raises(DataError, match="has 6 pictures, so none from 4 to 6"):
        cut_walk(walk, tmp_path / "other", first=4, frames=3)
    (walk / "poses.txt").unlink()
    with pytest.raises(DataError, match=r"lacks poses.txt or K.txt"):
        cut_walk(walk, tmp_path / "other", first=0, frames=3)
    (walk / "LICENSE").unlink()
    with pytest.raises(DataError, match="LICENSE"):
        cut_walk(walk, tmp_path / "other", first=0, frames=3)
    assert not (tmp_path / "other").exists()


def test_a_sheet_is_drawn_of_evenly_spread_frames_and_counts_all(walk, tmp_path, capsys):
    asked = [
        "sheet",
        str(tmp_path / "sheet.jpg"),
        "--source",
        str(walk),
        "--model",
        "nano-untrained",
        "--task",
        "cup",
        "chair",
        "--precision",
        "float32",
    ]
    assert main([*asked, "--frames", "5", "--score", "0", "--results", str(tmp_path / "r.json")]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["images"] == 6 and set(report["of"]) <= {"cup", "chair"}
    assert report["detections"] == sum(row["detections"] for row in report["of"].values()) >= report["with_any"]
    assert "6 images of office" in capsys.readouterr().out
    drawn = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert drawn.shape == (2 * 240, 4 * 320, 3), "two rows of four, scaled to one width"
    assert drawn[300:, 700:].min() > 250, "what is left of the last row is white"
    (tmp_path / "nothing").mkdir()
    assert main([*asked[:2], "--source", str(tmp_path / "nothing"), *asked[4:]]) == 2


def test_tiles_lie_in_rows_and_frames_are_spread_to_both_ends():
    tiles = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    drawn = sheet(tiles, columns=2)
    assert drawn.shape == (8, 12, 3) and drawn[0, 7, 0] == 20 and drawn[5, 0, 0] == 30 and drawn[5, 7, 0] == 255
    assert spread(121, 4) == [0, 40, 80, 120] and spread(3, 12) == [0, 1, 2] and spread(1, 5) == [0]


def test_passes_are_counted_with_each_stages_batch():
    rows = [{"step": "9", "stage": "0"}, {"step": "19", "stage": "0"}, {"step": "29", "stage": "1"}]
    assert _places(rows, [32, 16]) == [320, 640, 800]
    assert _places(rows, []) == [9, 19, 29]


def test_a_curve_over_passes_and_one_frame_of_a_walk_are_drawn(walk, tmp_path, capsys):
    log = tmp_path / "log.csv"
    log.write_text("step,loss,stage,val_AP50\n9,2.0,0,\n19,1.5,0,3.5\n29,1.0,1,5.5\n")
    assert main(["plot", "training", str(log), str(tmp_path / "c.png"), "--recipe", "rooms-nano-dense"]) == 0
    assert main(["plot", "training", str(log), str(tmp_path / "c.png"), "--recipe", "none"]) == 2
    assert "no recipe 'none'" in capsys.readouterr().err
    tokens = [
        "plot",
        "tokens",
        str(walk),
        str(tmp_path / "t.png"),
        "--model",
        "nano-untrained",
        "--tasks",
        "cup",
        "--frame",
    ]
    assert main([*tokens, "5"]) == 0
    assert main([*tokens, "6"]) == 2
    assert "has no frame 6" in capsys.readouterr().err


def test_a_refresh_calls_commands_that_exist_and_leaves_out_what_it_lacks_data_for():
    everything = refresh.steps(
        "coco-nano", "data/photos", "data/rooms", "data/walks", "office_walk", "runs", "results/queries_rooms.json"
    )
    assert {step.command[0] for step in everything} <= {*COMMANDS, "-m"}
    assert len({step.name for step in everything}) == len(everything)
    nothing = refresh.steps("coco-nano", "", "", "", "", "", "")
    assert {step.name for step in nothing} == {"bench", "demo", "sheet", "picture", "card", "page", "measured"}
    assert refresh.main(["coco-nano", "--list"]) == 0
    with pytest.raises(SystemExit):
        refresh.main(["coco-nano", "--only", "eval"])


def test_one_command_names_another_default_model_everywhere(tmp_path):
    places = ("tasktp_ros/runtime/default.py", "config/perception.yaml", "Makefile", "README.md")
    for name in places:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(refresh.ROOT / name, tmp_path / name)
    assert refresh.make_default(DEFAULT_MODEL, tmp_path) == [], "the checkout agrees with itself"
    assert set(refresh.make_default("moon-nano", tmp_path)) == set(places)
    assert 'DEFAULT_MODEL = "moon-nano"' in (tmp_path / places[0]).read_text()
    config = (tmp_path / places[1]).read_text()
    assert 'model: "moon-nano"' in config and 'vocabulary: "moon"' in config
    (tmp_path / "Makefile").write_text("")
    with pytest.raises(SystemExit, match="names the default model 0 times"):
        refresh.make_default("sun-nano", tmp_path)
