"""Writing without ever leaving a half-written file under its name, and telling a file from a later one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, with the same ending.

    It takes the place of `path` when the block ends well, and is removed when the block ends by an error.
    """
    beside = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def file_mark(path: Path) -> tuple[str, int, int]:
    """What tells a file from a later one of the same name: place, bytes, time of its last change in nanoseconds."""
    state = path.stat()
    return str(path.resolve()), state.st_size, state.st_mtime_ns
