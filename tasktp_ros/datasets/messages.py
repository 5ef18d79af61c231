# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Pixels of camera messages: the one place where sensor_msgs' encodings are read, for nodes, bags and players alike.

Messages may be ROS's own or those of a bag read without ROS: anything with the fields of sensor_msgs/Image. Common encodings are
read-only views of the message's bytes, since a camera message is already in memory when it arrives; the others are
converted by OpenCV.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.pictures import MOST_PIXELS, decode_picture, read_header
from tasktp_ros.errors import PictureError

_RGB, _BGR = slice(0, 3), slice(2, None, -1)
# Encoding -> channels, and which of them are red, green and blue. Images of type 8UCn come from OpenCV, whose order is blue,
# green, red: cv_bridge names them so where a program did not say what its array holds.
_COLOUR: dict[str, tuple[int, slice]] = {
    "rgb8": (3, _RGB),
    "bgr8": (3, _BGR),
    "8uc3": (3, _BGR),
    "rgba8": (4, _RGB),
    "bgra8": (4, _BGR),
    "8uc4": (4, _BGR),
}
_GREY = ("mono8", "8uc1")
_DEEP_COLOUR = {name.replace("8", "16"): order for name, order in _COLOUR.items()}
_BAYER = {
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
}
_PACKED_YUV = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
}
_PLANAR_YUV = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
DEPTH_ENCODINGS = ("16uc1", "32fc1", "mono16")
_DEPTH_FORMATS = ("compresseddepth", "rvl", *DEPTH_ENCODINGS)
_EXPECTED = "rgb8, bgr8, mono8, bayer_rggb8, yuv422_yuy2, nv12 or their kin"


def image_pixels(message: Any) -> NDArray[np.uint8]:
    """Pixels of a sensor_msgs/Image.

    8-bit colour (rgb8, bgr8, rgba8, bgra8; 8UC3 and 8UC4 as OpenCV orders them) and grey (mono8, 8UC1) are read-only views of the
    message's bytes; of 16-bit colour the upper eight bits are seen so. YUV 4:2:2 (yuv422, uyvy, yuyv, yuv422_yuy2), YUV 4:2:0 (nv12,
    nv21) and Bayer patterns are converted.

    Returns:
        (H, W, 3) uint8 RGB, of any strides.

    Raises:
        PictureError: empty, truncated, contradictory, over 100,000,000 px, or an encoding that cannot be read.
    """
    height, width, encoding = message.height, message.width, message.encoding.lower()
    if height == 0 or width == 0:
        raise PictureError(f"the image is empty: {width} x {height} pixels")
    if height * width > MOST_PIXELS:
        raise PictureError(f"the image has {width} x {height} pixels; at most {MOST_PIXELS:,} are accepted")
    if encoding in _COLOUR:
        channels, order = _COLOUR[encoding]
        return _rows(message, height, channels)[:, :, order]
    if encoding in _GREY:
        return np.broadcast_to(_rows(message, height, 1), (height, width, 3))
    if encoding in _DEEP_COLOUR:
        channels, order = _DEEP_COLOUR[encoding]
        return _upper_bytes(message, channels)[:, :, order]
    if encoding in _PACKED_YUV:
        return _converted(message, _rows(message, height, 2), _PACKED_YUV[encoding], whole=(1, 2))
    if encoding in _PLANAR_YUV:
        return _converted(message, _rows(message, height * 3 // 2, 1), _PLANAR_YUV[encoding], whole=(2, 2))
    pattern, bits = encoding.removeprefix("bayer_")[:4], encoding.removeprefix("bayer_")[4:]
    if pattern in _BAYER and encoding.startswith("bayer_") and bits in ("8", "16"):
        mosaic = _rows(message, height, 1) if bits == "8" else _upper_bytes(message, 1)
        return _converted(message, mosaic, _BAYER[pattern], whole=(2, 2))
    raise PictureError(_refusal(message.encoding))


def compressed_pixels(data: memoryview, format_name: str = "") -> NDArray[np.uint8]:
    """Pixels of a sensor_msgs/CompressedImage.

    Args:
        data: a whole picture file.
        format_name: the message's `format`, to refuse depth and for complaints.

    Returns:
        (H, W, 3) uint8 RGB, as stored.

    Raises:
        PictureError: depth, empty, truncated, too large, or no picture.
    """
    check_compressed(data, format_name)
    return decode_picture(data, _name(format_name))


def check_compressed(data: memoryview, format_name: str = "") -> str:
    """Whether a sensor_msgs/CompressedImage can be decoded, as far as can be told without doing it.

    Returns:
        "jpeg", "png" or "other".

    Raises:
        PictureError: depth, empty, truncated, or too large.
    """
    if is_depth(format_name):
        raise PictureError(
            f"the compressed format {format_name[:80]!r} is a depth image; expected 8-bit colour or grey"
        )
    found = read_header(data, _name(format_name))
    if found.grey and found.bits > 8:
        raise PictureError(
            f"{_name(format_name)} is grey of {found.bits} bits per channel, a depth image; expected 8-bit colour or grey"
        )
    return found.kind


def message_pixels(message: Any) -> NDArray[np.uint8]:
    """Pixels of an Image or CompressedImage, (H, W, 3) uint8 RGB of any strides; raises PictureError."""
    if hasattr(message, "encoding"):
        return image_pixels(message)
    return compressed_pixels(memoryview(message.data), message.format)


def is_depth(kind: str) -> bool:
    """Whether an Image's encoding or a CompressedImage's format is one of depth images."""
    return any(name in kind.lower() for name in _DEPTH_FORMATS)


def _name(format_name: str) -> str:
    return f"the compressed image (format {format_name[:80]!r})"


def _refusal(encoding: str) -> str:
    shown = f"the image encoding {encoding[:80]!r}"
    if any(mark in encoding.lower() for mark in ("16", "32", "64")):
        return f"{shown} has more than 8 bits per channel (a depth or raw image?); expected 8-bit colour or grey"
    return f"{shown} cannot be read; expected {_EXPECTED}"


def _rows(message: Any, rows: int, channels: int) -> NDArray[np.uint8]:
    """The message's bytes as (rows, W, channels), honouring the padding at the end of each row, which the last may lack."""
    width, step = message.width, message.step
    if step < width * channels:
        raise PictureError(
            f"the image's step is {step} bytes, but {width} pixels of {message.encoding} need {width * channels}"
        )
    needed = step * (rows - 1) + width * channels
    if len(message.data) < needed:
        raise PictureError(
            f"the image is truncated: {len(message.data)} bytes for {width} x {message.height} pixels of {message.encoding}, "
            f"step {step}; expected {step * rows}"
        )
    flat: NDArray[np.uint8] = np.frombuffer(message.data, dtype=np.uint8, count=needed)
    return np.lib.stride_tricks.as_strided(
        flat, shape=(rows, width, channels), strides=(step, channels, 1), writeable=False
    )


def _upper_bytes(message: Any, channels: int) -> NDArray[np.uint8]:
    """The upper eight of 16 bits, as (H, W, channels)."""
    return _rows(message, message.height, 2 * channels)[:, :, 0 if message.is_bigendian else 1 :: 2]


def _converted(message: Any, stored: NDArray[np.uint8], conversion: int, whole: tuple[int, int]) -> NDArray[np.uint8]:
    """`stored` by OpenCV's conversion; height and width must be multiples of `whole`."""
    if message.height % whole[0] or message.width % whole[1]:
        raise PictureError(f"an image of {message.encoding} cannot have {message.width} x {message.height} pixels: "
                           "expected even numbers")  # fmt: skip
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(stored), conversion), np.uint8)
