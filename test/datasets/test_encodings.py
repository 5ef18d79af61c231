# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Encodings of cameras that people have: every one is read to the colours that the camera saw."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tasktp_ros.datasets.messages import check_compressed, image_pixels
from tasktp_ros.datasets.pictures import encode_picture
from tasktp_ros.errors import PictureError

HEIGHT, WIDTH = 8, 12
COLOUR = (200, 100, 30)
RGB = np.full((HEIGHT, WIDTH, 3), COLOUR, np.uint8)
PLANES = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_I420)
LUMA, U, V = PLANES[0, 0], PLANES[HEIGHT, 0], PLANES[-1, 0]


def camera(
    encoding: str, rows: np.ndarray, *, big: bool = False, height: int = HEIGHT, padding: int = 0
) -> SimpleNamespace:
    """A message whose rows of bytes have padding behind all but the last."""
    stored = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    padded = np.pad(stored, ((0, 0), (0, padding)), constant_values=77).tobytes()
    data = padded[: len(padded) - padding]
    return SimpleNamespace(height=height, width=WIDTH, encoding=encoding, step=stored.shape[1] + padding, is_bigendian=int(big), data=data)  # fmt: skip


def mosaic(pattern: str) -> np.ndarray:
    """(H, W) uint8 as a sensor with this pattern in its upper left corner sees the colour."""
    seen = np.zeros((HEIGHT, WIDTH), np.uint8)
    for letter, (row, column) in zip(pattern, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        seen[row::2, column::2] = COLOUR["rgb".index(letter)]
    return seen


def deep(pixels: np.ndarray, order: str) -> np.ndarray:
    return (pixels.astype(np.uint16) * 256 + 7).astype(f"{order}u2")


CAMERAS = {
    "yuv422": np.tile(np.array([U, LUMA, V, LUMA], np.uint8), (HEIGHT, WIDTH // 2)),
    "yuv422_yuy2": np.tile(np.array([LUMA, U, LUMA, V], np.uint8), (HEIGHT, WIDTH // 2)),
    "nv12": np.vstack([np.full((HEIGHT, WIDTH), LUMA), np.tile([U, V], (HEIGHT // 2, WIDTH // 2))]).astype(np.uint8),
    "nv21": np.vstack([np.full((HEIGHT, WIDTH), LUMA), np.tile([V, U], (HEIGHT // 2, WIDTH // 2))]).astype(np.uint8),
    **{f"bayer_{pattern}8": mosaic(pattern) for pattern in ("rggb", "bggr", "gbrg", "grbg")},
}
CAMERAS |= {"uyvy": CAMERAS["yuv422"], "yuyv": CAMERAS["yuv422_yuy2"]}


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", sorted(CAMERAS))
def test_colours_are_those_that_the_camera_saw(encoding, padding):
    pixels = image_pixels(camera(encoding, CAMERAS[encoding], padding=padding))
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(pixels[2:-2, 2:-2].astype(int) - COLOUR).max() <= 2


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("encoding", ["rgb16", "bgr16", "rgba16", "bgra16", "16UC3", "bayer_rggb16"])
def test_of_sixteen_bits_the_upper_eight_are_seen_in_either_byte_order(encoding, big):
    colour = RGB if encoding.startswith("rgb") else RGB[..., ::-1]
    if "a16" in encoding:
        colour = np.dstack([colour, RGB[..., :1]])
    stored = deep(mosaic("rggb") if encoding.startswith("bayer") else colour, ">" if big else "<")
    pixels = image_pixels(camera(encoding, stored.reshape(HEIGHT, -1), big=big))
    assert (pixels[2:-2, 2:-2] == COLOUR).all()


@pytest.mark.parametrize("encoding", sorted(CAMERAS))
def test_a_byte_too_few_is_named(encoding):
    message = camera(encoding, CAMERAS[encoding])
    message.data = message.data[:-1]
    with pytest.raises(PictureError, match="truncated"):
        image_pixels(message)


def test_depth_in_a_compressed_message_is_refused_without_decoding_it():
    depth = encode_picture(np.full((4, 4), 700, np.uint16), ".png")
    for kind in ("16UC1; compressedDepth png", "16UC1; png compressed ", "png"):
        with pytest.raises(PictureError, match="depth image"):
            check_compressed(memoryview(depth), kind)
