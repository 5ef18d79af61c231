# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasktp_ros.datasets.scannet.sens_writer import SensWriter
from tasktp_ros.errors import DataError

try:
    from tasktp_ros.datasets.rooms.render import load_mujoco

    load_mujoco()
except DataError as error:
    pytest.skip(f"no room was rendered: {error}", allow_module_level=True)

from tasktp_ros.datasets.rooms import walks as rooms_walks
from tasktp_ros.datasets.rooms.flat import build_flat
from tasktp_ros.datasets.rooms.paths import SPEED, TURN, drive
from tasktp_ros.datasets.rooms.placement import furnish
from tasktp_ros.datasets.rooms.walks import SCANNET_IDS, WalkSet, room_at, write_walks
from tasktp_ros.tasks.vocabulary import ROOMS

FRAMES = 5


def read_sens(path: Path) -> tuple[dict, list[dict]]:
    """A reader written from the description of the format alone."""
    data = path.read_bytes()
    version, length = struct.unpack_from("<IQ", data, 0)
    at = 12 + length
    matrices = np.frombuffer(data, "<f4", 64, at).reshape(4, 4, 4)
    at += 256
    colour, depth, cw, ch, dw, dh, shift, count = struct.unpack_from("<ii4IfQ", data, at)
    at += struct.calcsize("<ii4IfQ")
    frames = []
    for _ in range(count):
        pose = np.frombuffer(data, "<f4", 16, at).reshape(4, 4)
        stamp, _, colour_bytes, depth_bytes = struct.unpack_from("<4Q", data, at + 64)
        at += 96
        jpeg = data[at : at + colour_bytes]
        raw = zlib.decompress(data[at + colour_bytes : at + colour_bytes + depth_bytes])
        at += colour_bytes + depth_bytes
        frames.append({"pose": pose, "stamp": stamp, "colour": cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1),
                       "depth": np.frombuffer(raw, "<u2").reshape(dh, dw)})  # fmt: skip
    assert struct.unpack_from("<Q", data, at)[0] == 0 and at + 8 == len(data), "no IMU, and nothing after it"
    header = {"version": version, "name": data[12 : 12 + length], "kinds": (colour, depth), "size": (ch, cw, dh, dw),
              "shift": shift, "intrinsic": matrices[0]}  # fmt: skip
    return header, frames


