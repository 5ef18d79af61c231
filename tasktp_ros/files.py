# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Writing without ever leaving a half-written file under its name, and telling a file from a later one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasktp_ros.errors import InputError

LONGEST_NAME = 60
"""Characters of a name that its neighbour keeps: at most 240 bytes, where file systems allow 255."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, with the same ending.

    It takes the place of `path` when the block ends well, and is removed when the block ends by an error. A link stays
    and what it points to is replaced; a device or pipe, such as /dev/stdout, is written to as it is.
    """
    path = Path(os.path.realpath(path))
    if path.is_char_device() or path.is_fifo():
        yield path
        return
    beside = path.with_name(f".part-{os.getpid()}-{path.name[-LONGEST_NAME:]}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        if error.errno is not None:
            error.filename = error.filename or str(path)  # where there was no room
        raise
    finally:
        beside.unlink(missing_ok=True)


def check_file(path: Path, make_folders: bool = True) -> None:
    """See that a file can be written, before the work that it is to hold.

    Args:
        make_folders: folders that are missing above it will be made.

    Raises:
        InputError: it is a folder, lies below a file or below a folder that is missing, or there is no right or room.
    """
    with _refused(path):
        if path.is_dir():
            raise InputError(f"cannot write to {readable(path)}: it is a folder, expected a file")
        if not make_folders and not path.parent.is_dir():
            raise InputError(f"cannot write to {readable(path)}: folder {readable(path.parent)} does not exist")
        if path.is_file() or not path.exists():  # else a device or pipe
            _check_room(path.parent)


def check_folder(path: Path) -> None:
    """See that files can be written in a folder, which may be missing yet; raises InputError as :func:`check_file` does."""
    with _refused(path):
        _check_room(path)


def _check_room(folder: Path) -> None:
    """Write a byte, without a name, in the lowest folder that is there."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0")
    except OSError as error:
        error.filename = str(folder)
        raise


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write to {readable(path)}: {refusal(error)}") from error


def readable(path: str | bytes | Path) -> str:
    r"""A path, or a sentence with one, that can be printed and stored anywhere: bytes that are not UTF-8 become \xff."""
    if isinstance(path, bytes):
        return path.decode("utf-8", "backslashreplace")
    try:
        return readable(str(path).encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # half a character that is no byte of a path either
        return str(path).encode("utf-8", "backslashreplace").decode()


def check_utf8(path: str | Path, user: str) -> None:
    """Refuse a name that those who use it cannot hold, such as `user` = "ROS's parameters"; raises InputError."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{readable(path)} is not UTF-8, which {user} must be: rename it") from error


def refusal(error: OSError) -> str:
    """What the operating system refused, and where."""
    names = [readable(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes | Path)]
    return f"{error.strerror or error}" + (f" ({' to '.join(names)})" if names else "")


def file_mark(path: str | os.PathLike[str]) -> tuple[str, int, int]:
    """What tells a file from a later one of the same name: place, bytes, time of its last change in nanoseconds."""
    state = os.stat(path)
    return str(Path(path).resolve()), state.st_size, state.st_mtime_ns
