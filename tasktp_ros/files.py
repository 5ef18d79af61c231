"""Writing without ever leaving a half-written file under its name."""

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
