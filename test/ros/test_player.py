# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The player as a process on real DDS, answered by another process."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harness import LATCHED, SOON, NodeProcess, eventually
from rcl_interfaces.msg import Log
from sensor_msgs.msg import CompressedImage

from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import BagWriter

ECHO = Path(__file__).parent / "echo.py"
PLAYER = ("-m", "tasktp_ros.nodes.player")
FRAMES = 8


def picture(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (96, 128, 3), np.uint8)


def stamps(count: int = FRAMES) -> list[int]:
    return [1_700_000_000_000_000_000 + 40_000_000 * index for index in range(count)]


def bag(path: Path, times: list[int]) -> Path:
    with BagWriter(path) as writer:
        for index, stamp_ns in enumerate(times):
            record = records.image_record(picture(index), stamp_ns, "head_optical")
            writer.write("/head/image", records.IMAGE, 1_000_000_000 + index, record)
    return path


def compressed_bag(path: Path) -> Path:
    with BagWriter(path, "sqlite3") as writer:
        for index, stamp_ns in enumerate(stamps()):
            encoded = cv2.imencode(".jpg", picture(index))[1]
            record = records.compressed_record(encoded, stamp_ns, "head_optical")
            writer.write("/head/image/compressed", records.COMPRESSED_IMAGE, stamp_ns, record)
    return path


def cut_bag(path: Path) -> Path:
    file = next(bag(path, stamps(60)).glob("*.mcap"))
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    for index in range(FRAMES):
        cv2.imwrite(str(path / f"{index}.png"), picture(index))
    return path


def video(path: Path) -> Path:
    path = path.with_suffix(".avi")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (128, 96))
    for index in range(FRAMES):
        writer.write(picture(index))
    writer.release()
    return path


@pytest.fixture
def play(
    start: Callable[..., NodeProcess], tmp_path: Path
) -> Callable[..., tuple[dict[str, Any], NodeProcess, NodeProcess]]:
    """Play a source before an echo to its end; the summary, the player and the echo."""

    def play(source: Path, *, leave_out: int = 0, answers: int = 1, **parameters: Any):
        echo = start((ECHO, str(leave_out), str(answers)))
        player = start(PLAYER, source=source, summary=tmp_path / "summary.json", **parameters)
        assert player.process.wait(60) == 0, player.log
        return json.loads((tmp_path / "summary.json").read_text()), player, echo

    return play


def seen_stamps(echo: NodeProcess) -> list[int]:
    return [int(second) * 10**9 + int(nano) for second, nano in re.findall(r"image (\d+)\.(\d{9})", echo.log)]


def test_in_lock_step_every_frame_is_answered_once_in_order_under_its_own_header(play, tmp_path):
    summary, player, echo = play(bag(tmp_path / "walk", stamps(40)))
    assert (summary["frames_sent"], summary["results_received"], summary["lost"]) == (40, 40, 0)
    assert summary["order_kept"]
    assert summary["headers_equal"]
    assert (summary["timeouts"], summary["repeated"], summary["foreign"], summary["restamped"]) == (0, 0, 0, 0)
    assert seen_stamps(echo) == stamps(40)
    first_bytes = [int(mean) for mean in re.findall(r"mean (\d+)", echo.log)]
    assert first_bytes == [int(picture(index).reshape(-1)[:30].sum()) for index in range(40)]
    assert len(summary["latency_milliseconds_values"]) == 40
    assert "40 frames sent, 40 results, 0 without" in player.log


@pytest.mark.parametrize("make", [compressed_bag, folder, video])
def test_every_kind_of_source_is_played(play, tmp_path, make):
    summary, _, _ = play(make(tmp_path / "walk"))
    assert (summary["frames_sent"], summary["results_received"], summary["problems"]) == (FRAMES, FRAMES, [])


def test_a_bag_that_ends_inside_a_message_is_played_up_to_there_and_said(play, tmp_path):
    summary, player, _ = play(cut_bag(tmp_path / "walk"))
    assert 20 <= summary["frames_sent"] < 60
    assert summary["lost"] == 0
    assert any("ends inside" in problem for problem in summary["problems"])
    assert "ends inside" in player.log
    assert "Traceback" not in player.log


