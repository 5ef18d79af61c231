# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Image messages in their serialised form (CDR), so that bags are read, written and replayed without ROS installed.

A player republishes records untouched; only the stamp may have to change, and it sits at a fixed place. Everything
that needs the pixels decodes here, once, into RGB.
"""

import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from tasktp_ros.datasets.messages import message_pixels
from tasktp_ros.errors import DataError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"

NANOSECONDS = 1_000_000_000
EARLIEST_STAMP, LATEST_STAMP = -(1 << 31) * NANOSECONDS, (1 << 31) * NANOSECONDS - 1
STAMP_OFFSET = 4  # after the four bytes that name the encapsulation


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
    """A std_msgs/Header; `stamp_ns` in nanoseconds since the epoch, moved to the nearest that a header can hold."""
    types = message_types().types
    seconds, nanoseconds = _split(stamp_ns)
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
    """The same serialised message with another header stamp (nanoseconds), or the nearest that a header can hold."""
    seconds, nanoseconds = _split(stamp_ns)
    changed = bytearray(record)
    struct.pack_into(_order(record) + "iI", changed, STAMP_OFFSET, seconds, nanoseconds)
    return bytes(changed)


def decode(message: Any) -> NDArray[np.uint8]:
    """Pixels of an Image or CompressedImage as contiguous (H, W, 3) uint8 RGB; what cannot be read: PictureError."""
    return np.ascontiguousarray(message_pixels(message))


def _split(stamp_ns: int) -> tuple[int, int]:
    """Seconds and nanoseconds as a header holds them: seconds of 32 bits, nanoseconds from 0 to 999,999,999."""
    return divmod(min(max(stamp_ns, EARLIEST_STAMP), LATEST_STAMP), NANOSECONDS)


def _order(record: bytes | memoryview) -> str:
    return "<" if record[1] & 1 else ">"
