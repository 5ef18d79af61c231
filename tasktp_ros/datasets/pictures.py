# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Picture files to pixels and back: the one place where pictures are decoded, whatever file or message they came in.

- **Orientation**: pixels are taken as they are stored. An EXIF tag that asks for them to be turned is not followed, since boxes,
  labels, depth and camera calibration all refer to stored pixels; `orientation` tells whether there is one.
- **Truncation**: decoders fill what is missing with grey without a word, so a JPEG or PNG without its end is refused. Bytes behind
  the end mark are padding of whoever sent them.
- **Size**: decoders allocate whatever a header claims, so the size is read first.
- **Depth**: of 16 bits the upper eight are taken.

Paths never reach OpenCV, which ends the process on names that are not UTF-8.
"""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.errors import PictureError
from tasktp_ros.files import replacing

MOST_PIXELS = 10_000 * 10_000
WRITTEN_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
"""Endings of file names that pictures can be written under, and that are taken for pictures in folders."""
JPEG_QUALITY = 92

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_APP1, _START_OF_SCAN = 0xE1, 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_ORIENTATION_TAG = 0x0112

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True)
class PictureHeader:
    """What a picture file says about itself.

    Attributes:
        kind: "jpeg", "png", or "other" for what only the decoder knows.
        height, width: px; 0 for "other".
        bits: per channel; 0 for "other".
        grey: stored as one channel of grey.
    """

    kind: str
    height: int = 0
    width: int = 0
    bits: int = 0
    grey: bool = False


def read_header(data: Bytes, name: str) -> PictureHeader:
    """Look at a picture without decoding it.

    Args:
        data: a whole picture file.
        name: what is being read, for complaints.

    Raises:
        PictureError: empty, truncated, without a header, or of no size between 1 and 100,000,000 px.
    """
    view = memoryview(data)
    if len(view) == 0:
        raise PictureError(f"{name} is empty")
    beginning = bytes(view[:8])
    if beginning == _PNG:
        found = _png_header(view, name)
    elif beginning.startswith(_JPEG):
        found = _jpeg_header(view, name)
    else:
        return PictureHeader("other")
    if not 0 < found.height * found.width <= MOST_PIXELS:
        raise PictureError(
            f"{name} claims {found.width} x {found.height} pixels; expected 1 to {MOST_PIXELS:,} in total"
        )
    return found


def decode_picture(data: Bytes, name: str) -> NDArray[np.uint8]:
    """Decode a picture file: JPEG, PNG, WebP, BMP, TIFF, PPM, and what else OpenCV knows.

    Args:
        data: a whole picture file.
        name: what is being read, for complaints.

    Returns:
        (H, W, 3) uint8 RGB, as stored.

    Raises:
        PictureError: as :func:`read_header`, and for what cannot be decoded.
    """
    read_header(data, name)
    pixels = _decoded(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise PictureError(f"{name} cannot be read: {len(data)} bytes that are damaged or no picture")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def decode_numbers(data: Bytes, name: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Decode a picture whose pixels are numbers, such as depth or labels: (H, W) uint8 or uint16.

    Raises:
        PictureError: as :func:`decode_picture`, and for pictures of several channels.
    """
    read_header(data, name)
    pixels = _decoded(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"{name} is no picture of numbers: expected one channel of 8 or 16 bits")
    return pixels


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture file as :func:`decode_picture` does.

    Raises:
        PictureError: it is missing, may not be read, or is no whole picture.
    """
    return decode_picture(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """A file's content; PictureError with its name where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PictureError(f"{path} does not exist") from None
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from error