def pictures(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        return {
            name: cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            for name in archive.namelist()
        }


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> WalkSet:
    wanted = WalkSet(tmp_path_factory.mktemp("walks"), 2, FRAMES, 48, 64, 1)
    write_walks(wanted, workers=2)
    return wanted


def test_a_scan_reads_by_the_description_of_the_format(walked):
    header, frames = read_sens(walked.scan(0) / "scene0000_00.sens")
    assert header["version"] == 4 and header["name"] == b"StructureSensor" and header["kinds"] == (2, 1)
    assert header["size"] == (48, 64, 48, 64) and header["shift"] == 1000.0
    assert [frame["stamp"] for frame in frames] == [0, 33333, 66666, 100000, 133333]
    for frame in frames:
        assert np.allclose(frame["pose"][:3, :3] @ frame["pose"][:3, :3].T, np.eye(3), atol=1e-5)
        assert np.linalg.det(frame["pose"][:3, :3]) == pytest.approx(1.0, abs=1e-5)
        assert frame["pose"][2, 1] < 0, "the camera's y axis points down"
        assert 1.0 <= frame["pose"][2, 3] <= 1.4
        assert 300 < np.median(frame["depth"]) < 10000, "millimetres"


def test_label_and_instance_pictures_agree_and_numbers_are_stable(walked):
    folder = walked.scan(1)
    labels = pictures(folder / "scene0001_00_2d-label-filt.zip")
    instances = pictures(folder / "scene0001_00_2d-instance-filt.zip")
    assert list(labels) == [f"label-filt/{frame}.png" for frame in range(FRAMES)]
    label_of: dict[int, int] = {}
    for frame in range(FRAMES):
        label, instance = labels[f"label-filt/{frame}.png"], instances[f"instance-filt/{frame}.png"]
        assert label.dtype == np.uint16 and instance.dtype == np.uint8 and label.shape == instance.shape == (48, 64)
        assert np.array_equal(label > 0, instance > 0)
        for number in np.unique(instance[instance > 0]):
            found = set(np.unique(label[instance == number]).tolist())
            assert len(found) == 1 and label_of.setdefault(int(number), next(iter(found))) in found
    assert set(label_of.values()) <= set(SCANNET_IDS.values())
    assert set(SCANNET_IDS) == set(ROOMS)


def test_the_lists_beside_the_scans(walked):
    assert (walked.folder / "scannetv2_val.txt").read_text() == "scene0000_00\nscene0001_00\n"
    rows = [line.split("\t") for line in (walked.folder / "scannetv2-labels.combined.tsv").read_text().splitlines()]
    assert rows[0][:3] == ["id", "raw_category", "category"] and all(len(row) == 17 for row in rows)
    assert {row[1]: int(row[0]) for row in rows[1:]} == SCANNET_IDS
    assert "numColorFrames = 5\n" in (walked.scan(0) / "scene0000_00.txt").read_text()


def test_the_same_seed_gives_the_same_bytes_and_finished_scans_are_kept(walked, tmp_path):
    again = replace(walked, folder=tmp_path, count=1)
    write_walks(again, workers=1)
    for name in ("scene0000_00_2d-label-filt.zip", "scene0000_00_2d-instance-filt.zip", "scene0000_00.sens"):
        assert (again.scan(0) / name).read_bytes() == (walked.scan(0) / name).read_bytes()
    before = (again.scan(0) / name).stat().st_mtime_ns
    write_walks(replace(again, count=2), workers=1)
    assert (again.scan(0) / name).stat().st_mtime_ns == before and again.scan(1).is_dir()


def test_a_broken_walk_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rooms_walks, "_add_picture", full_disk)
    with pytest.raises(DataError, match=r"not finished: .*No space left"):
        write_walks(WalkSet(tmp_path, 1, 2, 48, 64, 1), workers=1)
    assert not list((tmp_path / "scans").iterdir())


def test_an_unfinished_file_never_has_its_name(tmp_path):
    size, matrix = (4, 6), np.eye(4)

    def break_off() -> None:
        with SensWriter(tmp_path / "a.sens", size, size, matrix, matrix) as sens:
            sens.write(b"jpeg", np.ones(size, np.uint16), None, 0)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        break_off()
    assert not list(tmp_path.iterdir())
    with SensWriter(tmp_path / "a.sens", size, size, matrix, matrix) as sens:
        sens.write(
            cv2.imencode(".jpg", np.zeros((4, 6, 3), np.uint8))[1].tobytes(), np.full(size, 7, np.uint16), None, 5
        )
    _, frames = read_sens(tmp_path / "a.sens")
    assert np.isneginf(frames[0]["pose"]).all() and (frames[0]["depth"] == 7).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_robot_drives_smoothly_through_several_rooms(seed):
    random = np.random.default_rng(seed)
    flat = build_flat(random, 4)
    poses = drive(flat, furnish(flat, random), 1200, random)
    steps = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1)
    turns = np.abs((np.diff(poses[:, 2]) + np.pi) % (2 * np.pi) - np.pi)
    assert steps.max() <= SPEED + 1e-6 and turns.max() <= TURN + 1e-6
    assert steps.sum() > 1.0, "it moves"
    for x, y in poses[:, :2]:
        room = flat.rooms[room_at(flat, x, y)]
        assert room.low[0] <= x <= room.high[0] and room.low[1] <= y <= room.high[1]


@pytest.mark.parametrize("change", [{"frames": FRAMES + 1}, {"seed": 2}, {"width": 80}])
def test_walks_of_other_settings_are_not_mixed(walked, change):
    with pytest.raises(DataError, match="choose another folder"):
        write_walks(replace(walked, **change), workers=1)


@pytest.mark.parametrize("holds", ["scannetv2-labels.combined.tsv", "scans/scene0000_00/scene0000_00.sens"])
def test_recordings_that_were_not_drawn_here_are_left_alone(tmp_path, holds):
    theirs = tmp_path / holds
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("theirs")
    with pytest.raises(DataError, match="not drawn by this command; choose another folder"):
        write_walks(WalkSet(tmp_path, 1, FRAMES, 48, 64, 1), workers=1)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["theirs"]