def test_zero_repeated_and_backward_stamps_are_still_paired(play, tmp_path):
    base = stamps()[0]
    times = [0, 0, base, base, base - 10**9, base + 5, base, 0]
    summary, _, echo = play(bag(tmp_path / "walk", times))
    assert (summary["results_received"], summary["lost"], summary["order_kept"]) == (8, 0, True)
    assert summary["restamped"] == 5
    shown = seen_stamps(echo)
    assert len(set(shown)) == 8
    assert 0 not in shown
    assert {base, base - 10**9, base + 5} <= set(shown)


@pytest.mark.parametrize("mode", ["unique", "source"])
def test_stamps_before_1970_and_at_the_end_of_time_do_not_end_a_replay(play, tmp_path, mode):
    times = [-1, -(10**9) * 2**31, 2**31 * 10**9 - 1, stamps()[0]]
    summary, _, echo = play(bag(tmp_path / "walk", times), stamps=mode)
    assert (summary["frames_sent"], summary["results_received"], summary["problems"]) == (4, 4, [])
    assert stamps()[0] in seen_stamps(echo)


def test_untouched_stamps_are_paired_one_by_one(play, tmp_path):
    base = stamps()[0]
    times = [base, base, base, 0, 0]
    summary, _, echo = play(bag(tmp_path / "walk", times), stamps="source")
    assert (summary["results_received"], summary["lost"]) == (5, 0)
    assert seen_stamps(echo) == times


def test_frames_without_result_are_counted_and_passed_over(play, tmp_path):
    summary, player, _ = play(bag(tmp_path / "walk", stamps()), leave_out=4, timeout=2.0)
    assert (summary["frames_sent"], summary["results_received"], summary["lost"], summary["timeouts"]) == (8, 6, 2, 2)
    assert summary["order_kept"]
    assert "no result for frame 3" in player.log


def test_results_that_come_twice_are_told_from_new_ones(play, tmp_path):
    summary, _, _ = play(bag(tmp_path / "walk", stamps()), answers=2)
    assert (summary["results_received"], summary["lost"]) == (8, 0)
    assert summary["repeated"] >= 7


def test_a_loop_goes_on_with_new_stamps_until_enough_were_played(play, tmp_path):
    summary, _, echo = play(bag(tmp_path / "walk", stamps()), loop=True, stop_after=20)
    assert (summary["frames_sent"], summary["lost"], summary["restamped"]) == (20, 0, 0)
    shown = seen_stamps(echo)
    assert shown == sorted(set(shown))


def test_at_a_rate_frames_do_not_wait_for_results(play, tmp_path):
    summary, _, _ = play(bag(tmp_path / "walk", stamps()), rate=20, leave_out=2, timeout=3.0)
    assert (summary["frames_sent"], summary["results_received"], summary["lost"], summary["timeouts"]) == (8, 4, 4, 0)
    assert summary["seconds"] >= 6 / 20, "frames must not leave faster than the rate"


def test_nobody_to_play_for_is_one_sentence(start, tmp_path):
    player = start(PLAYER, source=bag(tmp_path / "walk", stamps()), wait=0.5)
    assert player.process.wait(30) == 1
    assert "nobody subscribes to /image" in player.log


def test_who_asks_for_another_type_of_image_is_named(start, robot, tmp_path):
    listener = robot.listen(CompressedImage, "image")
    player = start(PLAYER, source=bag(tmp_path / "walk", stamps()), wait=3.0)
    assert player.process.wait(30) == 1
    assert "nobody subscribes to /image as sensor_msgs/msg/Image (sensor_msgs/msg/CompressedImage is" in player.log
    listener.close()


def test_too_few_to_play_for_is_one_sentence(start, tmp_path):
    start((ECHO, "0", "1")).says("listening")
    player = start(PLAYER, source=bag(tmp_path / "walk", stamps()), wait=8.0, subscribers=2)
    assert player.process.wait(30) == 1
    assert "1 of 2 subscribe to /image" in player.log
    assert "Traceback" not in player.log


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "source"),
        ({"source": "/nowhere"}, "/nowhere does not exist"),
        ({"source": "/nowhere", "rate": "fast"}, "rate"),
        ({"source": "/nowhere", "timeout": -1.0}, "timeout"),
        ({"source": "/nowhere", "stamps": "never"}, "stamps"),
        ({"source": "/nowhere", "stamps": "[]"}, "stamps is None: expected a text"),
        ({"source": "/nowhere", "rate": ".nan"}, "parameter rate is nan"),
        ({"source": "/nowhere", "rate": ".inf"}, "parameter rate is inf"),
        ({"source": "/nowhere", "every": 0}, "parameter every is 0: expected 1 or more"),
        ({"source": 2024}, "parameter source is 2024: expected a text"),
        ({"source": "/nowhere", "topic": "front-cam/image"}, "parameter topic: 'front-cam/image' cannot be"),
        ({"source": "/nowhere", "summary": "/proc/x/y.json"}, "cannot write to /proc/x/y.json"),
        ({"source": "a: b: c"}, "a text needs quotes"),
        ({"source": os.fsdecode(b"/b\xe4ld")}, r"/b\xe4ld is not UTF-8"),
    ],
)
def test_bad_parameters_are_one_sentence(start, parameters, said):
    player = start(PLAYER, stop_after=3, **parameters)
    assert player.process.wait(30) == 2
    assert said in player.log
    assert "Traceback" not in player.log and len(player.log.splitlines()) <= 2, player.log


