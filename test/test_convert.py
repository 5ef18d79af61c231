# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""`tasktp convert`: what goes into a bag comes out again, and bad input is one sentence."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasktp_ros.cli import main as command
from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import quaternion
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.datasets.to_bag import COLOR_TOPIC, DEPTH_TOPIC

OFFICE_WALK = Path(__file__).parents[2] / "shared" / "data" / "office_walk"
INTRINSICS = np.array([[100.0, 0, 40], [0, 100, 30], [0, 0, 1]])


def rgbd_folder(place: Path, frames: int = 4) -> Path:
    (place / "color").mkdir(parents=True)
    (place / "depth").mkdir()
    poses = []
    for index in range(frames):
        image = np.random.default_rng(index).integers(0, 256, (60, 80, 3), np.uint8)
        cv2.imwrite(str(place / "color" / f"{3 * index:05d}.jpg"), image)
        cv2.imwrite(str(place / "depth" / f"{3 * index:05d}.png"), np.full((30, 40), 1000 + index, np.uint16))
        poses.append(np.array([[0, -1, 0, index], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]], float).ravel())
    np.savetxt(place / "poses.txt", np.array(poses))
    np.savetxt(place / "K.txt", INTRINSICS)
    return place


def messages(bag: Path, topic: str) -> list:
    from rosbags.rosbag2 import Reader

    with Reader(bag) as reader:
        connections = [one for one in reader.connections if one.topic == topic]
        return [records.deserialise(record, one.msgtype) for one, _, record in reader.messages(connections)]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_rgbd_folder_becomes_a_bag_with_all_it_holds(tmp_path, storage, capsys):
    folder = rgbd_folder(tmp_path / "in")
    bag = tmp_path / "out.bag"
    assert command.main(["convert", str(folder), str(bag), "--rate", "4", "--format", storage, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["frames"], summary["depth"], summary["poses"]) == (4, 4, 4)
    with open_source(bag) as source:
        frames = list(source)
    assert [frame.stamp_ns for frame in frames] == [250_000_000 * (index + 1) for index in range(4)]
    assert frames[0].frame_id == "camera_color_optical_frame"
    for frame, file in zip(frames, sorted((folder / "color").iterdir()), strict=True):
        np.testing.assert_array_equal(frame.image[..., ::-1], cv2.imread(str(file)))
    depth = messages(bag, DEPTH_TOPIC)
    assert [int(message.data.view(np.uint16)[7]) for message in depth] == [1000, 1001, 1002, 1003]
    assert depth[0].encoding == "16UC1"
    color_info = messages(bag, COLOR_TOPIC.replace("image_raw", "camera_info"))[0]
    assert (color_info.height, color_info.width) == (60, 80)
    np.testing.assert_allclose(color_info.k.reshape(3, 3), INTRINSICS)
    depth_info = messages(bag, DEPTH_TOPIC.replace("image_raw", "camera_info"))[0]
    np.testing.assert_allclose(depth_info.k.reshape(3, 3), np.diag([0.5, 0.5, 1]) @ INTRINSICS)
    pose = messages(bag, "/tf")[2].transforms[0]
    assert (pose.header.frame_id, pose.child_frame_id) == ("map", "camera_color_optical_frame")
    assert pose.transform.translation.x == 2.0
    np.testing.assert_allclose([pose.transform.rotation.z, pose.transform.rotation.w], np.sqrt([0.5, 0.5]))


def test_raw_keeps_pixels_and_a_bag_can_be_converted_again(tmp_path):
    for index in range(3):
        cv2.imwrite(
            str(tmp_path / f"{index}.png"), np.random.default_rng(index).integers(0, 256, (20, 30, 3), np.uint8)
        )
    assert command.main(["convert", str(tmp_path), str(tmp_path / "first.bag"), "--raw"]) == 0
    arguments = [str(tmp_path / "first.bag"), str(tmp_path / "second.bag"), "--raw", "--format", "sqlite3"]
    assert command.main(["convert", *arguments]) == 0
    with open_source(tmp_path) as pictures, open_source(tmp_path / "second.bag") as source:
        assert "compressed" not in source.description
        for original, frame in zip(pictures, source, strict=True):
            np.testing.assert_array_equal(frame.image, original.image)
            assert frame.stamp_ns == original.stamp_ns


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "K.txt").write_text("1 2\n3 4\n"), "K.txt"),
        (lambda folder: (folder / "K.txt").write_text("nan nan nan\n" * 3), "K.txt"),
        (lambda folder: (folder / "poses.txt").write_text("not numbers"), "poses.txt"),
        (lambda folder: np.savetxt(folder / "poses.txt", np.zeros((2, 16))), "2 poses for 4"),
        (lambda folder: [file.write_bytes(b"x") for file in (folder / "color").iterdir()], "no readable frame"),
    ],
)
def test_a_spoilt_folder_is_one_sentence_and_leaves_no_bag(tmp_path, spoil, said, capsys):
    folder = rgbd_folder(tmp_path / "in")
    spoil(folder)
    assert command.main(["convert", str(folder), str(tmp_path / "out.bag")]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert "Traceback" not in errors
    assert [file.name for file in tmp_path.iterdir()] == ["in"]


def test_a_spoilt_depth_picture_costs_that_picture_alone(tmp_path, capsys):
    folder = rgbd_folder(tmp_path / "in")
    cv2.imwrite(str(folder / "depth" / "00003.png"), np.zeros((4, 4), np.uint8))
    assert command.main(["convert", str(folder), str(tmp_path / "out.bag"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["frames"], summary["depth"], summary["poses"]) == (4, 3, 4)
    assert len(summary["problems"]) == 1 and "00003.png is not a 16 bit depth image" in summary["problems"][0]


def test_an_existing_destination_is_not_touched(tmp_path, capsys):
    folder = rgbd_folder(tmp_path / "in")
    (tmp_path / "out.bag").mkdir()
    assert command.main(["convert", str(folder), str(tmp_path / "out.bag")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_folder_becomes_a_recording_and_the_recording_a_bag_with_the_same_contents(tmp_path, capsys):
    folder = rgbd_folder(tmp_path / "in")
    recording = tmp_path / "scans" / "scene0000_00" / "scene0000_00.sens"
    assert command.main(["convert", str(folder), str(recording)]) == 0
    assert "4 frames, 4 depth, 4 poses (sens" in capsys.readouterr().out
    assert command.main(["convert", str(recording.parent), str(tmp_path / "bag"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["frames"], summary["depth"], summary["poses"]) == (4, 4, 4)
    with open_source(tmp_path / "bag") as source:
        frames = list(source)
    assert [frame.stamp_ns for frame in frames] == [33_333_333, 66_666_667, 100_000_000, 133_333_333], "by index, 30 Hz"
    stored = messages(tmp_path / "bag", f"{COLOR_TOPIC}/compressed")
    for message, file in zip(stored, sorted((folder / "color").iterdir()), strict=True):
        assert bytes(message.data) == file.read_bytes(), "already compressed colour is passed on"
    depth = messages(tmp_path / "bag", DEPTH_TOPIC)
    assert [int(message.data.view(np.uint16)[7]) for message in depth] == [1000, 1001, 1002, 1003]
    depth_info = messages(tmp_path / "bag", DEPTH_TOPIC.replace("image_raw", "camera_info"))[0]
    np.testing.assert_allclose(depth_info.k.reshape(3, 3), np.diag([0.5, 0.5, 1]) @ INTRINSICS)
    assert messages(tmp_path / "bag", "/tf")[3].transforms[0].transform.translation.x == 3.0


def test_a_cut_recording_becomes_a_bag_of_its_whole_frames(tmp_path, capsys):
    recording = tmp_path / "a.sens"
    assert command.main(["convert", str(rgbd_folder(tmp_path / "in")), str(recording)]) == 0
    recording.write_bytes(recording.read_bytes()[:-30])
    assert command.main(["convert", str(recording), str(tmp_path / "bag"), "--raw"]) == 0
    captured = capsys.readouterr()
    assert "announces 4 frames and holds 3 whole ones" in captured.err and "3 frames over" in captured.out
    recording.write_bytes(b"nonsense")
    assert command.main(["convert", str(recording), str(tmp_path / "other")]) == 2
    assert "a.sens" in capsys.readouterr().err and not (tmp_path / "other").exists()


@pytest.mark.parametrize("rate", ["0", "-3", "nan"])
def test_a_rate_that_makes_no_time_is_refused(tmp_path, rate, capsys):
    assert command.main(["convert", str(rgbd_folder(tmp_path / "in")), str(tmp_path / "bag"), "--rate", rate]) == 2
    assert "rate" in capsys.readouterr().err


def test_rotations_become_unit_quaternions_at_every_angle():
    for axis in np.eye(3):
        for angle in np.linspace(0, 2 * np.pi, 9):
            rotation = cv2.Rodrigues(axis * angle)[0]
            x, y, z, w = quaternion(rotation)
            assert w >= 0
            cosine = np.cos(angle / 2)
            np.testing.assert_allclose(np.abs([x, y, z]), np.abs(axis * np.sin(angle / 2)), atol=1e-7)
            np.testing.assert_allclose(w, abs(cosine), atol=1e-7)


@pytest.mark.skipif(
    not OFFICE_WALK.exists(),
    reason="no real recording was converted: the office walk is not beside this checkout (../shared/data)",
)
def test_the_office_walk_keeps_all_its_frames(tmp_path, capsys):
    bag = tmp_path / "office.bag"
    assert command.main(["convert", str(OFFICE_WALK), str(bag), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["frames"], summary["depth"], summary["poses"], summary["problems"]) == (373, 373, 373, [])
    with open_source(bag) as source:
        assert source.length == 373
        assert next(iter(source)).image.shape == (360, 540, 3)
