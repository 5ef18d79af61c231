# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

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
