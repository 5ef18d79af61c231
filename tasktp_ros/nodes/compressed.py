"""JPEG and PNG bytes to pixels, with the checks that decoders leave out.

A decoder turns a truncated JPEG into grey pixels without a word, allocates whatever size a header claims, and rotates
by EXIF tags, after which boxes no longer fit the camera's pixels. So the size and the end mark are read first.
"""

import contextlib
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import InputError

MOST_PIXELS = 10_000 * 10_000
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_DEPTH_FORMATS = ("compresseddepth", "16uc1", "32fc1", "mono16", "rvl")


def decode(data: memoryview, format_name: str = "") -> NDArray[np.uint8]:
    """Decode one image.

    Args:
        data: a whole JPEG or PNG file.
        format_name: the message's `format`, used in errors and to refuse depth images.

    Returns:
        (H, W, 3) uint8 RGB, a reversed view of the decoder's BGR array.

    Raises:
        InputError: empty, truncated, not JPEG or PNG, too large, or deeper than 8 bits.
    """
    shown = format_name[:80]
    if any(name in format_name.lower() for name in _DEPTH_FORMATS):
        raise InputError(f"the compressed format {shown!r} is a depth image; expected 8-bit colour or grey")
    if len(data) == 0:
        raise InputError(f"the compressed image (format {shown!r}) is empty")
    height, width = _size(bytes(data[:24]), data, shown)
    if height * width == 0 or height * width > MOST_PIXELS:
        raise InputError(
            f"the compressed image claims {width} x {height} pixels; expected 1 to {MOST_PIXELS:,} in total"
        )
    pixels: Any = None
    with contextlib.suppress(cv2.error):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise InputError(f"the compressed image (format {shown!r}, {len(data)} bytes) cannot be decoded")
    rgb: NDArray[np.uint8] = pixels[:, :, ::-1]
    return rgb


def _size(beginning: bytes, data: memoryview, shown: str) -> tuple[int, int]:
    """Return (height, width) as the file states them, having checked that the file's end is there."""
    if beginning.startswith(_PNG):
        _check_end(data, b"IEND", "PNG")
        if len(data) < 33:
            raise InputError(f"the PNG image of {len(data)} bytes has no header")
        width, height = struct.unpack(">II", beginning[16:24])
        if data[24] > 8:
            raise InputError(f"the PNG image has {data[24]} bits per channel; expected 8-bit colour or grey")
        return height, width
    if beginning.startswith(_JPEG):
        _check_end(data, b"\xff\xd9", "JPEG")
        return _jpeg_size(data)
    raise InputError(f"the compressed image (format {shown!r}) is neither JPEG nor PNG")


def _check_end(data: memoryview, mark: bytes, name: str) -> None:
    if mark not in bytes(data[-4096:]):
        raise InputError(f"the {name} image is truncated: {len(data)} bytes without its end mark")


def _jpeg_size(data: memoryview) -> tuple[int, int]:
    """Walk the JPEG's segments to the frame header (SOF0 to SOF15 without DHT, JPG and DAC)."""
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            break
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", bytes(data[position + 5 : position + 9]))
            return height, width
        if marker == 0xFF:
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise InputError(f"the JPEG image of {len(data)} bytes has no frame header")
