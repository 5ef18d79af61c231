# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Streams along walks: what comes into view and when it is found, worked out by hand, and the whole command on scans made here."""

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
from tasktp_ros.evaluation.streams import measure
from tasktp_ros.evaluation.streams.measure import FrameResult, Method, Settings, Walk, WalkRun, measure_walks, read_walk
from tasktp_ros.evaluation.streams.report import stream_report
from tasktp_ros.evaluation.streams.sightings import Claims, Sighting, Visible, delay, sightings, visible_on
from tasktp_ros.evaluation.tables import page
from tasktp_ros.runtime.stream import StreamSettings
from tasktp_ros.runtime.task_detector import TaskDetector

CHAIRS = LabelMap({2: "chair", 14: "sink"}, {2: "A", 14: "A"})
SIZE = (48, 64)
BOX = (8.0, 4.0, 24.0, 20.0)
NOTHING = Claims([], [])
FOUND = Claims(["sink", "chair"], [[0.0, 0, 9, 9], [8.0, 4, 24, 18]])


def object_on(frames: range | list[int], area: float = 0.1, number: int = 5) -> dict[int, dict[int, Visible]]:
    return {frame: {number: Visible("chair", BOX, area)} if frame in frames else {} for frame in range(40)}


def test_what_comes_into_view_is_a_sighting_from_its_first_frame_on():
    assert sightings(object_on(range(10, 30)), 10) == [Sighting("chair", 5, tuple(range(10, 30)))]
    assert sightings(object_on(range(30)), 10) == [], "it was there from the beginning"
    assert sightings(object_on(range(10, 14)), 10) == [], "a glimpse"
    assert sightings(object_on(range(10, 30), area=0.002), 10) == [], "too small"


def test_half_a_second_out_of_sight_makes_a_new_sighting():
    away = sightings(object_on([*range(5), *range(10, 18), *range(19, 30)]), 10)
    assert [each.frames for each in away] == [(*range(10, 18), *range(19, 30))], "one frame away is not"
    twice = sightings(object_on([*range(10, 16), *range(25, 33)]), 10)
    assert [each.frames[0] for each in twice] == [10, 25]
    every_third = {frame: objects for frame, objects in object_on(range(9, 30)).items() if frame % 3 == 0}
    assert [each.frames for each in sightings(every_third, 10)] == [(9, 12, 15, 18, 21, 24, 27)]


def test_found_is_the_right_category_at_the_right_place():
    seen = object_on(range(10, 30))
    (chair,) = sightings(seen, 10)
    claims = dict.fromkeys(range(40), NOTHING)
    assert delay(chair, seen, claims) is None
    assert delay(chair, seen, claims | {9: FOUND}) is None, "before it is there"
    assert delay(chair, seen, claims | {14: FOUND, 20: FOUND}) == 4
    assert delay(chair, seen, claims | {10: FOUND}) == 0
    assert delay(chair, seen, claims | {10: Claims(["sink"], [list(BOX)])}) is None
    assert delay(chair, seen, claims | {10: Claims(["chair"], [[20.0, 4, 36, 20]])}) is None


def test_only_detections_to_act_on_are_claims():
    claims = Claims.of(["chair", "sink"], np.float32([0.5, 0.49]), np.float32([BOX, BOX]))
    assert claims == Claims(["chair"], [list(BOX)])


def result(claims: Claims, entered: float, frame: int, milliseconds: float) -> FrameResult:
    timed = frame % 5 == 0
    found = [(name, 0.9, box) for name, box in zip(claims.names, claims.boxes, strict=True)]
    return FrameResult(milliseconds if timed else None, entered, entered / 2, claims, [] if timed else found)


def walk_by_hand() -> Walk:
    """A chair that is in view from frame 10 of 40 on; by itself found at once, in a stream three frames later."""
    whole = Claims(["chair"], [list(BOX)])
    seen = object_on(range(10, 40))
    results = {
        ("all", 30, "alone"): {i: result(whole if i >= 10 else NOTHING, 1.0, i, 8.0) for i in range(40)},
        ("all", 30, "stream"): {i: result(whole if i >= 13 else NOTHING, 0.25, i, 4.0) for i in range(40)},
    }
    return Walk(
        "scene0001_00", SIZE, seen, results, {("all", 30, "alone"): {}, ("all", 30, "stream"): {"first": 1, "cut": 2}}
    )


def test_the_report_of_a_walk_worked_out_by_hand(tmp_path):
    walks = [walk_by_hand(), walk_by_hand()]
    report = stream_report(walks, ["alone", "stream"], tmp_path)
    assert report["10"] == {} and list(report["30"]) == ["all"]
    alone, stream = report["30"]["all"]["alone"], report["30"]["all"]["stream"]
    assert alone["box_AP"] == 100 and 80 < stream["box_AP"] < 95, "of 24 frames with the chair it is missed on two"
    assert (alone["of_first"], stream["of_first"], stream["milliseconds"]) == (1, 0.5, 4)
    assert (stream["entered"], stream["kept"]) == (0.25, 0.125)
    assert (stream["found"], stream["sightings"]) == (2, 2)
    assert alone["frames_until_found"]["worst"] == 0 and stream["frames_until_found"]["median"] == 3
    assert stream["against_first"]["frames_later"]["worst"] == 3
    assert (stream["against_first"]["only_first"], stream["against_first"]["only_this"]) == (0, 0)
    assert stream["resets"] == {"first": 2, "cut": 4}
    assert list(tmp_path.iterdir()) == []


