# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""One decoder for pictures: whatever way a picture comes in, it is the same pixels or the same refusal."""

import io
import json
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from tasktp_ros.cli.detect import read_image
from tasktp_ros.datasets import records
from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.datasets.messages import compressed_pixels
from tasktp_ros.datasets.pictures import as_stored, decode_picture, encode_picture, orientation, write_picture
from tasktp_ros.errors import DataError, PictureError

HEIGHT, WIDTH = 24, 32
PIXELS = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def turned_jpeg(turn: int) -> bytes:
    """A JPEG with an EXIF orientation."""
    tag = Image.Exif()
    tag[0x0112] = turn
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "JPEG", exif=tag.tobytes())
    return stream.getvalue()


def ways_in(folder, data: bytes) -> dict:
    """What each way of reading makes of one picture file: pixels, or the error."""
    (folder / "color").mkdir()
    file = folder / "color" / "0.jpg"
    file.write_bytes(data)

    def from_source(path):
        with open_source(path) as source:
            frames = list(source)
            if not frames:
                raise DataError(source.problems[0])
            return frames[0].image

    message = records.deserialise(records.compressed_record(data, 5, "cam"), records.COMPRESSED_IMAGE)
    image = {"id": 1, "file_name": "0.jpg", "height": HEIGHT, "width": WIDTH}
    (folder / "set.json").write_text(json.dumps({"images": [image], "categories": [], "annotations": []}))
    ways = {
        "detect": lambda: read_image(file),
        "folder": lambda: from_source(folder),
        "message": lambda: records.decode(message),
        "node": lambda: compressed_pixels(memoryview(data), "jpeg"),
        "data set": lambda: CocoDataset(file.parent, folder / "set.json").picture(0),
    }
    seen = {}
    for name, read in ways.items():
        try:
            seen[name] = read()
        except DataError as error:
            seen[name] = error
    return seen


def test_an_orientation_tag_is_followed_nowhere(tmp_path, capsys):
    data = turned_jpeg(6)
    assert orientation(data) == 6
    for name, pixels in ways_in(tmp_path, data).items():
        assert np.array_equal(pixels, decode_picture(turned_jpeg(1), "same")), name
    assert "orientation tag" in capsys.readouterr().err, "detect says so"
    with open_source(tmp_path) as source:
        stored, kind = next(iter(source)).load_encoded()
        assert "orientation tag" in source.problems[0]
    assert kind == "jpeg" and orientation(stored) == 1, "what goes into a bag looks alike in every decoder"
    assert cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (HEIGHT, WIDTH)


def test_only_the_tag_changes_in_a_picture_taken_as_stored():
    data = turned_jpeg(8)
    changed = as_stored(data)
    assert sum(a != b for a, b in zip(data, changed, strict=True)) == 1
    assert as_stored(changed) == changed and orientation(b"\xff\xd8\xff\xe1") == 1


@pytest.mark.parametrize("share", [0.03, 0.5, 0.99])
def test_a_cut_jpeg_is_refused_on_every_way(tmp_path, share):
    data = turned_jpeg(1)
    for name, seen in ways_in(tmp_path, data[: int(share * len(data))]).items():
        assert isinstance(seen, DataError) and "truncated" in str(seen), name


@pytest.mark.parametrize("tail", [0, 1, 2000, 8192, 200_000])
def test_padding_behind_the_end_of_a_jpeg_is_no_truncation(tail):
    data = encode_picture(PIXELS, ".jpg")
    assert np.array_equal(compressed_pixels(memoryview(data + bytes(tail)), "jpeg"), decode_picture(data, "whole"))


def test_the_end_mark_of_an_embedded_preview_is_not_the_pictures_own():
    preview = encode_picture(PIXELS, ".jpg")
    block = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    data = encode_picture(PIXELS, ".jpg")
    whole = data[:2] + block + data[2:]
    assert decode_picture(whole, "whole").shape == PIXELS.shape
    with pytest.raises(PictureError, match="truncated"):
        decode_picture(whole[: len(whole) - len(data) // 3], "cut")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_pictures_are_written_as_their_ending_says_whatever_their_name(tmp_path, suffix):
    path = tmp_path / (os.fsdecode(b"b\xe4ld #1: 50%") + suffix)
    write_picture(path, PIXELS)
    assert np.array_equal(read_image(path), PIXELS)
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_cannot_be_written_under_an_unknown_ending(tmp_path):
    with pytest.raises(PictureError, match=r"'\.xyz'.*\.png"):
        write_picture(tmp_path / "out.xyz", PIXELS)
    assert list(tmp_path.iterdir()) == []
