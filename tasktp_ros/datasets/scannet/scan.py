# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A scan's folder: the recording, its description, and the label and instance pictures beside it."""

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.pictures import decode_numbers
from tasktp_ros.datasets.scannet.sens import SensFile
from tasktp_ros.errors import DataError

SPLITS = ("scannetv2_train.txt", "scannetv2_val.txt", "scannetv2_test.txt")


@dataclass(frozen=True)
class Scan:
    """One scan, named `scene<space>_<scan>`.

    Attributes:
        folder: holds `<name>.sens` and, where the scan is labelled, `<name>_2d-label-filt.zip` and
            `<name>_2d-instance-filt.zip`.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Such as `scene0011_00`."""
        return self.folder.name

    @property
    def recording(self) -> Path:
        """Path of the `.sens` file."""
        return self.folder / f"{self.name}.sens"

    def open(self) -> SensFile:
        """The recording.

        Raises:
            DataError: missing or unreadable.
        """
        if not self.recording.is_file():
            raise DataError(f"scan {self.folder} has no {self.recording.name}")
        return SensFile(self.recording)

    @cached_property
    def description(self) -> dict[str, str]:
        """The `key = value` lines of `<name>.txt`; empty where it is missing."""
        try:
            lines = (self.folder / f"{self.name}.txt").read_text(errors="replace").splitlines()
        except OSError:
            return {}
        pairs = (line.split("=", 1) for line in lines if "=" in line)
        return {key.strip(): value.strip() for key, value in pairs}

    @property
    def missing(self) -> list[str]:
        """Names of the files that a labelled scan has and this one lacks."""
        files = (self.recording, self._archive("label"), self._archive("instance"))
        return [file.name for file in files if not file.is_file()]

    def labels(self, frame: int) -> NDArray[np.uint16]:
        """(H, W) uint16 label numbers of a frame, 0 = none.

        Raises:
            DataError: the archive or its picture is missing or unreadable.
        """
        return self._picture("label", frame).astype(np.uint16)

    def instances(self, frame: int) -> NDArray[np.uint8]:
        """(H, W) uint8 instance numbers of a frame, stable over the scan, 0 = none.

        Raises:
            DataError: the archive or its picture is missing or unreadable.
        """
        return self._picture("instance", frame).astype(np.uint8)

    def _archive(self, kind: str) -> Path:
        return self.folder / f"{self.name}_2d-{kind}-filt.zip"

    def _picture(self, kind: str, frame: int) -> NDArray:
        path, name = self._archive(kind), f"{kind}-filt/{frame}.png"
        try:
            with zipfile.ZipFile(path) as archive:
                stored = archive.read(name)
        except FileNotFoundError:
            raise DataError(f"scan {self.folder} has no {path.name}, so nothing is known about what is on it") from None
        except KeyError:
            raise DataError(f"{path} has no {name}") from None
        except (OSError, zipfile.BadZipFile, EOFError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        return decode_numbers(stored, f"{name} in {path}")


def open_scans(root: str | Path, split: str = "") -> list[Scan]:
    """The scans under a data set's root, sorted by name.

    Args:
        root: holds `scans/`, or is itself a folder of scans, or a single scan.
        split: a list of scan names in `root`, such as `scannetv2_val.txt`; "" = all scans there are.

    Raises:
        DataError: no scans, or a list that names scans which are not there.
    """
    place = Path(root).expanduser()
    if not place.is_dir():
        raise DataError(f"{place} is no folder: expected a data set in ScanNet's layout, with scans/")
    if (place / f"{place.name}.sens").is_file():
        return [Scan(place)]
    folder = place / "scans" if (place / "scans").is_dir() else place
    if split:
        return [Scan(folder / name) for name in read_split(place / split, folder)]
    names = sorted(each.name for each in folder.iterdir() if (each / f"{each.name}.sens").is_file())
    if not names:
        raise DataError(f"no scans in {folder}: expected folders such as scene0011_00 with scene0011_00.sens")
    return [Scan(folder / name) for name in names]


def read_split(file: Path, folder: Path) -> list[str]:
    """Names of scans, one per line, that all lie in `folder`.

    Raises:
        DataError: unreadable, empty, or naming scans that are not there.
    """
    try:
        names = file.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the list of scans {file} cannot be read: {error}") from error
    absent = [name for name in names if not (folder / name).is_dir()]
    if absent or not names:
        shown = f"names {len(absent)} scans that are not in {folder}, such as {absent[0]}" if absent else "is empty"
        raise DataError(f"the list of scans {file} {shown}")
    return names