def make_scan(root: Path, frames: int = 270) -> Scan:
    """A walk of which two pictures are told apart by a chair that comes into view on frame 3."""
    folder = root / "scans" / "scene0001_00"
    folder.mkdir(parents=True)
    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8))[1].tobytes()
    with SensWriter(folder / "scene0001_00.sens", SIZE, (2, 2), np.eye(4), np.eye(4)) as writer:
        for index in range(frames):
            writer.write(jpeg, np.ones((2, 2), np.uint16), np.eye(4), index * 33333)
    chair = np.zeros(SIZE, np.uint16)
    chair[4:20, 8:24] = 2
    for kind in ("label", "instance"):
        with zipfile.ZipFile(folder / f"scene0001_00_2d-{kind}-filt.zip", "w") as archive:
            for index in range(frames):
                picture = (chair if index >= 3 else 0 * chair).astype(np.uint16 if kind == "label" else np.uint8)
                archive.writestr(f"{kind}-filt/{index}.png", cv2.imencode(".png", picture)[1].tobytes())
    (root / "scannetv2-labels.combined.tsv").write_text("id\traw_category\n2\tchair\n14\tsink\n")
    return Scan(folder)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(measure, "WARM_UP", 1)


def test_boxes_of_instances_are_read_from_their_pictures(tmp_path):
    scan = make_scan(tmp_path, 5)
    assert visible_on(scan, 2, CHAIRS) == {}
    assert visible_on(scan, 3, CHAIRS) == {2: Visible("chair", BOX, 256 / (48 * 64))}


def test_a_walk_is_measured_once_and_kept(tmp_path, monkeypatch):
    scan, settings = make_scan(tmp_path, 40), Settings("rooms-nano", frames=40, categories=1)
    methods = (Method("alone"), Method("stream", StreamSettings(), known_motion=True))
    (walk,) = measure_walks([scan], CHAIRS, settings, tmp_path / "parts", methods)
    assert set(walk.results) == {
        (task, rate, m.label) for task in ("all", "chair") for rate in (10, 30) for m in methods
    }
    assert len(walk.results["all", 10, "stream"]) == 14 and len(walk.results["all", 30, "alone"]) == 40
    assert walk.resets["all", 30, "stream"] == {"first": 1} and walk.resets["all", 30, "alone"] == {}
    shares = [each.entered for each in walk.results["chair", 30, "stream"].values()]
    assert shares[0] == 1 and all(0 < share <= 1 for share in shares)
    timed = [frame for frame, each in walk.results["all", 10, "alone"].items() if each.milliseconds is not None]
    assert timed == [0, 15, 30], "every fifth"
    monkeypatch.setattr(WalkRun, "run", lambda *_: pytest.fail("measured again"))
    assert list(measure_walks([scan], CHAIRS, settings, tmp_path / "parts", methods)) == [walk]


def test_a_walk_reads_as_it_was_written(tmp_path):
    scan = make_scan(tmp_path, 6)
    run = WalkRun(scan, CHAIRS, Settings("nano-untrained", categories=0), (Method("alone"),))
    run.run(TaskDetector.load("nano-untrained", device="cpu"))
    walk = read_walk(scan.name, json.loads(json.dumps(run.as_json())))
    assert (walk.seen, walk.results) == (run.seen, run.results)


def test_the_command_writes_what_the_page_shows(tmp_path, capsys):
    make_scan(tmp_path)
    output = tmp_path / "results" / "stream_made.json"
    options = [
        "stream",
        str(tmp_path),
        "--frames",
        "20",
        "--categories",
        "1",
        "--threads",
        "1",
        "--output",
        str(output),
    ]
    assert command.main([*options, "--model", "nano-untrained", "--reach", "network"]) == 0
    assert "10 frames/s, all categories" in capsys.readouterr().out
    report = json.loads(output.read_text())
    assert set(report["rates"]) == {"10", "30"} and report["setting"]["reach"] == "network"
    assert list(report["rates"]["10"]["all"]) == [method.label for method in measure.METHODS]
    shown = page(output.parent)
    assert "## Streams: " in shown and shown.count("stream, motion known") == 4
    assert list(output.parent.iterdir()) == [output]


def test_what_cannot_be_measured_is_said_in_one_sentence(tmp_path, capsys):
    make_scan(tmp_path, 20)
    assert command.main(["stream", str(tmp_path), "--model", "nano-untrained"]) == 2
    assert "no scan in" in capsys.readouterr().err
    assert command.main(["stream", str(tmp_path), "--model", "rooms-nano-dense"]) == 2
    assert "has no gates" in capsys.readouterr().err
