"""Camera messages to arrays and back, without copies where the encoding allows it.

A camera message is already in memory when it arrives; all common encodings are a matter of strides, so the detector can
read the message's own bytes. What cannot be read says which encoding, size or step was wrong: "no output, no error" is
what users of camera pipelines suffer from most.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from tasktp_ros.errors import InputError
from tasktp_ros.nodes.compressed import MOST_PIXELS, decode

# encoding -> bytes per pixel, index of the red, green and blue byte in it
_VIEWS: dict[str, tuple[int, slice]] = {
    "rgb8": (3, slice(0, 3)),
    "8UC3": (3, slice(0, 3)),
    "rgba8": (4, slice(0, 3)),
    "bgr8": (3, slice(2, None, -1)),
    "bgra8": (4, slice(2, None, -1)),
}
_DEEP = ("16", "32F", "64F", "32S")


def image_to_rgb(message: Image) -> NDArray[np.uint8]:
    """Return a camera message's pixels.

    rgb8, bgr8, rgba8, bgra8, mono8 and 8UC3 (three bytes in the order red, green, blue) are read-only views of the
    message's bytes; any other 8-bit encoding is converted by cv_bridge where it is installed.

    Returns:
        (H, W, 3) uint8 RGB, of any strides.

    Raises:
        InputError: empty, truncated, contradictory, over 10000 x 10000 pixels, or an encoding that cannot be read.
    """
    height, width, encoding = message.height, message.width, message.encoding
    _check_size(height, width)
    if encoding in _VIEWS:
        channels, order = _VIEWS[encoding]
        return _pixels(message, channels)[:, :, order]
    if encoding == "mono8":
        return np.broadcast_to(_pixels(message, 1), (height, width, 3))
    if any(mark in encoding for mark in _DEEP):
        raise InputError(
            f"the image encoding {encoding!r} has more than 8 bits per channel (a depth or raw image?); "
            "expected 8-bit colour or grey"
        )
    return _through_cv_bridge(message)


def compressed_to_rgb(message: CompressedImage) -> NDArray[np.uint8]:
    """Return the decoded pixels of a JPEG or PNG message as (H, W, 3) uint8 RGB; raises InputError as above."""
    return decode(memoryview(message.data), message.format)


def fill_image(message: Image, header: Any, encoding: str, pixels: NDArray[Any]) -> Image:
    """Write an array into a message and return it.

    Args:
        message: filled in place; its buffer is replaced.
        header: used as it is, so that the result carries the camera's stamp and frame.
        encoding: "mono8" or "16UC1" for (H, W), "rgb8" for (H, W, 3).
        pixels: uint8, or uint16 for 16UC1.
    """
    pixels = np.ascontiguousarray(pixels)
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.is_bigendian = int(pixels.dtype.byteorder == ">")
    message.step = pixels.strides[0]
    del message.data[:]
    message.data.frombytes(pixels.data.cast("B"))
    return message


def _check_size(height: int, width: int) -> None:
    if height == 0 or width == 0:
        raise InputError(f"the image is empty: {width} x {height} pixels")
    if height * width > MOST_PIXELS:
        raise InputError(f"the image has {width} x {height} pixels; at most {MOST_PIXELS:,} are accepted")


def _pixels(message: Image, channels: int) -> NDArray[np.uint8]:
    """View the message's bytes as (H, W, channels), honouring the padding at the end of each row."""
    height, width, step = message.height, message.width, message.step
    if step < width * channels:
        raise InputError(
            f"the image's step is {step} bytes, but {width} pixels of {message.encoding} need {width * channels}"
        )
    needed = step * (height - 1) + width * channels
    if len(message.data) < needed:
        raise InputError(
            f"the image is truncated: {len(message.data)} bytes for {width} x {height} pixels of {message.encoding}, "
            f"step {step}; expected {step * height}"
        )
    flat: NDArray[np.uint8] = np.frombuffer(message.data, dtype=np.uint8, count=needed)
    return np.lib.stride_tricks.as_strided(
        flat, shape=(height, width, channels), strides=(step, channels, 1), writeable=False
    )


def _through_cv_bridge(message: Image) -> NDArray[np.uint8]:
    readable = ", ".join((*_VIEWS, "mono8"))
    try:
        from cv_bridge import CvBridge
    except ImportError as error:
        raise InputError(
            f"the image encoding {message.encoding[:80]!r} cannot be read without cv_bridge; without it: {readable}"
        ) from error
    try:
        converted: NDArray[np.uint8] = CvBridge().imgmsg_to_cv2(message, desired_encoding="rgb8")
    except Exception as error:  # cv_bridge raises its own errors, OpenCV's and TypeErrors for malformed messages
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"cv_bridge cannot convert the image encoding {message.encoding[:80]!r}: {reason}") from error
    return converted
