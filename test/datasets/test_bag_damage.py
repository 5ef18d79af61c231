# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Recordings as they are found: recorders killed, files compressed, names of every kind, stamps from before 1970."""

import importlib.util
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import BagWriter
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.datasets.problems import MOST_KINDS, Problems
from tasktp_ros.datasets.scannet import SensFile
from tasktp_ros.datasets.scannet.from_frames import write_recording
from tasktp_ros.datasets.to_bag import write_bag
from tasktp_ros.errors import DataError

TOPIC = "/camera/image_raw"
FIRST = 1_700_000_000_000_000_000
STEP = 100_000_000


def picture(index: int) -> np.ndarray:
    return np.full((24, 32, 3), 5 * index, np.uint8)


def record(index: int, stamp: int | None = None) -> bytes:
    return records.image_record(picture(index), FIRST + index * STEP if stamp is None else stamp, "cam")


def make_bag(path: Path, storage: str = "sqlite3", count: int = 6) -> Path:
    with BagWriter(path, storage) as bag:
        for index in range(count):
            bag.write(TOPIC, records.IMAGE, FIRST + index * STEP, record(index))
    return path


def read(path: Path) -> tuple[list[int], list[str]]:
    """Which pictures a source gives, and its problems."""
    with open_source(path) as source:
        shown = [int(frame.image[0, 0, 0]) // 5 for frame in source]
        return shown, source.problems


@pytest.fixture(params=["-wal", "-journal"])
def killed(request, tmp_path) -> Path:
    """A bag whose recorder was killed: its last messages are in the -wal file, or a rollback is still to be done."""
    recording, left = make_bag(tmp_path / "recording", count=3), tmp_path / "left"
    file = next(recording.glob("*.db3"))
    writer = sqlite3.connect(file)
    writer.execute("PRAGMA journal_mode=" + ("WAL" if request.param == "-wal" else "DELETE"))
    writer.execute("PRAGMA cache_size=1")
    for index in range(3, 6):
        writer.execute(
            "INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)", (FIRST + index * STEP, record(index))
        )
    if request.param == "-wal":
        writer.commit()
    shutil.copytree(
        recording, left, ignore=shutil.ignore_patterns("*-shm")
    )  # as it lies on the disk while the recorder still runs
    writer.rollback()
    writer.close()
    assert next(left.glob("*" + request.param)).stat().st_size
    metadata = left / "metadata.yaml"
    if request.param == "-wal":
        metadata.write_text(metadata.read_text().replace("message_count: 3", "message_count: 6"))
    return left


def contents(folder: Path) -> dict[str, bytes]:
    """Files and what they hold; where an index was there, its list of readers may change."""
    return {file.name: b"" if file.suffix == ".db3-shm" else file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("with_metadata", [True, False])
def test_what_a_killed_recorder_committed_is_read_and_what_it_did_not_is_not(killed, with_metadata):
    if not with_metadata:
        (killed / "metadata.yaml").unlink()
    before = contents(killed)
    shown, problems = read(killed)
    assert shown == list(range(6 if any(name.endswith("-wal") for name in before) else 3))
    assert any("not closed by its recorder" in problem for problem in problems)
    assert contents(killed) == before, "reading changes nothing"


def test_messages_that_metadata_announces_and_files_do_not_hold_are_named(tmp_path):
    bag = make_bag(tmp_path / "bag")
    (bag / "metadata.yaml").write_text(
        (bag / "metadata.yaml").read_text().replace("message_count: 6", "message_count: 9")
    )
    shown, problems = read(bag)
    assert shown == list(range(6))
    assert any("announces 9 messages" in problem and "holds 6" in problem for problem in problems)


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("plugin", list(StoragePlugin))
@pytest.mark.parametrize("with_metadata", [True, False])
def test_compressed_bags_are_read_with_and_without_metadata(tmp_path, mode, plugin, with_metadata):
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(TOPIC, records.IMAGE, typestore=records.message_types())
        for index in range(4):
            writer.write(connection, FIRST + index * STEP, record(index))
    if not with_metadata:
        (tmp_path / "bag" / "metadata.yaml").unlink()
    assert read(tmp_path / "bag")[0] == list(range(4))


def pack(data: bytes) -> bytes:
    """Compressed, by whichever Zstandard this Python has."""
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        if importlib.util.find_spec(name.split(".")[0]) and importlib.util.find_spec(name):
            return importlib.import_module(name).compress(data)
    raise ModuleNotFoundError("zstandard")


def test_a_compressed_file_that_is_cut_is_read_up_to_there(tmp_path):
    random = np.random.default_rng(0)
    with BagWriter(tmp_path / "bag") as bag:
        for index in range(40):
            noise = random.integers(0, 256, (120, 160, 3), np.uint8)
            bag.write(TOPIC, records.IMAGE, FIRST + index * STEP, records.image_record(noise, FIRST, "cam"))
    packed = pack(next((tmp_path / "bag").glob("*.mcap")).read_bytes())
    file = tmp_path / "cut" / "cut_0.mcap.zstd"
    file.parent.mkdir()
    file.write_bytes(packed[: len(packed) // 2])
    shown, problems = read(tmp_path / "cut")
    assert 0 < len(shown) < 40 and problems
    file.write_bytes(b"no archive at all")
    with pytest.raises(DataError, match=str(file)):
        open_source(tmp_path / "cut")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(
    "name", ["run #3", "what?", "50%41", "walk: kitchen", "k\u00fcche", os.fsdecode(b"b\xe4ld"), "with\nbreak"]
)
def test_bags_are_written_and_read_under_any_name(tmp_path, storage, name):
    parent = tmp_path / name
    parent.mkdir()
    bag = make_bag(parent / name, storage)
    assert read(bag) == (list(range(6)), [])
    assert read(next(file for file in bag.iterdir() if file.suffix != ".yaml"))[0] == list(range(6))
    assert [path.name for path in parent.iterdir()] == [name]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("stamp", [-5_000_000_000, -1, 0, (1 << 31) * 1_000_000_000 - 1, -(1 << 31) * 1_000_000_000])
def test_a_frame_is_converted_whatever_its_stamp(tmp_path, storage, stamp):
    with BagWriter(tmp_path / "bag", storage) as bag:
        bag.write(TOPIC, records.IMAGE, FIRST, record(1, stamp))
    with open_source(tmp_path / "bag") as source, BagWriter(tmp_path / "again", storage) as bag:
        write_bag(source, bag, raw=False)
    with open_source(tmp_path / "again") as source:
        assert [frame.stamp_ns for frame in source] == [stamp]
    with open_source(tmp_path / "bag") as source:
        write_recording(source, tmp_path / "walk.sens")
    with SensFile(tmp_path / "walk.sens") as sens:
        assert len(sens) == 1


def test_an_image_topic_without_a_message_is_named_as_that(tmp_path):
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP)
    with writer:
        writer.add_connection(TOPIC, records.IMAGE, typestore=records.message_types())
    for topic in (None, TOPIC):
        with pytest.raises(DataError, match=rf"0 messages on {TOPIC}.*QoS"):
            open_source(tmp_path / "bag", topic=topic)


def test_problems_of_one_kind_are_one_sentence_with_a_count():
    problems = Problems(f"frame {index} was skipped: 7 bytes" for index in range(5000))
    assert problems == ["frame 0 was skipped: 7 bytes (and 4999 more like it)"]
    problems.append("the end is missing")
    assert problems[1:] == ["the end is missing"]
    problems += [f"{'x' * kind} is odd" for kind in range(100)]
    assert len(problems) == MOST_KINDS + 1 and problems[-1] == "other problems (and 81 more like it)"
    assert len(Problems(["y" * 10_000])[0]) <= 500
