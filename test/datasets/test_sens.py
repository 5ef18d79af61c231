# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""ScanNet recordings: what is written is read back to the bit, and what is damaged is read as far as it is whole."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasktp_ros.datasets.scannet import SensFile, SensWriter
from tasktp_ros.datasets.scannet.layout import FRAME, HEADER, IMU, OCCI, PREFIX
from tasktp_ros.errors import DataError

COLOUR, DEPTH = (12, 16), (6, 8)
FIRST = PREFIX.size + len("StructureSensor") + HEADER.itemsize
POSE = np.array([[0, -1, 0, 0.1], [1, 0, 0, 2.7], [0, 0, 1, 1.3], [0, 0, 0, 1]], np.float32)


def picture(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (*COLOUR, 3), np.uint8)


def depth_of(index: int) -> np.ndarray:
    return np.random.default_rng((index, 1)).integers(0, 65536, DEPTH, np.uint16)


def colour_bytes(index: int, kind: str) -> bytes:
    if kind == "raw":
        return picture(index).tobytes()
    return cv2.imencode({"jpeg": ".jpg", "png": ".png"}[kind], picture(index)[..., ::-1])[1].tobytes()


def write(path: Path, frames: int = 4, kind: str = "jpeg", stamps=lambda index: index * 33333, imu: int = 0) -> Path:
    intrinsic = np.diag([20.0, 21.0, 1.0, 1.0])
    with SensWriter(path, COLOUR, DEPTH, intrinsic, intrinsic / 2, colour_format=kind) as writer:
        for index in range(frames):
            writer.write(
                colour_bytes(index, kind), depth_of(index), None if index == 2 else POSE + index, stamps(index)
            )
        samples = np.zeros(imu, IMU)
        samples["gravity"] = [0.0, 0.0, -1.0]
        samples["stamp"] = np.arange(imu)
        writer.write_imu(samples)
    return path


