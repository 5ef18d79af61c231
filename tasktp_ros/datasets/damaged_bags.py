# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Reads what is left of a bag that ordinary readers refuse: recorders are killed, disks fill up, cables get pulled.

An MCAP file is walked record by record up to where it ends; an SQLite file row by row, past pages that are gone, and with what
its recorder had not yet put in place. Compression, of files or of messages, is seen by its mark. What was wrong is said in
one sentence. Reading is slower than with an index, and only used when that fails.
"""

import contextlib
import importlib
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame

from tasktp_ros.errors import DataError

MCAP_MAGIC = b"\x89MCAP0\r\n"
ZSTD_MARK = b"\x28\xb5\x2f\xfd"  # no serialised message begins so
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
ROWS_WITHOUT_ANSWER = 1000  # so many rows in a row that cannot be read: the rest of the table is gone


@dataclass(frozen=True)
class StoredMessage:
    """One record as it lies in a bag; `timestamp` is when it was recorded, in nanoseconds."""

    topic: str
    message_type: str
    timestamp: int
    record: bytes


def storage_kind(file: Path) -> str:
    """The suffix that says how a storage file is to be read: that of `walk.db3.zstd` is ".db3"."""
    suffix = file.suffix.lower()
    return Path(file.stem).suffix.lower() if suffix == ".zstd" else suffix


def unfinished_parts(file: Path) -> list[Path]:
    """The files beside an SQLite file in which its recorder, still running or killed, left what belongs into it."""
    beside = [file.with_name(file.name + ending) for ending in ("-wal", "-journal")]
    return [part for part in beside if part.is_file() and part.stat().st_size]


def read_damaged(file: Path, problems: list[str]) -> Iterator[StoredMessage]:
    """All messages of a .mcap or .db3 file, or one of them compressed as a whole, that can still be read, in stored order.

    Args:
        file: the storage file.
        problems: gets what was wrong.

    Raises:
        DataError: nothing of it can be read.
    """
    read = {".mcap": _read_mcap, ".db3": _read_sqlite}.get(storage_kind(file))
    if read is None:
        raise DataError(f"{file} cannot be read as a damaged bag: expected a .mcap or .db3 file")
    if file.suffix.lower() == ".zstd":
        with tempfile.TemporaryDirectory() as folder:
            unpacked = _unpacked_file(file, Path(folder), problems)
            try:
                yield from read_damaged(unpacked, problems)
            except DataError as error:
                raise DataError(str(error).replace(str(unpacked), str(file))) from error
        return
    for stored in read(file, problems):
        packed = stored.record.startswith(ZSTD_MARK)
        yield replace(stored, record=_unpack_zstd(stored.record)) if packed else stored


def _unpacked_file(file: Path, folder: Path, problems: list[str]) -> Path:
    """A copy of `file` without its compression, up to where it is damaged."""
    unpacked = folder / file.stem
    unpacker = _zstd_unpacker()
    try:
        with file.open("rb") as packed, unpacked.open("wb") as stream:
            while part := packed.read(1 << 20):
                stream.write(unpacker.decompress(part))
    except OSError as error:
        raise DataError(f"{file} cannot be unpacked: {error.strerror}") from error
    except Exception as error:  # each library of this compression has its own errors
        problems.append(f"{file.name} is damaged ({error}): reading what can be unpacked of it")
    return unpacked


def _read_mcap(file: Path, problems: list[str]) -> Iterator[StoredMessage]:
    with file.open("rb") as stream:
        if stream.read(len(MCAP_MAGIC)) != MCAP_MAGIC:
            raise DataError(f"{file} is not an MCAP file: its first bytes are not the format's mark")
        walk = _McapWalk()
        size = file.stat().st_size
        while True:
            start = stream.tell()
            operation, length = _record_head(stream)
            if operation == DATA_END:
                return
            if operation is None or length > size - stream.tell():
                problems.append(f"{file.name} ends inside a record at byte {start} of {size}: read up to there")
                if operation == CHUNK:
                    yield from walk.chunk(stream.read(), problems, f"the last chunk of {file.name}")
                return
            body = stream.read(length)
            if operation == CHUNK:
                yield from walk.chunk(body, problems, f"the chunk at byte {start} of {file.name}")
            else:
                yield from walk.record(operation, body)


class _McapWalk:
    """Schemas and channels met so far, which the messages after them refer to."""

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.channels: dict[int, tuple[str, str]] = {}

    def record(self, operation: int, body: bytes) -> Iterator[StoredMessage]:
        try:
            if operation == SCHEMA:
                (key,) = struct.unpack_from("<H", body)
                self.schemas[key] = _text(body, 2)[0]
            elif operation == CHANNEL:
                key, schema = struct.unpack_from("<HH", body)
                self.channels[key] = (_text(body, 4)[0], self.schemas.get(schema, ""))
            elif operation == MESSAGE:
                key, _, timestamp = struct.unpack_from("<HIQ", body)
                if key in self.channels:
                    yield StoredMessage(*self.channels[key], timestamp, body[22:])
        except (struct.error, UnicodeDecodeError):
            return

    def chunk(self, body: bytes, problems: list[str], name: str) -> Iterator[StoredMessage]:
        try:
            compression, position = _text(body, 28)
            payload = _decompress(compression, body[position + 8 :])
        except Exception as error:  # each compression library has its own family of errors
            problems.append(f"{name} cannot be unpacked and was skipped: {error}")
            return
        position = 0
        while position + 9 <= len(payload):
            operation, length = struct.unpack_from("<BQ", payload, position)
            position += 9
            if position + length > len(payload):
                problems.append(f"{name} ends inside a message: the {len(payload) - position} bytes left were skipped")
                return
            yield from self.record(operation, payload[position : position + length])
            position += length


def _record_head(stream: BinaryIO) -> tuple[int | None, int]:
    head = stream.read(9)
    if len(head) < 9:
        return None, 0
    operation, length = struct.unpack("<BQ", head)
    return operation, length


def _text(body: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", body, position)
    end = position + 4 + length
    if end > len(body):
        raise struct.error("text runs past its record")
    return body[position + 4 : end].decode(), end


def _decompress(compression: str, payload: bytes) -> bytes:
    if compression == "zstd":
        return _unpack_zstd(payload)
    if compression == "lz4":
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(payload))
    if compression:
        raise DataError(f"unknown compression {compression!r}")
    return payload


def _unpack_zstd(payload: bytes) -> bytes:
    """What can be unpacked of a possibly cut payload."""
    return bytes(_zstd_unpacker().decompress(payload))


def _zstd_unpacker() -> Any:
    """Something with `decompress(bytes)`, of whichever Zstandard this Python and its rosbags have."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name).ZstdDecompressor()
        except ModuleNotFoundError:
            continue
    return importlib.import_module("zstandard").ZstdDecompressor().decompressobj()


