# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Frames of a folder of images, or of one image."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.frame import DEFAULT_FRAME_ID, DEFAULT_RATE, Frame, FrameSource, natural_order, period_stamp
from tasktp_ros.datasets.pictures import WRITTEN_SUFFIXES, as_stored, decode_picture, orientation, read_bytes
from tasktp_ros.datasets.rgbd import RgbdExtras
from tasktp_ros.datasets.rgbd_folder import read_extras
from tasktp_ros.errors import DataError

IMAGE_SUFFIXES = frozenset(WRITTEN_SUFFIXES)


class FolderSource(FrameSource):
    """Image files sorted by name, numbers inside names by their value; stamped (index + 1) / rate seconds.

    Stamps start one period after zero because a zero stamp means "unknown time" in ROS.
    """

    def __init__(self, path: Path, rate: float = DEFAULT_RATE) -> None:
        super().__init__(path)
        self.rate = rate
        self.files = [path] if path.is_file() else image_files(path)
        if not self.files:
            raise DataError(
                f"no images in {path}: expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}, "
                "a folder named color with them, or a ROS 2 bag"
            )

    @property
    def length(self) -> int:
        """Number of files."""
        return len(self.files)

    def extras(self) -> RgbdExtras | None:
        """What lies beside the pictures."""
        return read_extras(self.path, self.files)

    def __iter__(self) -> Iterator[Frame]:
        for index, file in enumerate(self.files):
            try:
                stored = read_bytes(file)
                image = decode_picture(stored, str(file))
            except DataError as error:
                self.problems.append(f"frame {index} was skipped: {error}")
                continue
            if orientation(stored) != 1:
                self.problems.append(f"frame {index} has an orientation tag, which is not followed: its pixels are taken as stored "
                                     "(to turn a file for good: mogrify -auto-orient)")  # fmt: skip
            jpeg = file.suffix.lower() in (".jpg", ".jpeg")
            yield Frame(
                index,
                period_stamp(index, self.rate),
                DEFAULT_FRAME_ID,
                partial(_same, image),
                load_encoded=partial(_stored_jpeg, file) if jpeg else None,
                encoding="jpeg" if jpeg else file.suffix.lower()[1:],
            )


def image_files(folder: Path) -> list[Path]:
    """Image files directly in `folder`, or in its subfolder `color` (RGB-D recordings), in natural order."""
    for place in (folder, folder / "color"):
        if place.is_dir():
            files = [file for file in place.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
            if files:
                return sorted(files, key=natural_order)
    return []


def _stored_jpeg(file: Path) -> tuple[bytes, str]:
    return as_stored(read_bytes(file)), "jpeg"


def _same(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image