def test_an_answer_without_a_header_is_refused(start, tmp_path):
    source = bag(tmp_path / "walk", stamps(1))
    player = start(PLAYER, source=source, results_type="geometry_msgs/msg/Point")
    assert player.process.wait(30) == 2
    assert "does not begin with a header" in player.log


def test_what_is_wrong_at_the_start_reaches_those_who_read_the_log_through_ros(start, robot):
    heard = robot.listen(Log, "/rosout", LATCHED)

    def told() -> bool:  # a busy machine may take longer to connect than a player that has failed stays
        start(PLAYER, source="/nowhere").process.wait(30)
        return any("/nowhere does not exist" in entry.msg for entry in heard.heard())

    eventually(told, "the player's error on /rosout")
    heard.close()


def test_a_second_node_that_answers_is_warned_of(start, tmp_path):
    for _ in range(2):
        start((ECHO, "0", "1")).says("listening")
    player = start(PLAYER, source=bag(tmp_path / "walk", stamps(2)), subscribers=2)
    assert player.process.wait(60) == 0
    assert "2 nodes publish /detections: is another launch still running?" in player.log


def test_a_folder_whose_pictures_are_all_broken_is_an_error(start, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for index in range(2):
        (broken / f"{index}.png").write_bytes(b"no picture")
    start((ECHO, "0", "1")).says("listening")
    player = start(PLAYER, source=broken)
    assert player.process.wait(30) == 2
    assert "no readable frame" in player.log or "no frame of" in player.log
    assert "Traceback" not in player.log


def test_a_summary_that_cannot_be_written_in_the_end_is_an_error_and_stays_in_the_log(start, tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    echo = start((ECHO, "0", "1"))
    player = start(PLAYER, source=bag(tmp_path / "walk", stamps()), loop=True, summary=place / "summary.json")
    echo.says("image")
    place.rmdir()
    place.write_text("a file by now")
    status, _ = player.end()
    assert status == 2
    assert "frames sent" in player.log and "cannot be written" in player.log
    assert "Traceback" not in player.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["importing", "waiting", "playing", "no answer"])
def test_a_signal_ends_the_player_cleanly_at_every_stage(start, tmp_path, number, stage):
    if stage in ("playing", "no answer"):
        echo = start((ECHO, "0" if stage == "playing" else "1", "1"))
        echo.says("listening")
    player = start(PLAYER, source=bag(tmp_path / "walk", stamps()), loop=True, summary=tmp_path / "summary.json")
    if stage == "importing":
        eventually(lambda: "numpy" in Path(f"/proc/{player.process.pid}/maps").read_text(), "the player imports")
    else:
        player.says("playing")
    if stage in ("playing", "no answer"):
        echo.says("image", times=1 if stage == "no answer" else 20)
    else:
        time.sleep(0.2)
    status, seconds = player.end(number)
    assert status == 0, player.log
    assert seconds < SOON
    assert "Traceback" not in player.log
    if stage == "playing":
        assert json.loads((tmp_path / "summary.json").read_text())["stopped_early"]


def test_a_signal_that_comes_again_while_the_player_ends_changes_nothing(start, tmp_path):
    start((ECHO, "0", "1")).says("listening")
    player = start(PLAYER, source=bag(tmp_path / "walk", stamps()), loop=True)
    player.says("playing")
    eventually(lambda: not player.running or player.process.send_signal(signal.SIGINT), "the player ends")
    assert player.process.wait() == 0, player.log
