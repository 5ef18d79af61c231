# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Where a long evaluation keeps its finished parts until the report is written, so that it goes on after any stop."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tasktp_ros.errors import InputError

MODELS = "models"
"""Folder among the parts for models that were made for them."""


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
            shutil.rmtree(folder / MODELS, ignore_errors=True)
            with contextlib.suppress(OSError):  # something else lies in it
                folder.rmdir()
