# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A webcam: which names mean one, that its newest picture comes, and what is said when there is none."""

import itertools
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_camera import BUFFERS, DARK, PERIOD, FakeCamera, install

from tasktp_ros.cli.detect import camera_image
from tasktp_ros.cli.main import main
from tasktp_ros.datasets import camera_frames
from tasktp_ros.datasets.camera_frames import CameraSource, camera_device
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.errors import DataError


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for /dev, with one camera."""
    folder = tmp_path / "dev"
    folder.mkdir()
    (folder / "video0").touch()
    install(folder, monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(camera_frames, "PATIENCE_SECONDS", 1.0)
    yield folder
    assert not FakeCamera.opened, "every camera was let go of"


def number(image: np.ndarray) -> int:
    return int(image[0, 0, 2])


def test_pictures_are_rgb_of_the_size_asked_for_and_stamped_by_the_clock(devices):
    before = time.time_ns()
    with open_source("camera", live=True) as source:
        frames = list(itertools.islice(source, 5))
    assert source.live and source.length is None and not source.problems
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert all(frame.image.shape == (480, 640, 3) and frame.image.dtype == np.uint8 for frame in frames)
    assert all(frame.image[3, 4, 1] == 10 for frame in frames)
    numbers = [number(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers)) and numbers[0] >= 1
    stamps = [before, *(frame.stamp_ns for frame in frames), time.time_ns()]
    assert stamps == sorted(set(stamps))


def test_who_comes_late_gets_the_newest_picture_not_the_driver_s_oldest(devices):
    ahead = []
    with CameraSource(devices / "video0") as source:
        frames = iter(source)
        for _ in range(4):  # a busy machine may leave the camera's thread waiting, too, but not every time
            next(frames)
            time.sleep(5 * BUFFERS * PERIOD)
            due = source._capture.now()
            ahead.append(number(next(frames).image) - due)
    assert max(ahead) >= 0, ahead


def test_a_picture_that_was_damaged_on_its_way_is_not_shown(devices):
    (devices / "video0").write_text("damaged")
    with CameraSource(devices / "video0") as source:
        numbers = [number(frame.image) for frame in itertools.islice(source, 4)]
    assert all(each % 2 == 0 for each in numbers) and not source.problems


def test_an_error_inside_opencv_counts_as_no_picture(devices, monkeypatch):
    def fail(self: FakeCamera) -> None:
        raise cv2.error("made up")

    monkeypatch.setattr(FakeCamera, "retrieve", fail)
    with CameraSource(devices / "video0") as source:
        assert list(source) == []
    assert "delivers nothing" in source.problems[0]


def test_a_camera_that_is_unplugged_ends_with_what_was_seen(devices):
    with CameraSource(devices / "video0") as source:
        seen = 0
        started = time.monotonic()
        for _ in source:
            seen += 1
            if seen == 3:
                (devices / "video0").unlink()
        assert time.monotonic() - started < camera_frames.PATIENCE_SECONDS, "it is known at once"
        assert list(source.problems) == [f"{devices / 'video0'} was unplugged after {seen} frames"]
        assert next(iter(source), None) is None
    assert 3 <= seen <= 4


def test_a_camera_that_falls_silent_ends_with_what_was_seen_and_may_come_back(devices):
    with CameraSource(devices / "video0") as source:
        frames = iter(source)
        next(frames)
        (devices / "video0").write_text("silent")
        left = len(list(frames))
        assert list(source.problems) == [f"{devices / 'video0'} delivered {1 + left} frames and then nothing for 1 s"]
        (devices / "video0").write_text("")
        assert next(iter(source)) is not None


def test_a_camera_that_delivers_nothing_is_one_sentence(devices, capsys):
    (devices / "video0").write_text("silent")
    assert main(["detect", "camera", "--model", "nano-untrained"]) == 2
    errors = capsys.readouterr().err
    assert (
        f"camera {devices / 'video0'} has no readable frame: it is open, but delivers nothing: expected a picture"
        in errors
    )
    assert len(errors.splitlines()) == 1


def test_a_camera_that_another_program_has_is_one_sentence(devices):
    with (
        CameraSource(devices / "video0"),
        pytest.raises(DataError, match=r"video0 cannot be opened as a camera: expected one that no other program uses"),
    ):
        open_source("camera", live=True)
    with open_source("camera", live=True) as source:
        assert next(iter(source)) is not None


def test_opencv_may_speak_again_once_the_camera_is_closed(devices):
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    with CameraSource(devices / "video0"):
        assert logging.getLogLevel() == logging.LOG_LEVEL_SILENT
    (devices / "video0").write_text("busy")
    with pytest.raises(DataError):
        CameraSource(devices / "video0")
    assert logging.getLogLevel() == level


def test_names_of_cameras(devices):
    (devices / "video12").touch()
    assert camera_device("camera") == camera_device("camera:0") == camera_device(Path("camera")) == devices / "video0"
    assert camera_device("camera:12") == camera_device(str(devices / "video12")) == devices / "video12"
    for other in (
        "",
        "cam",
        "cameras",
        "camera.mp4",
        "walk/camera",
        "./walk",
        "/nowhere/video0",
        "~nobody-of-this-name/x",
        "x" * 5000,
        "a\0b",
    ):
        assert camera_device(other) is None, other


def test_a_link_to_a_device_is_that_device(devices, tmp_path, monkeypatch):
    monkeypatch.setattr(camera_frames, "_is_character_device", camera_frames._is_video_device)
    (tmp_path / "front").symlink_to(devices / "video0")
    with open_source("front", live=True) as source:
        assert next(iter(source)) is not None


@pytest.mark.parametrize("name", ["camera", "camera:1"])
def test_a_folder_called_camera_is_that_folder(devices, tmp_path, name):
    (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / name / "0.png"), np.zeros((8, 8, 3), np.uint8))
    with open_source(name, live=True) as source:
        assert source.length == 1 and not source.live


@pytest.mark.parametrize("name", ["camera:", "camera:x", "camera:-1", "camera:1.5", "camera:1\n", "camera:12345678"])
def test_a_camera_s_number_is_a_whole_one(devices, name):
    with pytest.raises(DataError, match=r"is no camera: expected camera, camera:1 or a device such as /dev/video2"):
        camera_device(name)


def test_a_camera_that_is_not_there_is_told_from_those_that_are(devices):
    (devices / "video10").touch()
    (devices / "video2").touch()
    for name in ("camera:7", str(devices / "video7")):
        with pytest.raises(DataError) as refused:
            open_source(name, live=True)
        there = ", ".join(str(devices / f"video{number}") for number in (0, 2, 10))
        assert str(refused.value) == f"there is no camera {devices / 'video7'}: expected one of {there}"


def test_a_machine_without_a_camera_says_so(devices):
    (devices / "video0").unlink()
    with pytest.raises(DataError, match=r"there is no camera .*video0: expected a webcam, and none is connected"):
        open_source("camera", live=True)


@pytest.mark.skipif(
    not Path("/dev/null").is_char_device(), reason="no device that is not a camera was tried: there is no /dev/null"
)
def test_what_is_no_video_device_is_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"^/dev/null is no video device: expected camera"):
        camera_device("/dev/null")
    monkeypatch.setattr(camera_frames, "DEVICES", tmp_path)
    (tmp_path / "video3").write_text("a file of this name")
    with pytest.raises(DataError, match=r"video3 is no video device"):
        camera_device("camera:3")


def test_a_camera_without_the_right_to_it_is_refused(devices, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    with pytest.raises(DataError, match=r"no right to read and write .*video0: expected a user of the group video"):
        camera_device("camera")


def test_detect_looks_once_the_exposure_is_right(devices, capsys):
    image = camera_image(Path("camera"))
    assert image is not None and image[0, 0, 0] == 200 and number(image) > DARK
    assert main(["detect", "camera", "--model", "nano-untrained", "--precision", "float32"]) == 0
    assert "nano-untrained" in capsys.readouterr().out
    assert camera_image(Path("picture.jpg")) is None


@pytest.mark.parametrize(
    "command", [["convert", "camera", "bag"], ["search", "camera", "--times", "cup"], ["latency", "--source", "camera"]]
)
def test_commands_that_need_an_end_refuse_a_camera(devices, tmp_path, capsys, command):
    assert main(command) == 2
    errors = capsys.readouterr().err
    assert "camera is a camera, which has no end: expected a ROS 2 bag" in errors and len(errors.splitlines()) == 1
    assert [place.name for place in tmp_path.iterdir()] == ["dev"], "nothing was written"
