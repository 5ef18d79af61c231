"""Paths that every library understands.

Video readers take a colon for a protocol and a percent sign for a pattern, SQLite's addresses end at a question mark or a number sign,
and OpenCV ends the process on names that are not UTF-8. Such libraries get a link with a plain name.
"""

import tempfile
from pathlib import Path


class PlainPath:
    """A link to `path`, in a temporary folder that lives as long as this object or until it is closed.

    Args:
        path: may still have to be made; its folder is there.

    Attributes:
        path: of the same suffix, made of ASCII letters, digits, dots and strokes.

    Raises:
        OSError: no link can be made.
    """

    def __init__(self, path: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tasktp-")
        suffix = path.suffix if path.suffix.isascii() and path.suffix[1:].isalnum() else ""
        self.path = Path(self._folder.name) / f"linked{suffix}"
        self.path.symlink_to(path.absolute())

    def close(self) -> None:
        """Remove the link."""
        self._folder.cleanup()
