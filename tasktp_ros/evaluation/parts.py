"""Where a long evaluation keeps its finished parts until the report is written, so that it goes on after any stop."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tasktp_ros.errors import InputError


@contextlib.contextmanager
def kept_parts(given: Path | None, output: Path | None) -> Iterator[Path]:
    """Folder of the finished parts. One that was not asked for is removed when the block ends well.

    Args:
        given: the folder that was asked for; None = `<output>.parts`, or without `output` a temporary one.
        output: where the report will go.

    Raises:
        InputError: a folder that cannot be made, told before hours of work.
    """
    if output and output.is_dir():
        raise InputError(f"--output must name a file, and {output} is a folder")
    folder = given or (output.with_name(f"{output.name}.parts") if output else Path(tempfile.mkdtemp()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from error
    finished = False
    try:
        yield folder
        finished = True
    finally:
        if not given and (finished or not output):
            for part in folder.glob("*.json"):
                part.unlink()
            with contextlib.suppress(OSError):  # something else lies in it
                folder.rmdir()
