"""One way to read frames, whatever they come from: a ROS 2 bag, a folder of images or a video.

Replaying, converting and demonstrating all walk through `open_source(path)`. What cannot be read is skipped and said in
`problems`, because a long recording with one bad frame is still a recording.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets import records
from tasktp_ros.datasets.rgbd import RgbdExtras
from tasktp_ros.datasets.rgbd_folder import read_extras
from tasktp_ros.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"})
BAG_SUFFIXES = frozenset({".mcap", ".db3"})
DEFAULT_FRAME_ID = "camera_color_optical_frame"
DEFAULT_RATE = 5.0


@dataclass(frozen=True)
class Frame:
    """One image on its way; pixels and message are made only when asked for.

    index: position in its source, gaps where a frame could not be read.  stamp_ns: header stamp in nanoseconds.
    frame_id: the camera's optical frame.  load_encoded: the picture's bytes and format ("jpeg" or "png"), where the source
    has it so.
    """

    index: int
    stamp_ns: int
    frame_id: str
    load_image: Callable[[], NDArray[np.uint8]]
    source_record: bytes | None = None
    message_type: str = records.IMAGE
    load_encoded: Callable[[], tuple[bytes, str]] | None = None

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB; DataError where the pixels cannot be decoded."""
        return self.load_image()

    @property
    def record(self) -> bytes:
        """The serialised message: untouched from a bag, else a new rgb8 sensor_msgs/Image."""
        if self.source_record is not None:
            return self.source_record
        return records.image_record(self.image, self.stamp_ns, self.frame_id)

    def decoded(self) -> "Frame":
        """This frame as a plain sensor_msgs/Image, for readers that want no compressed images."""
        if self.message_type == records.IMAGE:
            return self
        return Frame(self.index, self.stamp_ns, self.frame_id, lambda: self.image)


class FrameSource(ABC):
    """Frames in their order; open while inside `with`. `problems` grows while frames are read, one sentence each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

    @property
    def length(self) -> int | None:
        """Number of frames the source announces, None where it does not know."""
        return None

    @property
    def description(self) -> str:
        """What is being read, for people."""
        return str(self.path)

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Frames from the first one on."""

    def extras(self) -> RgbdExtras | None:
        """Depth, poses and intrinsics beside the colour pictures, by frame index; None where there are none."""
        return None

    def close(self) -> None:  # noqa: B027 (a folder has nothing to let go of)
        """Let go of files; iterating afterwards is an error."""

    def __enter__(self) -> "FrameSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
                image = records.decode_file(np.fromfile(file, np.uint8), str(file))
            except (DataError, OSError) as error:
                self.problems.append(f"frame {index} was skipped: {error}")
                continue
            frame = Frame(index, period_stamp(index, self.rate), DEFAULT_FRAME_ID, partial(_same, image))
            jpeg = file.suffix.lower() in (".jpg", ".jpeg")
            yield replace(frame, load_encoded=partial(_stored_jpeg, file)) if jpeg else frame


class VideoSource(FrameSource):
    """A video file; stamps follow its frame rate, or `rate` where one is given."""

    def __init__(self, path: Path, rate: float | None = None) -> None:
        super().__init__(path)
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise DataError(f"{path} cannot be opened as a video: it is truncated, empty or of an unknown codec")
        frames_per_second = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate or (frames_per_second if 0.1 < frames_per_second < 1000.0 else DEFAULT_RATE)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._length = count if 0 < count < 10_000_000 else None

    @property
    def length(self) -> int | None:
        """Number of frames the file announces."""
        return self._length

    def __iter__(self) -> Iterator[Frame]:
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        index = 0
        while True:
            there, bgr = self._capture.read()
            if not there:
                break
            image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, period_stamp(index, self.rate), DEFAULT_FRAME_ID, partial(_same, image))
            index += 1
        if self._length is not None and index < self._length:
            self.problems.append(f"{self.path} ends after {index} of the {self._length} frames it announces")

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


def open_source(path: str | Path, *, topic: str | None = None, rate: float | None = None) -> FrameSource:
    """Open a rosbag2 (folder, .mcap or .db3), a ScanNet recording (.sens or its folder), a folder of images, one image, or
    a video.

    topic: which image topic of a bag, None = the only colour one.  rate: Hz for stamps of the others, None = 5 Hz for
    folders, 30 Hz for ScanNet's and the video's own.  Raises DataError for paths that are missing, empty, unknown or without images.
    """
    place = Path(path).expanduser()
    if rate is not None and not 0.001 <= rate <= 100_000.0:
        raise DataError(f"a rate of {rate} Hz was asked for: expected 0.001 to 100000")
    if not place.exists():
        raise DataError(f"{place} does not exist: expected a ROS 2 bag, a .sens file, a folder of images or a video")
    suffix = place.suffix.lower()
    if suffix == ".sens" or (place / f"{place.name}.sens").is_file():
        from tasktp_ros.datasets.scannet.source import SensSource

        return SensSource(place, rate)
    if is_bag(place):
        from tasktp_ros.datasets.bag_frames import BagSource

        return BagSource(place, topic)
    if place.is_dir() or suffix in IMAGE_SUFFIXES:
        return FolderSource(place, rate or DEFAULT_RATE)
    if suffix in VIDEO_SUFFIXES:
        return VideoSource(place, rate)
    if suffix == ".bag":
        raise DataError(f"{place} is a ROS 1 bag: convert it with `rosbags-convert --src {place.name} --dst new_bag`")
    raise DataError(
        f"{place} is of an unknown kind: expected a rosbag2 folder, {', '.join(sorted(BAG_SUFFIXES | VIDEO_SUFFIXES | {'.sens'}))} "
        "or a folder of images"
    )


def is_bag(path: Path) -> bool:
    """Whether `path` is a rosbag2: a storage file, or a folder holding one."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(file.suffix in BAG_SUFFIXES for file in path.iterdir())
    return path.suffix.lower() in BAG_SUFFIXES


def image_files(folder: Path) -> list[Path]:
    """Image files directly in `folder`, or in its subfolder `color` (RGB-D recordings), in natural order."""
    for place in (folder, folder / "color"):
        if place.is_dir():
            files = [file for file in place.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
            if files:
                return sorted(files, key=natural_order)
    return []


def natural_order(file: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key by name in which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", file.name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def period_stamp(index: int, rate: float) -> int:
    """Stamp of frame `index` at `rate` Hz in nanoseconds, the first one a period after zero."""
    return round((index + 1) / rate * records.NANOSECONDS)


def _stored_jpeg(file: Path) -> tuple[bytes, str]:
    return file.read_bytes(), "jpeg"


def _same(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image
