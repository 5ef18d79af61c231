# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a training leaves behind: a checkpoint that is whole or not there, and logs that a resumed run continues."""

import csv
from pathlib import Path
from typing import Any

import torch

from tasktp_ros.errors import DataError, InputError
from tasktp_ros.files import readable, replacing

CHECKPOINT = "last.ckpt"
LOG = "log.csv"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `last.ckpt` beside the old one, then take its place."""
    for left in folder.glob(f".part-*-{CHECKPOINT}"):  # by a process that was killed while it wrote
        left.unlink()
    with replacing(folder / CHECKPOINT) as beside, beside.open("wb") as file:  # torch's own errors hide the system's
        torch.save(state, file)


def check_free(folder: Path, model: str, resume: bool, overwrite: bool) -> None:
    """See that a training may begin in a folder.

    Args:
        model: file name of its model.

    Raises:
        InputError: an earlier training is there, and neither is to be gone on with nor to be replaced.
    """
    if resume or overwrite:
        return
    earlier = [name for name in (CHECKPOINT, model) if (folder / name).exists()]
    if Log.has_rows(folder):
        earlier.append(LOG)
    if earlier:
        go_on = "go on with it by --resume, " if CHECKPOINT in earlier else ""
        raise InputError(
            f"{readable(folder)} holds an earlier training ({', '.join(earlier)}): {go_on}choose another folder by "
            "--output, or replace it by --overwrite"
        )


def forget_checkpoint(folder: Path) -> None:
    """Remove an earlier training's checkpoint, so that nobody takes it for one of the training that begins."""
    (folder / CHECKPOINT).unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Read `last.ckpt`.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise DataError(f"nothing to resume: {path} does not exist")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load's errors have no common base
        raise DataError(f"checkpoint {path} cannot be read: {type(error).__name__}: {error}") from error


class Log:
    """Rows of named numbers in `log.csv`, and the same in TensorBoard where that is installed.

    Rows from `step` on, which a broken-off run may have left, are dropped. A row may lack columns or bring new ones.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / LOG
        self.rows: list[dict[str, str]] = []
        if step and self.path.is_file():
            with self.path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) < step]
        self._columns = list(self.rows[0]) if self.rows else ["step"]
        self._rewrite()
        self._board = _tensorboard(folder, step)

    @staticmethod
    def has_rows(folder: Path) -> bool:
        """Whether a folder has a log that is more than its first line."""
        try:
            with (folder / LOG).open("rb") as file:
                return bool(file.readline()) and bool(file.readline())
        except FileNotFoundError:
            return False

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add a row."""
        row = {"step": str(step), **{name: f"{value:.6g}" for name, value in values.items()}}
        self.rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite()
        else:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(row)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()

    def _rewrite(self) -> None:
        with replacing(self.path) as beside, beside.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows({name: value for name, value in row.items() if name} for row in self.rows)


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step)
