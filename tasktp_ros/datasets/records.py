"""Image messages in their serialised form (CDR), so that bags are read, written and replayed without ROS installed.

A player republishes records untouched; only the stamp may have to change, and it sits at a fixed place. Everything
that needs the pixels decodes here, once, into RGB.
"""

import struct
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from tasktp_ros.errors import DataError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
DEPTH_ENCODINGS = ("16UC1", "32FC1", "mono16")

NANOSECONDS = 1_000_000_000
STAMP_OFFSET = 4  # after the four bytes that name the encapsulation

_CHANNELS = {"rgb8": 3, "bgr8": 3, "8UC3": 3, "rgba8": 4, "bgra8": 4, "8UC4": 4, "mono8": 1, "8UC1": 1}
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "8UC3": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "8UC4": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    "8UC1": cv2.COLOR_GRAY2RGB,
}


@lru_cache(maxsize=1)
def message_types() -> Typestore:
    """The message definitions of ROS 2 Jazzy, built once (about 0.1 s)."""
    return get_typestore(Stores.ROS2_JAZZY)


def deserialise(record: bytes | memoryview, message_type: str) -> Any:
    """Read a serialised message; a record that is cut or garbled raises DataError."""
    try:
        return message_types().deserialize_cdr(record, message_type)
    except Exception as error:  # the generated readers raise whatever the garbage leads them to
        raise DataError(f"a {message_type} record of {len(record)} bytes cannot be deserialised") from error


def serialise(message: Any) -> bytes:
    """Serialise a message made from `message_types()`, little endian."""
    return bytes(message_types().serialize_cdr(message, message.__msgtype__))


def header(stamp_ns: int, frame_id: str) -> Any:
    """A std_msgs/Header; `stamp_ns` in nanoseconds since the epoch."""
    types = message_types().types
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    time = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def image_record(image: NDArray[Any], stamp_ns: int, frame_id: str, encoding: str = "rgb8") -> bytes:
    """Serialise (H, W, 3) uint8 rgb8, or (H, W) uint8/uint16 with its encoding, as a sensor_msgs/Image."""
    pixels = np.ascontiguousarray(image)
    message = message_types().types[IMAGE](
        header=header(stamp_ns, frame_id),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.reshape(-1).view(np.uint8),
    )
    return serialise(message)


def compressed_record(encoded: bytes | NDArray[np.uint8], stamp_ns: int, frame_id: str, kind: str = "jpeg") -> bytes:
    """Serialise the bytes of an image file as a sensor_msgs/CompressedImage of format "jpeg" or "png"."""
    data = np.frombuffer(encoded, np.uint8) if isinstance(encoded, bytes) else encoded.reshape(-1)
    message = message_types().types[COMPRESSED_IMAGE](header=header(stamp_ns, frame_id), format=kind, data=data)
    return serialise(message)


def record_stamp(record: bytes | memoryview) -> int:
    """Header stamp of a serialised message that starts with a header, in nanoseconds."""
    seconds, nanoseconds = struct.unpack_from(_order(record) + "iI", record, STAMP_OFFSET)
    return int(seconds) * NANOSECONDS + int(nanoseconds)


def record_header(record: bytes | memoryview) -> tuple[int, str]:
    """Stamp in nanoseconds and frame id of a serialised message that starts with a header."""
    (length,) = struct.unpack_from(_order(record) + "I", record, STAMP_OFFSET + 8)
    start = STAMP_OFFSET + 12
    if start + length > len(record):
        raise struct.error("the frame id runs past the record")
    return record_stamp(record), bytes(record[start : start + length]).rstrip(b"\0").decode()


def with_stamp(record: bytes | memoryview, stamp_ns: int) -> bytes:
    """The same serialised message with another header stamp (nanoseconds)."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    changed = bytearray(record)
    struct.pack_into(_order(record) + "iI", changed, STAMP_OFFSET, seconds, nanoseconds)
    return bytes(changed)


def decode(message: Any) -> NDArray[np.uint8]:
    """Pixels of an Image or CompressedImage as (H, W, 3) uint8 RGB; other encodings than 8 bit colour: DataError."""
    if message.__msgtype__ == COMPRESSED_IMAGE:
        return decode_file(np.asarray(message.data), f"compressed image of format {message.format!r}")
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        raise DataError(
            f"images of encoding {message.encoding!r} cannot be shown as colour: expected {', '.join(_CHANNELS)}"
        )
    height, width, step = message.height, message.width, message.step
    if height < 1 or step < width * channels or width < 1 or len(message.data) < step * height:
        size = f"{width} x {height} px {message.encoding} with step {step}"
        raise DataError(f"an image of {size} cannot have {len(message.data)} bytes")
    rows = np.asarray(message.data)[: step * height].reshape(height, step)[:, : width * channels]
    pixels = np.ascontiguousarray(rows).reshape(height, width, channels)
    if message.encoding in _TO_RGB:
        return np.asarray(cv2.cvtColor(pixels, _TO_RGB[message.encoding]), np.uint8)
    return pixels


def decode_file(encoded: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Decode the bytes of a JPEG, PNG or other image file into (H, W, 3) uint8 RGB."""
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{name} cannot be decoded: it is truncated or not an image")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _order(record: bytes | memoryview) -> str:
    return "<" if record[1] & 1 else ">"