def patched(path: Path, at: int, value: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[at : at + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["jpeg", "png", "raw"])
def test_what_is_written_is_read_back_to_the_bit(tmp_path, kind):
    with SensFile(write(tmp_path / "a.sens", kind=kind, imu=3)) as file:
        assert len(file) == 4 and not file.problems and file.sensor == "StructureSensor" and file.colour_format == kind
        assert file.colour_size == COLOUR and file.depth_size == DEPTH and file.depth_shift == 1000.0
        assert (file.colour_intrinsic == np.diag([20, 21, 1, 1])).all()
        for index, frame in enumerate(file):
            assert frame.colour_bytes == colour_bytes(index, kind)
            assert frame.timestamps == (index * 33333, index * 33333)
            np.testing.assert_array_equal(frame.depth, depth_of(index))
            if kind != "jpeg":
                np.testing.assert_array_equal(frame.color, picture(index))
            if index == 2:
                assert frame.pose is None
            else:
                np.testing.assert_array_equal(frame.pose, POSE + index)
        assert file.finite_poses.tolist() == [True, True, False, True]
        assert file.imu["stamp"].tolist() == [0, 1, 2] and (file.imu["gravity"][:, 2] == -1).all()
        assert file[-1].index == 3
        with pytest.raises(IndexError, match="frame 4"):
            file[4]


def test_a_copy_through_reader_and_writer_is_the_same_file(tmp_path):
    with SensFile(write(tmp_path / "a.sens", imu=2)) as file:
        arguments = (file.colour_size, file.depth_size, file.colour_intrinsic, file.depth_intrinsic)
        with SensWriter(tmp_path / "b.sens", *arguments, name=file.sensor) as writer:
            for frame in file:
                writer.write(frame.colour_bytes, frame.depth_bytes, frame.pose, frame.timestamps)
            writer.write_imu(file.imu)
    assert (tmp_path / "a.sens").read_bytes() == (tmp_path / "b.sens").read_bytes()


@pytest.mark.parametrize(
    ("stamps", "recorded"),
    [
        (lambda index: 5_000_000 + index * 40_000, True),
        (lambda index: 0, False),
        (lambda index: index * 33333 if index != 1 else 0, False),
        (lambda index: index * 5, False),
        (lambda index: index * 33333 if index < 3 else 1 << 62, False),
    ],
    ids=["good", "zero", "one-stands-still", "too-fast", "one-jump"],
)
def test_timestamps_count_only_where_they_can_be_true(tmp_path, stamps, recorded):
    with SensFile(write(tmp_path / "a.sens", stamps=stamps)) as file:
        found, believed = file.stamps()
        assert believed == recorded and found[0] == 0 and (np.diff(found) > 0).all()
        if not believed:
            assert found.tolist() == [0, 33333333, 66666667, 100000000]


def test_a_cut_file_is_read_up_to_its_last_whole_frame(tmp_path):
    whole = write(tmp_path / "a.sens", imu=2).read_bytes()
    with SensFile(tmp_path / "a.sens") as file:
        ends = [int(offset) for offset in file._offsets[1:]]
        last = ends[-1] + FRAME.itemsize + sum(file.bytes_of(3))
    for cut in range(FIRST, len(whole)):
        (tmp_path / "cut.sens").write_bytes(whole[:cut])
        with SensFile(tmp_path / "cut.sens") as file:
            assert len(file) == sum(cut >= end for end in [*ends, last])
            assert len(file.problems) == 1 and (
                "whole ones" in file.problems[0] or "before its inertial" in file.problems[0]
            )
            for index, frame in enumerate(file):
                np.testing.assert_array_equal(frame.depth, depth_of(index))


def test_a_header_that_is_cut_or_foreign_is_one_sentence(tmp_path):
    path = write(tmp_path / "a.sens")
    whole = path.read_bytes()
    for cut in range(0, FIRST, 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"a\.sens ends after"):
            SensFile(path)
    path.write_bytes(whole)
    for at, value, said in [
        (0, struct.pack("<I", 2), "version 3 or 4: its first number is 2"),
        (4, struct.pack("<Q", 1 << 60), "damaged"),
        (FIRST - 12, struct.pack("<f", float("nan")), "units per metre"),
    ]:
        with pytest.raises(DataError, match=said):
            SensFile(patched(write(path), at, value))
    with pytest.raises(DataError, match="cannot be opened"):
        SensFile(tmp_path / "none.sens")


@pytest.mark.parametrize(("announced", "held"), [(5, 4), (1 << 60, 4), (2, 2)])
def test_a_wrong_number_of_frames_is_said_and_survived(tmp_path, announced, held):
    path = patched(write(tmp_path / "a.sens"), FIRST - 8, struct.pack("<Q", announced))
    with SensFile(path) as file:
        assert len(file) == held
        assert bool(file.problems) == (announced > 4 or announced < 4)


def test_version_three_has_no_inertial_part(tmp_path):
    path = patched(write(tmp_path / "a.sens"), 0, struct.pack("<I", 3))
    path.write_bytes(path.read_bytes()[:-8])
    with SensFile(path) as file:
        assert len(file) == 4 and len(file.imu) == 0 and not file.problems


def test_pictures_that_cannot_be_decoded_name_their_frame(tmp_path):
    path = write(tmp_path / "a.sens")
    with SensFile(path) as file:
        at = int(file._offsets[1]) + FRAME.itemsize
        colour, _ = file.bytes_of(1)
    patched(path, at, b"\0" * 8)
    patched(path, at + colour, b"\xff" * 8)
    with SensFile(path) as file:
        with pytest.raises(DataError, match=r"colour of frame 1 of .*a\.sens cannot be read"):
            _ = file[1].color
        with pytest.raises(DataError, match=r"depth of frame 1 of .* is no zlib stream"):
            _ = file[1].depth
        np.testing.assert_array_equal(file[3].depth, depth_of(3))


def test_depth_that_unpacks_to_another_size_is_refused_and_cannot_fill_the_memory(tmp_path):
    bomb = zlib.compress(b"\0" * (64 << 20))
    with SensWriter(tmp_path / "a.sens", COLOUR, DEPTH, np.eye(4), np.eye(4)) as writer:
        writer.write(b"", zlib.compress(b"\0" * 10), None, 0)
        writer.write(b"", bomb, None, 0)
    with SensFile(tmp_path / "a.sens") as file:
        with pytest.raises(DataError, match="10 bytes instead of 6 x 8 x 2"):
            _ = file[0].depth
        tracemalloc.start()
        _ = file[1].depth
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
        tracemalloc.stop()


def test_proprietary_depth_is_refused_and_colour_still_read(tmp_path):
    path = patched(write(tmp_path / "a.sens", kind="png"), FIRST - 8 - 4 - 16 - 4, struct.pack("<i", OCCI))
    with SensFile(path) as file:
        np.testing.assert_array_equal(file[0].color, picture(0))
        with pytest.raises(DataError, match="proprietary OCCI"):
            _ = file[0].depth


def test_two_gigabytes_are_indexed_without_reading_them(tmp_path):
    path, frames, each = tmp_path / "big.sens", 2000, 1 << 20
    write(path, frames=0)
    header = np.zeros((), FRAME)
    header["colour_bytes"], header["depth_bytes"] = each - 100, 100
    with path.open("r+b") as file:
        for index in range(frames):
            file.seek(FIRST + index * (FRAME.itemsize + each))
            file.write(header.tobytes())
        file.truncate(FIRST + frames * (FRAME.itemsize + each) + 8)
        file.seek(FIRST - 8)
        file.write(struct.pack("<Q", frames))
    tracemalloc.start()
    with SensFile(path) as file:
        assert len(file) == frames and not file.problems
        assert tracemalloc.get_traced_memory()[1] < 2 << 20, "a few hundred bytes per frame"
    tracemalloc.stop()


def test_the_writer_refuses_what_would_not_fit_and_leaves_nothing(tmp_path):
    writing = SensWriter(tmp_path / "a.sens", COLOUR, DEPTH, np.eye(4), np.eye(4))
    with pytest.raises(DataError, match="depth of frame 0"), writing as writer:
        writer.write(b"", np.zeros((3, 3), np.uint16), None, 0)
    with pytest.raises(DataError, match="'tiff'"):
        SensWriter(tmp_path / "a.sens", COLOUR, DEPTH, np.eye(4), np.eye(4), colour_format="tiff")
    assert not list(tmp_path.iterdir())
