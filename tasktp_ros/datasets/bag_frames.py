# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Image messages of a ROS 2 bag, as frames. Whole bags go through their index, damaged ones are salvaged.

Which topic: the only colour image topic, or the one asked for. Depth images are also `sensor_msgs/Image`, so the first
message's encoding decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader

from tasktp_ros.datasets import records
from tasktp_ros.datasets.damaged_bags import StoredMessage, read_damaged, storage_kind, unfinished_parts
from tasktp_ros.datasets.frame import Frame, FrameSource, natural_order
from tasktp_ros.datasets.messages import check_compressed, is_depth
from tasktp_ros.errors import DataError

IMAGE_TYPES = (records.IMAGE, records.COMPRESSED_IMAGE)
BAG_SUFFIXES = frozenset({".mcap", ".db3"})
LOOK_AHEAD = 200  # messages of a bag without index that are looked at to learn its topics
FARTHEST_LOOK = 100 * LOOK_AHEAD  # where none of them is an image
NOT_IN_ADDRESSES = "?#%"  # SQLite's addresses give them a meaning, and rosbags does not quote them


@dataclass(frozen=True)
class Topic:
    """A topic of a bag; `count` is None where the bag does not say."""

    name: str
    message_type: str
    count: int | None


class BagSource(FrameSource):
    """Frames of one image topic of a rosbag2, stamped with their own headers."""

    def __init__(self, path: Path, topic: str | None = None) -> None:
        super().__init__(path)
        self._reader = self._open_reader()
        self.topics = self._list_topics()
        self.topic = self._choose(topic)

    @property
    def length(self) -> int | None:
        """Messages of the topic, None where a damaged bag does not say."""
        return self.topic.count

    @property
    def description(self) -> str:
        """Path and topic."""
        return f"{self.path} ({self.topic.name})"

    def __iter__(self) -> Iterator[Frame]:
        for index, stored in enumerate(self._messages(self.topic, self.problems)):
            try:
                message = records.deserialise(stored.record, stored.message_type)
            except DataError as error:
                self.problems.append(f"message {index} of {self.topic.name} was skipped: {error}")
                continue
            compressed = stored.message_type == records.COMPRESSED_IMAGE
            yield Frame(
                index=index,
                stamp_ns=records.record_stamp(stored.record),
                frame_id=message.header.frame_id,
                load_image=partial(records.decode, message),
                source_record=stored.record,
                message_type=stored.message_type,
                load_encoded=partial(_stored, message) if compressed else None,
                encoding=message.format if compressed else message.encoding,
            )

    def close(self) -> None:
        """Close the bag."""
        if self._reader is not None and self._reader.is_open:
            self._reader.close()

    def _open_reader(self) -> Reader | None:
        files = self._storage_files()
        if any(unfinished_parts(file) for file in files):
            self.problems.append(
                f"{self.path} was not closed by its recorder: reading it row by row, with what was not yet in place"
            )
            return None
        if any(storage_kind(file) == ".db3" and not _has_plain_address(file) for file in files):
            return None
        # Truncated files fail in the reader, YAML, SQLite or struct, each in its own way.
        try:
            reader = Reader(self.path)
            reader.open()
        except Exception as error:
            reason = _first_sentence(error)
            self.problems.append(f"{self.path} is not a whole bag ({reason}): reading what is left of it")
            return None
        return reader

    def _list_topics(self) -> list[Topic]:
        if self._reader is not None:
            return [Topic(one.topic, one.msgtype, one.msgcount) for one in self._reader.connections]
        seen: dict[str, str] = {}
        for number, stored in enumerate(self._salvage([])):
            seen.setdefault(stored.topic, stored.message_type)
            if number >= (LOOK_AHEAD if set(IMAGE_TYPES) & set(seen.values()) else FARTHEST_LOOK):
                break
        return [Topic(name, message_type, None) for name, message_type in seen.items()]

    def _choose(self, asked: str | None) -> Topic:
        listed = ", ".join(f"{one.name} ({one.message_type})" for one in self.topics) or "none at all"
        announced = [one for one in self.topics if one.message_type in IMAGE_TYPES]
        images = [one for one in announced if one.count != 0]
        wanted = [one for one in announced if not asked or one.name.lstrip("/") == asked.lstrip("/")]
        if wanted and not set(wanted) & set(images):
            raise DataError(f"{self.path} has 0 messages on {', '.join(one.name for one in wanted)}: the topic was recorded, but nothing "
                            "arrived (did camera and recorder agree on the QoS?)")  # fmt: skip
        if asked:
            named = [one for one in images if one.name.lstrip("/") == asked.lstrip("/")]
            if not named:
                raise DataError(f"{self.path} has no images on {asked}: its topics are {listed}")
            return named[0]
        if not images:
            raise DataError(f"{self.path} has no image topic: its topics are {listed}")
        colour = images if len(images) == 1 else [one for one in images if not self._is_depth(one)]
        names = {one.name for one in colour}
        # The compressed twin of a raw topic shows the same camera.
        colour = [one for one in colour if one.name.removesuffix("/compressed") not in names - {one.name}]
        if len(colour) != 1:
            choice = ", ".join(one.name for one in colour or images)
            raise DataError(f"{self.path} has several image topics: choose one of {choice}")
        return colour[0]

    def _is_depth(self, topic: Topic) -> bool:
        for stored in self._messages(topic, []):
            try:
                message = records.deserialise(stored.record, stored.message_type)
            except DataError:
                continue
            kind = message.encoding if topic.message_type == records.IMAGE else message.format.split(";")[0]
            return is_depth(kind)
        return False

    def _messages(self, topic: Topic, problems: list[str]) -> Iterator[StoredMessage]:
        """Messages of one topic; where the index leads into damage or to too few, salvage goes on behind the last good one."""
        count, last = 0, -(1 << 63)
        if self._reader is not None:
            connections = [one for one in self._reader.connections if one.topic == topic.name]
            try:
                for connection, timestamp, record in self._reader.messages(connections):
                    count, last = count + 1, timestamp
                    yield StoredMessage(topic.name, connection.msgtype, timestamp, bytes(record))
                if topic.count is None or count >= topic.count:
                    return
            except Exception as error:  # see _open_reader
                problems.append(f"{self.path} is damaged ({_first_sentence(error)}): reading what is left of it")
        for stored in self._salvage(problems):
            if stored.topic == topic.name and stored.timestamp > last:
                count += 1
                yield stored
        if topic.count is not None and count < topic.count:
            problems.append(
                f"{self.path} announces {topic.count} messages on {topic.name} and holds {count} that can be read"
            )

    def _salvage(self, problems: list[str]) -> Iterator[StoredMessage]:
        files = self._storage_files()
        if not files:
            endings = " or ".join(sorted(BAG_SUFFIXES))
            raise DataError(f"{self.path} holds no readable bag: expected files ending in {endings}")
        for file in files:
            yield from read_damaged(file, problems)

    def _storage_files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        return sorted((file for file in self.path.iterdir() if storage_kind(file) in BAG_SUFFIXES), key=natural_order)


def is_bag(path: Path) -> bool:
    """Whether `path` is a rosbag2: a storage file, compressed or not, or a folder holding one."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(storage_kind(file) in BAG_SUFFIXES for file in path.iterdir())
    return storage_kind(path) in BAG_SUFFIXES


def _has_plain_address(file: Path) -> bool:
    try:
        return not set(NOT_IN_ADDRESSES) & set(str(file.absolute())) and bool(str(file.absolute()).encode())
    except UnicodeEncodeError:
        return False


def _stored(message: Any) -> tuple[bytes, str]:
    """A compressed image's bytes and kind, having looked whether it can be decoded."""
    kind = check_compressed(memoryview(message.data), message.format)
    return bytes(message.data), kind


def _first_sentence(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
