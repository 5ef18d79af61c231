# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A webcam through the player and the demonstration, as processes on real DDS; the camera is a stand-in."""

import json
import re
import time
from pathlib import Path

import fake_camera
import pytest
from harness import NodeProcess, eventually
from test_demo import demo  # noqa: F401 (a fixture)
from test_player import ECHO, PLAYER, seen_stamps

from tasktp_ros.cli.demo import TASKS, Length

LOGGED = re.compile(r"\[(\d+)\.(\d{9})\] \[echo\]: image")


@pytest.fixture
def camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The device of the one camera of all processes that are started."""
    devices = tmp_path / "dev"
    devices.mkdir()
    (devices / "video0").touch()
    for name, value in fake_camera.environment(tmp_path, devices).items():
        monkeypatch.setenv(name, value)
    return devices / "video0"


def summary_of(player: NodeProcess, path: Path) -> dict:
    assert player.process.wait(60) == 0, player.log
    assert "Traceback" not in player.log
    return json.loads(path.read_text())


def test_a_camera_is_played_for_some_seconds_in_lock_step(start, camera, tmp_path):
    before = time.time_ns()
    echo = start((ECHO, "0", "1"))
    path = tmp_path / "summary.json"
    summary = summary_of(start(PLAYER, source="camera", seconds=1.5, summary=path), path)
    assert summary["source"] == str(camera) and summary["problems"] == []
    assert summary["frames_sent"] == summary["results_received"] > 1
    assert 1.4 < summary["seconds"] < 15.0
    assert summary["restamped"] == 0, "the clock gives each frame a stamp of its own"
    stamps = [before, *seen_stamps(echo), time.time_ns()]
    assert stamps == sorted(set(stamps))


def test_a_slow_player_sends_the_newest_picture_not_one_it_read_ahead(start, camera, tmp_path):
    echo = start((ECHO, "0", "1"))
    path = tmp_path / "summary.json"
    summary_of(start(PLAYER, source="camera:0", rate=0.5, stop_after=4, summary=path), path)
    arrived = [int(second) * 10**9 + int(nano) for second, nano in LOGGED.findall(echo.log)]
    ages = [(come - stamp) / 1e9 for come, stamp in zip(arrived, seen_stamps(echo), strict=True)]
    assert len(ages) == 4
    assert min(ages[1:]) < 1.0, f"one read ahead would be two seconds old: {ages}"


def test_a_camera_that_is_unplugged_ends_the_play_with_what_was_seen(start, camera, tmp_path):
    echo = start((ECHO, "0", "1"))
    path = tmp_path / "summary.json"
    player = start(PLAYER, source="camera", seconds=60.0, summary=path)
    echo.says("image", times=5)
    camera.unlink()
    summary = summary_of(player, path)
    assert summary["frames_sent"] == summary["results_received"] >= 5
    assert summary["seconds"] < 50
    assert len(summary["problems"]) == 1 and "video0 was unplugged after" in summary["problems"][0]


def test_a_player_without_its_camera_says_what_it_expected(start, camera):
    player = start(PLAYER, source="camera:3")
    assert player.process.wait(30) == 2
    assert f"there is no camera {camera.with_name('video3')}: expected one of {camera}" in player.log
    assert "Traceback" not in player.log


def test_the_demonstration_plays_a_camera_for_some_seconds_and_changes_its_task_by_the_clock(demo, camera, tmp_path):  # noqa: F811
    status, out, errors = demo(
        "--source", "camera", "--seconds", 10, "--output", tmp_path / "out", "--model", "nano-untrained", "--reach", "network"
    ).finish()  # fmt: skip
    assert status == 0, errors
    report = json.loads((tmp_path / "out" / "demo.json").read_text())
    assert report["source"] == "camera" and report["images"] == "640 x 480 px"
    assert report["player"]["lost"] == 0 and report["problems"] == []
    shown = [task["id"] for task in report["tasks"] if task["frames"] > 0]
    assert shown == [task.goal_id for task in TASKS][: len(shown)] and len(shown) >= 2, "time changes tasks"
    assert set(report["values"]["task_id"]) == set(shown)
    assert 8.0 < report["player"]["seconds"] < 25.0
    assert min(report["values"]["stamp_to_result_milliseconds"]) > 0
    assert len(re.findall("data:image/jpeg;base64,", (tmp_path / "out" / "index.html").read_text())) >= 3 * (
        len(shown) - 1
    )
    assert "Look around" in out


def test_how_much_of_a_play_has_passed(monkeypatch):
    clock = iter([100.0, 101.0, 105.0, 112.0])
    both = Length(frames=4, seconds=10.0, live=True)
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: next(clock))
        assert [both.passed(seen) for seen in (1, 1, 3, 3)] == [0.25, 0.25, 0.75, 1.2]
    assert Length(frames=24, seconds=0.0, live=False).passed(8) >= TASKS[1].start, "a third of the frames is a third"
    assert Length(frames=0, seconds=60.0, live=True).passed(10_000) == 0.0, "time counts from the first frame on"


def test_the_demonstration_ends_with_what_was_seen_of_a_camera_that_is_unplugged(demo, camera, tmp_path):  # noqa: F811
    running = demo("--source", "camera", "--seconds", 15, "--output", tmp_path / "out", "--model", "nano-untrained")
    log = tmp_path / "out" / "logs" / "perception.log"
    eventually(lambda: log.exists() and TASKS[1].goal_id in log.read_text(), "a part of the time has passed", 90)
    camera.unlink()
    status, _, errors = running.finish()
    assert status == 0, errors
    assert "was unplugged after" in errors and "Traceback" not in errors
    assert "was unplugged after" in (tmp_path / "out" / "index.html").read_text()


def test_a_demonstration_without_a_camera_is_one_sentence_before_anything_starts(demo, camera, tmp_path):  # noqa: F811
    camera.unlink()
    status, out, errors = demo("--source", "camera", "--output", tmp_path / "out").finish()
    assert status == 2 and not out and not (tmp_path / "out").exists()
    assert f"there is no camera {camera}: expected a webcam" in errors and len(errors.splitlines()) == 1