def _read_sqlite(file: Path, problems: list[str]) -> Iterator[StoredMessage]:
    with contextlib.ExitStack() as stack:
        connection = _connect(file, stack)
        # Without this SQLite refuses a file that is shorter than its first page says.
        connection.execute("PRAGMA writable_schema=ON")
        try:
            topics = {key: (name, kind) for key, name, kind in connection.execute("SELECT id, name, type FROM topics")}
        except sqlite3.DatabaseError as error:
            raise DataError(f"{file} cannot be read as a ROS 2 bag: {error}") from error
        silent = row = count = 0
        while silent < ROWS_WITHOUT_ANSWER:
            row += 1
            found = _row(connection, "SELECT topic_id, timestamp, data FROM messages WHERE id = ?", row)
            silent = 0 if found else silent + 1
            count += found is not None
            if found:
                topic, timestamp, record = found
                if topic in topics and isinstance(record, bytes):
                    yield StoredMessage(*topics[topic], timestamp, record)
        if _row(connection, "SELECT count(*) FROM messages") != (count,):
            last = row - silent
            problems.append(
                f"{file.name} is damaged or cut off: of its rows, read one by one, {last} is the last readable"
            )


def _connect(file: Path, stack: contextlib.ExitStack) -> sqlite3.Connection:
    """Open an SQLite file for reading, as a whole with its unfinished parts; nothing of it is changed.

    In place where SQLite can: its index of the unfinished part is a file beside, which goes away again. Otherwise (a folder in which
    nothing can be written, or a transaction that has to be undone) from a copy.
    """
    parts = unfinished_parts(file)
    if not parts:
        return _opened(file, "mode=ro&immutable=1", stack)
    index = file.with_name(file.name + "-shm")
    if not index.exists():
        stack.callback(index.unlink, missing_ok=True)
    connection = _opened(file, "mode=ro", stack)
    if _row(connection, "SELECT count(*) FROM sqlite_master") is not None:
        return connection
    try:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for path in (file, *parts):
            shutil.copyfile(path, folder / path.name)
    except OSError as error:
        raise DataError(
            f"{file} was not closed by its recorder, and there is no room for a copy to repair: {error}"
        ) from error
    return _opened(folder / file.name, "mode=rw", stack)


def _opened(file: Path, how: str, stack: contextlib.ExitStack) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?{how}", uri=True)
    except sqlite3.DatabaseError as error:
        raise DataError(f"{file} cannot be opened: {error}") from error
    stack.callback(connection.close)
    return connection


def _row(connection: sqlite3.Connection, question: str, *values: int) -> tuple[Any, ...] | None:
    """The first row of an answer; None where there is none or it cannot be read."""
    try:
        found = connection.execute(question, values).fetchone()
    except sqlite3.DatabaseError:
        return None
    return tuple(found) if found else None
