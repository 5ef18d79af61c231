"""Image messages of a ROS 2 bag, as frames. Whole bags go through their index, damaged ones are salvaged.

Which topic: the only colour image topic, or the one asked for. Depth images are also `sensor_msgs/Image`, so the first
message's encoding decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rosbags.rosbag2 import Reader

from tasktp_ros.datasets import records
from tasktp_ros.datasets.damaged_bags import StoredMessage, read_damaged
from tasktp_ros.datasets.frames import BAG_SUFFIXES, Frame, FrameSource, natural_order
from tasktp_ros.errors import DataError

IMAGE_TYPES = (records.IMAGE, records.COMPRESSED_IMAGE)
LOOK_AHEAD = 200  # messages of a bag without index that are looked at to learn its topics


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
        for index, stored in enumerate(self._messages(self.topic.name, self.problems)):
            try:
                message = records.deserialise(stored.record, stored.message_type)
            except DataError as error:
                self.problems.append(f"message {index} of {self.topic.name} was skipped: {error}")
                continue
            yield Frame(
                index=index,
                stamp_ns=records.record_stamp(stored.record),
                frame_id=message.header.frame_id,
                load_image=partial(records.decode, message),
                source_record=stored.record,
                message_type=stored.message_type,
            )

    def close(self) -> None:
        """Close the bag."""
        if self._reader is not None and self._reader.is_open:
            self._reader.close()

    def _open_reader(self) -> Reader | None:
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
            if number >= LOOK_AHEAD:
                break
        return [Topic(name, message_type, None) for name, message_type in seen.items()]

    def _choose(self, asked: str | None) -> Topic:
        listed = ", ".join(f"{one.name} ({one.message_type})" for one in self.topics) or "none at all"
        images = [one for one in self.topics if one.message_type in IMAGE_TYPES and one.count != 0]
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
        for stored in self._messages(topic.name, []):
            try:
                message = records.deserialise(stored.record, stored.message_type)
            except DataError:
                continue
            kind = message.encoding if topic.message_type == records.IMAGE else message.format.split(";")[0]
            return kind.strip() in records.DEPTH_ENCODINGS or "compressedDepth" in kind
        return False

    def _messages(self, topic: str, problems: list[str]) -> Iterator[StoredMessage]:
        """Messages of one topic; where the index leads into damage, salvage goes on behind the last good one."""
        last = -1
        if self._reader is not None:
            connections = [one for one in self._reader.connections if one.topic == topic]
            try:
                for connection, timestamp, record in self._reader.messages(connections):
                    last = timestamp
                    yield StoredMessage(topic, connection.msgtype, timestamp, bytes(record))
                return
            except Exception as error:  # see _open_reader
                problems.append(f"{self.path} is damaged ({_first_sentence(error)}): reading what is left of it")
        for stored in self._salvage(problems):
            if stored.topic == topic and stored.timestamp > last:
                yield stored

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
        return sorted((file for file in self.path.iterdir() if file.suffix in BAG_SUFFIXES), key=natural_order)


def _first_sentence(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
