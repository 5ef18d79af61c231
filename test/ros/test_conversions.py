# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Camera messages to pixels: the right pixels without a copy, or one sentence that says what was wrong."""

import array

import cv2
import harness  # noqa: F401  (skips this module where ROS is missing)
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from tasktp_ros.errors import InputError
from tasktp_ros.nodes.conversions import compressed_to_rgb, fill_image, image_to_rgb

RGB = np.random.default_rng(5).integers(0, 256, (7, 5, 3), dtype=np.uint8)
ALPHA = np.full((7, 5, 1), 9, np.uint8)
STORED = {
    "rgb8": RGB,
    "8UC3": RGB[:, :, ::-1],
    "bgr8": RGB[:, :, ::-1],
    "rgba8": np.concatenate([RGB, ALPHA], axis=2),
    "bgra8": np.concatenate([RGB[:, :, ::-1], ALPHA], axis=2),
    "8UC4": np.concatenate([RGB[:, :, ::-1], ALPHA], axis=2),
}


def message(pixels: np.ndarray, encoding: str, padding: int = 0) -> Image:
    height, width, channels = pixels.shape
    rows = np.full((height, width * channels + padding), 77, np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    result = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    result.data = array.array("B", rows.tobytes())
    return result


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", sorted(STORED))
def test_colour_is_read_as_a_view_whatever_its_order_and_step(encoding: str, padding: int) -> None:
    camera = message(STORED[encoding], encoding, padding)
    pixels = image_to_rgb(camera)
    assert np.array_equal(pixels, RGB)
    assert np.shares_memory(pixels, np.frombuffer(camera.data, np.uint8))


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_is_read_as_a_view_of_three_equal_channels(encoding: str, padding: int) -> None:
    camera = message(RGB[:, :, :1], encoding, padding)
    pixels = image_to_rgb(camera)
    assert np.array_equal(pixels, np.repeat(RGB[:, :, :1], 3, axis=2))
    assert np.shares_memory(pixels, np.frombuffer(camera.data, np.uint8))


def test_the_last_row_needs_no_padding() -> None:
    camera = message(RGB, "rgb8", padding=4)
    camera.data = camera.data[:-4]
    assert np.array_equal(image_to_rgb(camera), RGB)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"height": 0}, "empty: 5 x 0"),
        ({"width": 0, "step": 0}, "empty: 0 x 7"),
        ({"data": array.array("B")}, "truncated: 0 bytes"),
        (
            {"data": array.array("B", bytes(104))},
            "truncated: 104 bytes for 5 x 7 pixels of rgb8, step 15; expected 105",
        ),
        ({"step": 14}, "step is 14 bytes, but 5 pixels of rgb8 need 15"),
        ({"step": 0}, "step is 0 bytes"),
        ({"step": 2**31}, "truncated"),
        ({"height": 10_000, "width": 10_000, "step": 30_000}, "truncated: 105 bytes for 10000 x 10000"),
        ({"height": 2**32 - 1, "width": 2**32 - 1}, "at most 100,000,000"),
        ({"encoding": "16UC1"}, "'16UC1' has more than 8 bits"),
        ({"encoding": "mono16"}, "'mono16' has more than 8 bits"),
        ({"encoding": "32FC1"}, "'32FC1' has more than 8 bits"),
        ({"encoding": "16UC2"}, "'16UC2' has more than 8 bits"),
        ({"encoding": "bayer_rggb8"}, "bayer_rggb8 cannot have 5 x 7 pixels: expected even numbers"),
        ({"encoding": "bayer_rggb9"}, "'bayer_rggb9' cannot be read"),
        ({"encoding": "nv12"}, "nv12 cannot have 5 x 7 pixels|truncated"),
        ({"encoding": ""}, "'' cannot be read; expected rgb8"),
        ({"encoding": "x" * 10_000}, "x{80}' cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(changes: dict, sentence: str) -> None:
    camera = message(RGB, "rgb8")
    for name, value in changes.items():
        setattr(camera, name, value)
    with pytest.raises(InputError, match=sentence) as error:
        image_to_rgb(camera)
    assert len(str(error.value)) < 400


@given(
    height=st.integers(0, 2**32 - 1),
    width=st.integers(0, 2**32 - 1),
    step=st.integers(0, 2**32 - 1),
    length=st.integers(0, 64),
    encoding=st.sampled_from([*STORED, "mono8"]),
)
@settings(max_examples=300, deadline=None)
def test_no_header_makes_it_read_outside_of_the_message(
    height: int, width: int, step: int, length: int, encoding: str
) -> None:
    camera = Image(height=height, width=width, step=step, encoding=encoding)
    camera.data = array.array("B", bytes(length))
    try:
        pixels = image_to_rgb(camera)
    except InputError:
        return
    assert pixels.shape == (height, width, 3) and (height - 1) * step + width <= length


def compressed(pixels: np.ndarray, extension: str, form: str = "") -> CompressedImage:
    encoded = cv2.imencode(extension, pixels)[1].tobytes()
    return CompressedImage(format=form or extension[1:], data=array.array("B", encoded))


def test_png_is_decoded_to_the_same_pixels() -> None:
    assert np.array_equal(compressed_to_rgb(compressed(RGB[:, :, ::-1], ".png")), RGB)


def test_jpeg_is_decoded_to_nearly_the_same_pixels() -> None:
    smooth = np.zeros((32, 48, 3), np.uint8)
    smooth[:, :, 0], smooth[:, :, 2] = 200, 40
    pixels = compressed_to_rgb(compressed(smooth[:, :, ::-1], ".jpg", "rgb8; jpeg compressed bgr8"))
    assert np.abs(pixels.astype(int) - smooth).max() < 6


def test_a_camera_that_turned_its_jpeg_by_a_tag_is_not_turned() -> None:
    tag = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    plain = compressed(np.zeros((16, 32, 3), np.uint8), ".jpg")
    data = bytes(plain.data)
    plain.data = array.array("B", data[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + data[2:])
    assert compressed_to_rgb(plain).shape == (16, 32, 3)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_an_error_and_not_a_grey_picture(extension: str, share: float) -> None:
    whole = compressed(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8), extension)
    whole.data = whole.data[: int(len(whole.data) * share)]
    with pytest.raises(InputError):
        compressed_to_rgb(whole)


def test_other_compressed_formats_are_named() -> None:
    with pytest.raises(InputError, match="'16UC1; compressedDepth png' is a depth image"):
        compressed_to_rgb(CompressedImage(format="16UC1; compressedDepth png", data=[1, 2, 3]))
    with pytest.raises(InputError, match="16 bits per channel"):
        compressed_to_rgb(compressed(np.zeros((4, 4), np.uint16), ".png"))
    with pytest.raises(InputError, match=r"'h264'.* cannot be read: 5 bytes"):
        compressed_to_rgb(CompressedImage(format="h264", data=[0, 0, 0, 1, 9]))


def test_a_header_that_claims_a_giant_picture_is_not_believed() -> None:
    small = compressed(RGB, ".png")
    small.data[16:24] = array.array("B", (60_000).to_bytes(4, "big") * 2)
    with pytest.raises(InputError, match="claims 60000 x 60000"):
        compressed_to_rgb(small)


@given(data=st.binary(max_size=200), start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
@settings(max_examples=200, deadline=None)
def test_noise_is_an_error_and_never_a_crash(data: bytes, start: bytes) -> None:
    noise = CompressedImage(format="jpeg", data=array.array("B", start + data + b"\xff\xd9IEND"))
    with pytest.raises(InputError):
        compressed_to_rgb(noise)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [("rgb8", RGB), ("mono8", RGB[:, :, 1]), ("16UC1", np.arange(35, dtype=np.uint16).reshape(7, 5))],
)
def test_pixels_written_are_the_pixels_sent(encoding: str, pixels: np.ndarray) -> None:
    header = Header(frame_id="camera_optical")
    sent = Image(data=[1, 2, 3])
    for _ in range(2):
        fill_image(sent, header, encoding, pixels)
    assert (sent.height, sent.width, sent.encoding, sent.step) == (
        7,
        5,
        encoding,
        5 * pixels.itemsize * (pixels.size // 35),
    )
    assert np.array_equal(np.frombuffer(sent.data, pixels.dtype).reshape(pixels.shape), pixels)
    assert sent.header is header