def encode_picture(image: NDArray[np.uint8], suffix: str = ".jpg", quality: int = JPEG_QUALITY) -> bytes:
    """The bytes of a picture file of (H, W, 3) uint8 RGB or (H, W) uint8 or uint16.

    Args:
        image: the pixels.
        suffix: one of `WRITTEN_SUFFIXES`.
        quality: of a JPEG, 0 to 100.

    Raises:
        PictureError: the picture cannot be stored so.
    """
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix in (".jpg", ".jpeg") else []
    with contextlib.suppress(cv2.error), silent_opencv():
        done, encoded = cv2.imencode(suffix, stored, options)
        if done:
            return encoded.tobytes()
    raise PictureError(f"no picture of {image.shape[1]} x {image.shape[0]} px can be written as {suffix!r}; expected one of "
                       f"{', '.join(WRITTEN_SUFFIXES)}")  # fmt: skip


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB to a file whose ending says how; the file appears when it is whole.

    Raises:
        PictureError: the ending is none of `WRITTEN_SUFFIXES`.
        OSError: the file cannot be written.
    """
    encoded = encode_picture(image, path.suffix.lower())
    with replacing(path) as beside:
        beside.write_bytes(encoded)


def orientation(data: Bytes) -> int:
    """How a JPEG asks to be turned for display, by EXIF's numbers: 1 = as stored, 3, 6, 8 = turned, others mirrored."""
    place = _find_orientation(memoryview(data))
    return 1 if place is None else int(struct.unpack_from(place[1] + "H", data, place[0])[0])


def upright(image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """A stored picture (H, W, 3) as its `orientation` asks for it to be shown: 5 to 8 exchange height and width."""
    if number in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if number in (2, 3, 6, 7):
        image = image[:, ::-1]
    if number in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def as_stored(data: bytes) -> bytes:
    """The same JPEG with an orientation of 1, so that every decoder shows the pixels as they are stored."""
    place = _find_orientation(memoryview(data))
    if place is None:
        return data
    changed = bytearray(data)
    struct.pack_into(place[1] + "H", changed, place[0], 1)
    return bytes(changed)


def _decoded(data: Bytes, flags: int) -> NDArray | None:
    with contextlib.suppress(cv2.error), silent_opencv():
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None


@contextlib.contextmanager
def silent_opencv() -> Iterator[None]:
    """Keep OpenCV from writing the story of what failed to the terminal; the caller says it in one sentence."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def _png_header(data: memoryview, name: str) -> PictureHeader:
    position = len(_PNG)
    while position + 12 <= len(data) and data[position + 4 : position + 8] != b"IEND":
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    if position + 12 > len(data):
        raise PictureError(f"{name} is truncated: {len(data)} bytes of a PNG without its end mark")
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise PictureError(f"{name} is a PNG of {len(data)} bytes without a header")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    return PictureHeader("png", height, width, bits, grey=colour == 0)


def _jpeg_header(data: memoryview, name: str) -> PictureHeader:
    found = None
    for marker, start, length in _jpeg_segments(data):
        if marker in _FRAME_HEADERS and length >= 6:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, start)
            found = PictureHeader("jpeg", height, width, bits, grey=channels == 1)
        if marker == _START_OF_SCAN:
            if found is None:
                break
            behind = start + length
            # Where it should be; else anywhere, since cameras send buffers that are longer than their pictures.
            if data[-2:] != _JPEG_END and _JPEG_END not in bytes(data[behind:]):
                raise PictureError(f"{name} is truncated: {len(data)} bytes of a JPEG without its end mark")
            return found
    raise PictureError(f"{name} is truncated or damaged: {len(data)} bytes of a JPEG without a picture")


def _jpeg_segments(data: memoryview) -> Iterator[tuple[int, int, int]]:
    """Marker, start and length of each segment's content, up to the first scan's; whole segments only."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2 or position + 2 + length > len(data):
            return
        yield marker, position + 4, length - 2
        if marker == _START_OF_SCAN:
            return
        position += 2 + length


def _find_orientation(data: memoryview) -> tuple[int, str] | None:
    """Place of the EXIF orientation's number in a JPEG, and its byte order for `struct`."""
    if data[:3] != _JPEG:
        return None
    for marker, start, length in _jpeg_segments(data):
        if marker != _APP1 or data[start : start + 6] != b"Exif\0\0":
            continue
        tiff, end = start + 6, start + length
        order = {b"II": "<", b"MM": ">"}.get(bytes(data[tiff : tiff + 2]))
        if order is None or tiff + 8 > end:
            return None
        entry = tiff + int(struct.unpack_from(order + "I", data, tiff + 4)[0])
        if entry + 2 > end:
            return None
        (count,) = struct.unpack_from(order + "H", data, entry)
        for place in range(entry + 2, min(entry + 2 + 12 * count, end - 11), 12):
            if struct.unpack_from(order + "H", data, place)[0] == _ORIENTATION_TAG:
                return place + 8, order
    return None
