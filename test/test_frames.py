# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What must hold for every source of frames: order, stamps, pixels, and that damage is survived and named."""

import shutil
import sqlite3
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from tasktp_ros.datasets import records
from tasktp_ros.datasets.bags import BagWriter
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.errors import DataError

FRAMES = 24
HEIGHT, WIDTH = 120, 160
TOPIC = "/camera/color/image_raw"
ZSTD_MARK = b"\x28\xb5\x2f\xfd"


def picture(index: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB that says which frame it is by its colour, over noise that does not compress."""
    noise = np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    noise[:40, :40] = (4 * index, 250 - 4 * index, 40)
    return noise


def stamp(index: int) -> int:
    return 1_700_000_000_000_000_000 + index * 100_000_000


def write_bag(path: Path, storage: str = "mcap", *, compressed: bool = False, frames: int = FRAMES) -> Path:
    with BagWriter(path, storage) as bag:
        for index in range(frames):
            if compressed:
                encoded = cv2.imencode(".png", picture(index)[..., ::-1])[1]
                record = records.compressed_record(encoded, stamp(index), "cam_optical", "png")
                bag.write(TOPIC + "/compressed", records.COMPRESSED_IMAGE, stamp(index), record)
            else:
                record = records.image_record(picture(index), stamp(index), "cam_optical")
                bag.write(TOPIC, records.IMAGE, stamp(index), record)
    return path


def storage_file(bag: Path) -> Path:
    return next(file for file in bag.iterdir() if file.suffix in (".mcap", ".db3"))


def cut(file: Path, share: float) -> None:
    """Keep only the first part of a file, as a killed recorder or a full disk does."""
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_bag_gives_back_every_frame_in_order_with_its_header_and_pixels(tmp_path, storage, compressed):
    bag = write_bag(tmp_path / "walk", storage, compressed=compressed)
    with open_source(bag) as source:
        frames = list(source)
        assert source.length == FRAMES
        assert source.problems == []
    assert [frame.stamp_ns for frame in frames] == [stamp(index) for index in range(FRAMES)]
    assert {frame.frame_id for frame in frames} == {"cam_optical"}
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, picture(index))
        np.testing.assert_array_equal(frame.decoded().image, picture(index))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_storage_file_can_be_opened_without_its_folder(tmp_path, storage):
    bag = write_bag(tmp_path / "walk", storage)
    with open_source(storage_file(bag)) as source:
        assert len(list(source)) == FRAMES


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("share", [0.6, 0.75, 0.97])
@pytest.mark.parametrize("with_metadata", [True, False])
def test_a_bag_that_ends_inside_a_message_plays_up_to_there_and_says_so(tmp_path, storage, share, with_metadata):
    bag = write_bag(tmp_path / "walk", storage)
    cut(storage_file(bag), share)
    if not with_metadata:
        (bag / "metadata.yaml").unlink()
    with open_source(bag) as source:
        frames = list(source)
        problems = source.problems
    # A leaf of an SQLite table, and the rows it lists, may lie behind the cut.
    assert len(frames) >= int(FRAMES * share) - (9 if storage == "sqlite3" else 5)
    assert len(frames) <= FRAMES
    for index, frame in enumerate(frames):
        assert frame.stamp_ns == stamp(index)
        np.testing.assert_array_equal(frame.image, picture(index))
    assert problems
    assert any(str(storage_file(bag).name) in problem for problem in problems)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_cut_before_its_first_message_is_one_error(tmp_path, storage):
    bag = write_bag(tmp_path / "walk", storage)
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError):
        open_source(bag)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_message_that_does_not_deserialise_is_skipped_and_named(tmp_path, storage):
    bag = tmp_path / "walk"
    with BagWriter(bag, storage) as writer:
        for index in range(5):
            record = records.image_record(picture(index), stamp(index), "cam_optical")
            writer.write(TOPIC, records.IMAGE, stamp(index), record[: 200 if index == 2 else None])
    with open_source(bag) as source:
        frames = list(source)
        assert [frame.index for frame in frames] == [0, 1, 3, 4]
        assert len(source.problems) == 1
        assert "message 2" in source.problems[0]


def test_a_hole_in_a_mcap_file_costs_its_chunk_only(tmp_path):
    bag = write_bag(tmp_path / "walk", frames=60)
    file = storage_file(bag)
    data = bytearray(file.read_bytes())
    middle = data.index(ZSTD_MARK, len(data) // 2)
    data[middle : middle + 300] = bytes(300)
    file.write_bytes(data)
    with open_source(bag) as source:
        stamps = [frame.stamp_ns for frame in source]
        assert source.problems
    assert stamps == sorted(set(stamps))
    assert stamps[0] == stamp(0)
    assert stamps[-1] == stamp(59)
    assert 30 <= len(stamps) < 60


def test_a_row_missing_from_an_sqlite_bag_is_just_one_frame_less(tmp_path):
    bag = write_bag(tmp_path / "walk", "sqlite3")
    with sqlite3.connect(storage_file(bag)) as connection:
        connection.execute("DELETE FROM messages WHERE id = 7")
    with open_source(bag) as source:
        assert len(list(source)) == FRAMES - 1


def test_depth_is_not_taken_for_the_colour_camera(tmp_path):
    bag = tmp_path / "walk"
    with BagWriter(bag) as writer:
        for index in range(3):
            depth = records.image_record(np.full((HEIGHT, WIDTH), 1500, np.uint16), stamp(index), "cam", "16UC1")
            writer.write("/camera/depth/image_raw", records.IMAGE, stamp(index), depth)
            writer.write(TOPIC, records.IMAGE, stamp(index), records.image_record(picture(index), stamp(index), "cam"))
    with open_source(bag) as source:
        assert TOPIC in source.description
        np.testing.assert_array_equal(next(iter(source)).image, picture(0))
    with open_source(bag, topic="camera/depth/image_raw") as source, pytest.raises(DataError, match="16UC1"):
        _ = next(iter(source)).image


def test_several_cameras_ask_for_a_choice_and_name_it(tmp_path):
    bag = tmp_path / "walk"
    with BagWriter(bag) as writer:
        for name in ("/left", "/right"):
            writer.write(name, records.IMAGE, stamp(0), records.image_record(picture(0), stamp(0), "cam"))
    with pytest.raises(DataError, match=r"/left, /right"):
        open_source(bag)
    with open_source(bag, topic="/right") as source:
        assert len(list(source)) == 1
    with pytest.raises(DataError, match="/left"):
        open_source(bag, topic="/middle")


def test_a_bag_without_images_lists_its_topics(tmp_path):
    bag = tmp_path / "walk"
    with BagWriter(bag) as writer:
        writer.write_pose(stamp(0), "map", "cam", np.eye(4))
    with pytest.raises(DataError, match="/tf"):
        open_source(bag)


def test_images_come_in_natural_order_and_a_broken_one_is_named(tmp_path):
    for index in (1, 2, 10, 9):
        cv2.imwrite(str(tmp_path / f"frame{index}.png"), np.full((8, 9, 3), index, np.uint8))
    (tmp_path / "frame5.png").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("no frame")
    with open_source(tmp_path, rate=10.0) as source:
        frames = list(source)
        assert source.length == 5
        assert "frame5.png" in source.problems[0]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 9, 10]
    assert [frame.index for frame in frames] == [0, 1, 3, 4]
    assert frames[0].stamp_ns == 100_000_000
    assert frames[-1].stamp_ns == 500_000_000


def test_a_video_gives_its_frames_at_its_rate(tmp_path):
    path = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (WIDTH, HEIGHT))
    for index in range(12):
        writer.write(np.full((HEIGHT, WIDTH, 3), (20 * index, 0, 100), np.uint8))
    writer.release()
    with open_source(path) as source:
        frames = list(source)
        assert next(iter(source)).index == 0, "a source can be read again"
    assert len(frames) == 12
    assert frames[1].stamp_ns - frames[0].stamp_ns == 50_000_000
    assert frames[6].image.shape == (HEIGHT, WIDTH, 3)
    assert abs(int(frames[6].image[5, 5, 2]) - 120) < 8, "blue of the file is the last channel of RGB"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda place: None, "does not exist"),
        (lambda place: place.mkdir(), "no images"),
        (lambda place: place.write_text("hello"), "unknown kind"),
        (lambda place: place.with_suffix(".mp4").write_bytes(b"\0" * 100), "cannot be opened as a video"),
        (lambda place: place.with_suffix(".bag").write_bytes(b"#ROSBAG"), "ROS 1"),
        (lambda place: place.with_suffix(".mcap").write_bytes(b""), "MCAP"),
        (lambda place: place.with_suffix(".db3").write_bytes(b"x" * 5000), "cannot be read"),
    ],
)
def test_what_cannot_be_a_source_is_one_clear_sentence(tmp_path, make, said):
    place = tmp_path / "thing"
    make(place)
    made = next(iter(tmp_path.iterdir()), place)
    with pytest.raises(DataError, match=said) as error:
        open_source(made)
    assert str(made) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("encoding", "channels", "expected"),
    [
        ("rgb8", 3, (1, 2, 3)),
        ("bgr8", 3, (3, 2, 1)),
        ("bgra8", 4, (3, 2, 1)),
        ("rgba8", 4, (1, 2, 3)),
        ("mono8", 1, (1, 1, 1)),
    ],
)
def test_rows_with_padding_are_decoded_by_their_step(encoding, channels, expected):
    types = records.message_types().types
    step = 5 * channels + 7
    data = np.zeros((4, step), np.uint8)
    data[:, : 5 * channels] = np.tile(np.arange(1, channels + 1, dtype=np.uint8), 5)
    message = types[records.IMAGE](
        header=records.header(5, "cam"),
        height=4,
        width=5,
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=data.ravel(),
    )
    again = records.deserialise(records.serialise(message), records.IMAGE)
    assert (records.decode(again) == np.array(expected, np.uint8)).all()


def test_an_image_whose_size_and_bytes_disagree_is_an_error():
    types = records.message_types().types
    message = types[records.IMAGE](
        header=records.header(5, "cam"),
        height=40,
        width=5,
        encoding="rgb8",
        is_bigendian=0,
        step=15,
        data=np.zeros(15, np.uint8),
    )
    with pytest.raises(DataError, match="40"):
        records.decode(message)


def test_a_changed_stamp_changes_nothing_else():
    record = records.image_record(picture(1), stamp(1), "cam_optical")
    changed = records.with_stamp(record, 7_000_000_009)
    assert records.record_stamp(changed) == 7_000_000_009
    assert changed[:4] == record[:4]
    assert changed[12:] == record[12:]
    assert struct.unpack_from("<iI", changed, 4) == (7, 9)


def test_nothing_is_left_behind_when_writing_a_bag_fails(tmp_path):
    def fail() -> None:
        with BagWriter(tmp_path / "walk") as writer:
            writer.write(TOPIC, records.IMAGE, 1, records.image_record(picture(0), 1, "cam"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
    write_bag(tmp_path / "walk", frames=1)
    with pytest.raises(DataError, match="exists already"):
        BagWriter(tmp_path / "walk")


def test_a_bag_split_over_files_without_metadata_is_read_through(tmp_path):
    first, second = write_bag(tmp_path / "a", frames=3), write_bag(tmp_path / "b", frames=6)
    (tmp_path / "walk").mkdir()
    shutil.copy(storage_file(first), tmp_path / "walk" / "walk_0.mcap")
    shutil.copy(storage_file(second), tmp_path / "walk" / "walk_1.mcap")
    with open_source(tmp_path / "walk") as source:
        assert len(list(source)) == 9
        assert source.problems
