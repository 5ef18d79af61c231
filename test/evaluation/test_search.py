# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Object search: small walks worked out by hand, and the whole command on scans made here."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasktp_ros.cli import main as command
from tasktp_ros.datasets.scannet.labels import LabelMap
from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.datasets.scannet.sens_writer import SensWriter
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.search import measure
from tasktp_ros.evaluation.search.protocol import StepResult, box_of, box_overlap, follow, mask_overlap, resized
from tasktp_ros.evaluation.search.queries import Query, draw_queries, read_queries, write_queries
from tasktp_ros.evaluation.search.report import missed, over_seeds, seed_report
from tasktp_ros.evaluation.search.steps import look, seen_in, step_frames, unfit

CHAIRS = LabelMap({2: "chair", 14: "sink"}, {2: "A", 14: "A"})
SIZE = (40, 40)


def step(claimed=False, verified=False, lenient=None, visible=False, milliseconds=10.0, kept=None) -> StepResult:
    return StepResult(claimed, verified, verified if lenient is None else lenient, visible, milliseconds, kept)


NOTHING, WRONG, SEEN = step(), step(claimed=True), step(visible=True)
FOUND = step(claimed=True, verified=True, visible=True)
ROUGHLY = step(claimed=True, lenient=True, visible=True)


def label_pictures(frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A chair from frame 90 on, of 2 x 2 px (0.25 %), and a sink of three pixels, which is too small to count."""
    labels, instances = np.zeros(SIZE, np.uint16), np.zeros(SIZE, np.uint8)
    if frame >= 90:
        labels[:2, :2], instances[:2, :2] = 2, 5
    labels[10, :3], instances[10, :3] = 14, 6
    return labels, instances


def make_scan(root: Path, name: str = "scene0001_00", frames: int = 271, lost: int = 0, labelled: bool = True) -> Scan:
    folder = root / "scans" / name
    folder.mkdir(parents=True)
    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8))[1].tobytes()
    depth = np.zeros((2, 2), np.uint16)
    with SensWriter(folder / f"{name}.sens", SIZE, (2, 2), np.eye(4), np.eye(4)) as writer:
        for index in range(frames):
            writer.write(jpeg, depth, None if index < lost else np.eye(4), index * 33333)
    for place, kind in enumerate(("label", "instance") if labelled else ()):
        with zipfile.ZipFile(folder / f"{name}_2d-{kind}-filt.zip", "w") as archive:
            for index in range(0, frames, 90):
                picture = cv2.imencode(".png", label_pictures(index)[place])[1].tobytes()
                archive.writestr(f"{kind}-filt/{index}.png", picture)
    (root / "scannetv2-labels.combined.tsv").write_text("id\traw_category\n2\tchair\n14\tsink\n")
    return Scan(folder)


def test_steps_are_three_seconds_apart_from_the_first_frame():
    assert list(step_frames(271)) == [0, 90, 180, 270] and list(step_frames(270)) == [0, 90, 180]


def test_an_instance_is_visible_from_a_quarter_per_cent_of_the_image(tmp_path):
    scan = make_scan(tmp_path)
    assert look(scan, 0, CHAIRS).masks == {}
    assert [mask.sum() for mask in look(scan, 90, CHAIRS).of("chair")] == [4]
    assert seen_in(scan, CHAIRS) == (4, {"chair": [1, 2, 3]})


def test_scans_that_cannot_be_searched_in_say_why(tmp_path):
    assert unfit(make_scan(tmp_path)) == ""
    assert "further scan" in unfit(make_scan(tmp_path, "scene0001_01", 2))
    assert "twice" in unfit(make_scan(tmp_path, "scene0217_00", 2))
    assert unfit(make_scan(tmp_path, "scene0002_00", 269)) == "it has 269 frames, fewer than 270"
    assert "lost in 20%" in unfit(make_scan(tmp_path, "scene0003_00", 270, lost=54))
    assert "lacks scene0004_00_2d-label-filt.zip" in unfit(make_scan(tmp_path, "scene0004_00", 2, labelled=False))
    broken = make_scan(tmp_path, "scene0005_00", 2)
    broken.recording.write_bytes(b"x")
    assert "ends after" in unfit(broken)


def test_queries_are_drawn_by_seed_with_at_most_one_per_scan_and_three_per_category():
    seen = {
        f"scene{i:04d}_00": (5, {"chair": [0, 3], "bed": [2]} | ({"sink": [1]} if i < 4 else {})) for i in range(30)
    }
    drawn = draw_queries(seen, seed=0)
    assert drawn == draw_queries(dict(reversed(seen.items())), seed=0) != draw_queries(seen, seed=1)
    assert len(drawn) == 9, "three categories, three each"
    assert len({query.scan for query in drawn}) == 9
    assert all(sum(query.category == name for query in drawn) == 3 for name in ("chair", "bed", "sink"))
    assert {query.oracle for query in drawn} == {1, 3, 2}
    many = {scan: (5, {f"thing {i % 10}": [0]}) for i, scan in enumerate(seen)}
    assert len(draw_queries(many, seed=3)) == 20


def test_queries_survive_their_file_and_foreign_files_do_not(tmp_path):
    drawn = {0: [Query("scene0001_00", "chair", 4, (1, 2))], 7: []}
    write_queries(tmp_path / "queries.json", "rooms", drawn)
    assert read_queries(tmp_path / "queries.json") == ("rooms", drawn)
    for content in ("", "[]", '{"seeds": {}}', '{"vocabulary": "rooms", "seeds": {"0": [{"scan": "a"}]}}'):
        (tmp_path / "foreign.json").write_text(content)
        with pytest.raises(DataError, match="holds no queries"):
            read_queries(tmp_path / "foreign.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_queries(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("walk", "criterion", "runs", "found", "alarms"),
    [
        ([NOTHING, SEEN, FOUND, FOUND], "verified", 3, True, 0),
        ([WRONG, SEEN, FOUND], "verified", 3, True, 1),
        ([WRONG, SEEN, FOUND], "claimed", 1, True, 1),
        ([NOTHING, ROUGHLY, FOUND], "verified", 3, True, 1),
        ([NOTHING, ROUGHLY, FOUND], "lenient", 2, True, 0),
        ([NOTHING, ROUGHLY, FOUND], "claimed", 2, True, 1),
        ([WRONG, SEEN, WRONG], "verified", 3, False, 2),
        ([NOTHING, SEEN], "claimed", 2, False, 0),
    ],
)
def test_a_search_ends_when_its_criterion_is_met_or_the_walk_is_over(walk, criterion, runs, found, alarms):
    outcome = follow(walk, criterion)
    assert (outcome.runs, outcome.found, outcome.false_alarms) == (runs, found, alarms)
    assert outcome.milliseconds == 10.0 * runs


def test_the_report_adds_up_and_splits_the_saving():
    queries = [Query("a", "chair", 3, (1,)), Query("b", "sink", 3, (0,))]
    quick = [step(kept=0.1, milliseconds=4.0), step(True, True, visible=True, kept=0.3, milliseconds=6.0)]
    steps = {"base": [[NOTHING, SEEN, FOUND], [SEEN, SEEN, WRONG]], "quick": [quick, [quick[1]]]}
    report = seed_report(queries, steps)
    base, other = report["verified"]["base"], report["verified"]["quick"]
    assert report["oracle_runs"] == 3
    assert (base["runs"], base["milliseconds"], base["success_rate"], base["false_alarms"]) == (6, 60.0, 0.5, 1)
    assert (other["runs"], other["milliseconds"], other["success_rate"]) == (3, 16.0, 1.0)
    assert (other["kept_with_target"], other["kept_without_target"]) == (0.3, 0.1)
    assert base["kept_with_target"] is None
    assert (base["runs_where_all_found"], other["runs_where_all_found"]) == (3, 2)
    assert other["saved_by_fewer_runs"] == 30.0 and other["saved_by_faster_runs"] == pytest.approx(14.0, abs=0.1)
    assert other["saved_by_fewer_runs"] + other["saved_by_faster_runs"] == pytest.approx(60.0 - 16.0, abs=0.1)
    assert missed(steps["base"]) == [1, 2] and missed(steps["quick"]) == [0, 0]
    again = seed_report(queries, {"base": steps["quick"], "quick": steps["quick"]})
    spread = over_seeds({"0": report, "1": again})
    assert spread["verified"]["base"]["runs"] == [4.5, 1.5]
    assert spread["verified"]["base"]["kept_with_target"] == [0.3, 0.0], "only one of them has gates"


def test_overlaps_of_masks_and_boxes():
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    one[:2, :2], other[:2] = True, True
    assert mask_overlap(one, other) == 0.5 and mask_overlap(one & False, other & False) == 0.0
    assert box_of(other).tolist() == [0, 0, 4, 2] and box_overlap(box_of(one), box_of(other)) == 0.5
    assert box_overlap(np.array([0, 0, 1, 1.0]), np.array([2, 2, 3, 3.0])) == 0.0
    np.testing.assert_array_equal(resized(one, (2, 2)), [[True, False], [False, False]])


@pytest.fixture
def walks(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(measure, "WARM_UP", 1)
    make_scan(tmp_path)
    make_scan(tmp_path, "scene0002_00")
    make_scan(tmp_path, "scene0003_00", 12)
    return tmp_path


def search(walks: Path, *more: str) -> list[str]:
    return ["search", str(walks), "--model", "nano-untrained", "--repeats", "1", "--seeds", "0", "1", *more]


def test_the_command_searches_keeps_parts_and_says_what_was_set_aside(walks, tmp_path, capsys, monkeypatch):
    output = tmp_path / "search.json"
    searched = []
    original = measure.Measurement._scan

    def broken(self, turns, methods, scan, wanted):
        searched.append(scan.name)
        if len(searched) == 2:
            raise KeyboardInterrupt
        return original(self, turns, methods, scan, wanted)

    monkeypatch.setattr(measure.Measurement, "_scan", broken)
    assert command.main(search(walks, "--output", str(output))) == 130
    assert not output.exists()
    queries = tmp_path / "queries.json"
    assert command.main(search(walks, "--output", str(output), "--write-queries", str(queries))) == 0
    assert searched == ["scene0001_00", "scene0002_00", "scene0002_00"], "the scan that was finished is not run again"
    assert "2 searches (seed 0)" in capsys.readouterr().out
    report = json.loads(output.read_text())
    assert report["set_aside"] == {"scene0003_00": "it has 12 frames, fewer than 270"}
    assert list(report["methods"]) == ["nano-untrained, as published", "nano-untrained, all the way"]
    row = report["seeds"]["0"]["verified"]["nano-untrained, as published"]
    assert row["runs"] == 8 and row["success_rate"] == 0.0 and row["milliseconds"] > 0
    assert report["seeds"]["0"]["oracle_runs"] == 4
    assert not list(tmp_path.glob("search.json.parts"))
    assert command.main(search(walks, "--queries", str(queries), "--json", "--plot", str(tmp_path / "plot.png"))) == 0
    assert json.loads(capsys.readouterr().out)["seeds"]["1"]["verified"]["nano-untrained, all the way"]["runs"] == 8
    more = ("--queries", str(queries), "--json", "--reach", "network", "frame", "network")
    assert command.main(search(walks, *more)) == 0
    methods = json.loads(capsys.readouterr().out)["methods"]
    assert {label: method["reach"] for label, method in methods.items()} == {
        "nano-untrained, whole network": "network",
        "nano-untrained, all the way": "frame",
    }
    assert (tmp_path / "plot.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: (root / "scannetv2-labels.combined.tsv").unlink(), "label table"),
        (
            lambda root: (root / "scannetv2-labels.combined.tsv").write_text("id\traw_category\n7\tdesk\n"),
            "ever becomes",
        ),
        (lambda root: [file.unlink() for file in root.glob("scans/*/*.zip")], "set aside since it lacks"),
        (lambda root: [file.unlink() for file in root.glob("scans/*/*.sens")], "no scans in"),
    ],
)
def test_data_that_cannot_be_searched_is_one_sentence(walks, spoil, said, capsys):
    spoil(walks)
    assert command.main(search(walks)) == 2
    errors = capsys.readouterr().err
    assert said in errors and "Traceback" not in errors


def test_a_recording_without_labels_is_timed_and_nothing_else_is_said_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "WARM_UP", 1)
    folder = tmp_path / "office"
    folder.mkdir()
    for number in range(32):
        cv2.imwrite(str(folder / f"{number:03}.jpg"), np.full((48, 64, 3), 5 * number, np.uint8))
    output = tmp_path / "times.json"
    asked = [
        "search",
        str(folder),
        "--model",
        "nano-untrained",
        "--repeats",
        "1",
        "--times",
        "cup",
        "chair",
    ]
    assert command.main([*asked, "--output", str(output)]) == 0
    assert "3 images" in capsys.readouterr().out, "5 images a second, one per three seconds"
    rows = json.loads(output.read_text())["rows"]
    assert list(rows) == ["nano-untrained, as published", "nano-untrained, all the way"]
    assert all(row["milliseconds_per_run"] > 0 for row in rows.values())
    assert command.main([*asked[:-2], "unicorn"]) == 2
    assert "unicorn" in capsys.readouterr().err
    (folder / "empty").mkdir()
    assert command.main(["search", str(folder / "empty"), *asked[2:]]) == 2


def test_bad_options_are_one_sentence(walks, tmp_path, capsys):
    assert command.main(search(walks, "--count", "0")) == 2
    assert command.main(search(walks, "--reach", "blocks", "far")) == 2
    assert command.main(["search", str(tmp_path / "none"), "--model", "nano-untrained"]) == 2
    write_queries(tmp_path / "empty.json", "coco", {})
    assert command.main(search(walks, "--queries", str(tmp_path / "empty.json"))) == 2
    write_queries(tmp_path / "own.json", "own", {0: [Query("scene0001_00", "unicorn", 4, (1,))]})
    assert command.main(search(walks, "--queries", str(tmp_path / "own.json"))) == 2
    write_queries(tmp_path / "else.json", "coco", {0: [Query("scene0009_00", "chair", 4, (1,))]})
    assert command.main(search(walks, "--queries", str(tmp_path / "else.json"))) == 2
    errors = capsys.readouterr().err
    assert all(
        said in errors
        for said in (
            "--count",
            "--reach must be one of blocks, network, frame, got 'far'",
            "label table",
            "searches for nothing",
            "'unicorn', which not all of the models know",
            "scene0009_00",
        )
    )
