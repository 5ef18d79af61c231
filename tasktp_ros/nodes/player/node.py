# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Publishes the frames of a source as a camera would, and keeps books of the detections that answer.

Lock step makes a replay repeatable on any machine: the next frame leaves when the result of the last has arrived, so
no frame is dropped and scores do not depend on speed. A rate instead behaves like a real camera.
"""

import importlib
import json
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from tasktp_ros.datasets import records
from tasktp_ros.datasets.frame import Frame, FrameSource
from tasktp_ros.datasets.frames import open_source
from tasktp_ros.datasets.problems import Problems
from tasktp_ros.errors import DataError, InputError
from tasktp_ros.files import check_file, refusal, replacing
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.names import topic_name
from tasktp_ros.nodes.player.book import ReplayBook, SentFrame
from tasktp_ros.nodes.program import SPIN_SECONDS, read_parameters, run_program, spin_once

STAMPS = ("unique", "source", "now")

PARAMETERS: dict[str, tuple[Any, str]] = {
    "source": ("", "rosbag2 folder or file, folder of images, video, or camera such as camera:0 to play; required"),
    "source_topic": ("", "image topic of a bag that has several; empty = the only colour one"),
    "rate": (0.0, "frames per second; 0 = lock step: the next frame follows the result of the last"),
    "topic": ("image", "topic the frames are published on, sensor_msgs/Image"),
    "decode": (True, "decode compressed images; false republishes them untouched on <topic>/compressed"),
    "results": ("detections", "topic whose messages answer the frames, paired by header stamp"),
    "results_type": ("vision_msgs/msg/Detection2DArray", "type of the answers; any message that begins with a header"),
    "timeout": (10.0, "seconds to wait for a result in lock step, and for the last ones at the end"),
    "wait": (60.0, "seconds to wait for subscribers (and in lock step a publisher of results) before the first frame"),
    "subscribers": (1, "how many subscribers to wait for: what is sent before one is connected never reaches it"),
    "stamps": (
        "unique",
        "unique = the source's, moved where one repeats; source = untouched; now = time of publishing",
    ),
    "every": (1, "play every so many frames: 90 of a 30 Hz recording are one per 3 s"),
    "loop": (False, "start a recording again at its end, until stopped"),
    "stop_after": (0, "frames to play at most; 0 = all"),
    "seconds": (0.0, "seconds to play at most, from the first frame on; 0 = all"),
    "summary": ("", "file that gets the summary as JSON; empty = only the log"),
}


@dataclass(frozen=True)
class Settings:
    """The node's parameters, checked."""

    source: str
    source_topic: str
    rate: float
    topic: str
    decode: bool
    results: str
    results_type: str
    timeout: float
    wait: float
    subscribers: int
    stamps: str
    every: int
    loop: bool
    stop_after: int
    seconds: float
    summary: str

    @staticmethod
    def of(node: Node) -> "Settings":
        """Declare and read the parameters; a TaskTPError says which one is wrong."""
        values = read_parameters(node, PARAMETERS)
        for name in ("every", "subscribers"):
            if values[name] < 1:
                raise DataError(f"parameter {name} is {values[name]}: expected 1 or more")
        for name in ("topic", "results"):
            try:
                topic_name(values[name])
            except InputError as error:
                raise DataError(f"parameter {name}: {error}") from error
        if values["stamps"] not in STAMPS:
            raise DataError(f"parameter stamps is {values['stamps']!r}: expected one of {', '.join(STAMPS)}")
        if not values["source"]:
            raise DataError("parameter source is empty: expected a bag, folder of images, video or camera")
        if values["summary"]:
            check_file(Path(values["summary"]))
        return Settings(**values)


def play(args: Sequence[str] | None, stop: threading.Event) -> int:
    """Run the node until its source ends or `stop` is set."""

    def work(node: Node, executor: SingleThreadedExecutor) -> int:
        settings = Settings.of(node)
        with open_source(settings.source, topic=settings.source_topic or None, live=True) as source:
            return Player(node, executor, settings, source, stop).run()

    return run_program("player", args, work)


class Player:
    """One replay of one source."""

    def __init__(
        self,
        node: Node,
        executor: SingleThreadedExecutor,
        settings: Settings,
        source: FrameSource,
        stop: threading.Event,
    ) -> None:
        self.node, self.executor, self.settings, self.source, self.stop = node, executor, settings, source, stop
        self.book = ReplayBook()
        self.stamper = Stamper(settings.stamps)
        first = self._first_frame()
        compressed = first.message_type == records.COMPRESSED_IMAGE and not settings.decode
        self.topic = f"{settings.topic}/compressed" if compressed else settings.topic
        self.message_type = records.COMPRESSED_IMAGE if compressed else records.IMAGE
        self.publisher = node.create_publisher(message_class(self.message_type), self.topic, qos.IMAGES)
        self.subscription = node.create_subscription(
            message_class(settings.results_type), settings.results, self._on_result, qos.RESULTS, raw=True
        )

    def run(self) -> int:
        """Play everything and report; the exit status: 1 nobody to play for, 2 nothing could be played or written down."""
        log = self.node.get_logger()
        mode = f"at {self.settings.rate} Hz" if self.settings.rate else "in lock step"
        log.info(f"playing {self.source.description} on {self.publisher.topic_name} {mode}")
        missing = self._wait_for_partners()
        if missing:
            if not self.stop.is_set():
                log.error(missing)
            return 0 if self.stop.is_set() else 1
        with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
            frames = self._frames()
            upcoming = reader.submit(next, frames, None)
            while (ready := upcoming.result()) is not None and not self.stop.is_set():
                if not self.source.live:
                    upcoming = reader.submit(next, frames, None)
                self._play_one(*ready)
                if self._over():
                    break
                if self.source.live:
                    self._wait_for_turn()
                    upcoming = reader.submit(next, frames, None)
        self._wait(lambda: not self.book.open_frames, self.settings.timeout)
        return self._report()

    def _play_one(self, frame: Frame, record: bytes, passes: int) -> None:
        self._wait_for_turn()
        stamp_ns = self.stamper.stamp(frame.stamp_ns, passes)
        if stamp_ns != records.record_stamp(record):
            record = records.with_stamp(record, stamp_ns)
        sent = self.book.sent(stamp_ns, frame.frame_id, time.monotonic())
        self.publisher.publish(record)
        if not self.settings.rate:
            self._wait_for_result(sent)

    def _wait_for_turn(self) -> None:
        if self.settings.rate and self.book.frames:
            due = self.book.frames[0].sent_at + len(self.book.frames) / self.settings.rate
            self._wait(lambda: time.monotonic() >= due, due - time.monotonic())

    def _over(self) -> bool:
        played = time.monotonic() - self.book.frames[0].sent_at
        return bool(self.settings.seconds) and played >= self.settings.seconds

    def _wait_for_result(self, sent: SentFrame) -> None:
        answered = self._wait(lambda: sent.received_at is not None, self.settings.timeout)
        if not answered and not self.stop.is_set():
            self.book.give_up(sent)
            self.node.get_logger().warning(
                f"no result for frame {sent.number} (stamp {sent.stamp_ns} ns) in {self.settings.timeout} s: going on"
            )

    def _frames(self) -> Iterator[tuple[Frame, bytes, int]]:
        """Frames, their messages and how often the source was started again; runs in the reader's thread."""
        played = 0
        passes, first_pass = 0, list[str]()
        while True:
            before = played
            for frame in self._readable():
                if frame.index % self.settings.every:
                    continue
                try:
                    shown = frame.decoded() if self.message_type == records.IMAGE else frame
                    yield shown, shown.record, passes
                except DataError as error:
                    self.source.problems.append(f"frame {frame.index} was skipped: {error}")
                    continue
                except struct.error:
                    late = f"its stamp, {frame.stamp_ns} ns, does not fit into a message"
                    self.source.problems.append(f"frame {frame.index} was skipped: {late}")
                    continue
                played += 1
                if self.stop.is_set() or played == self.settings.stop_after:
                    return
            if not self.settings.loop or self.source.live or played == before:
                return
            passes += 1
            first_pass = first_pass or list(self.source.problems)
            self.source.problems = Problems(first_pass)  # the same in every pass

    def _readable(self) -> Iterator[Frame]:
        """The source's frames up to where it can be read; a stick may be pulled out."""
        try:
            yield from self.source
        except OSError as error:
            self.source.problems.append(f"{self.source.description} ends here: {refusal(error)}")

    def _first_frame(self) -> Frame:
        known = list(self.source.problems)
        first = next(iter(self.source), None)
        if first is None:
            raise self.source.nothing_readable()
        self.source.problems = Problems(known)
        return first

    def _wait_for_partners(self) -> str:
        """Wait for those who see the frames and answer them; what is missing in the end, or nothing."""

        def missing() -> str:
            connected, wanted = self.publisher.get_subscription_count(), self.settings.subscribers
            if connected < wanted:
                few = "nobody subscribes" if not connected else f"{connected} of {wanted} subscribe"
                topic = self.publisher.topic_name
                asked = {end.topic_type for end in self.node.get_subscriptions_info_by_topic(topic)}
                other = " and ".join(sorted(asked - {self.message_type}))
                return f"{few} to {topic}" + (f" as {self.message_type} ({other} is asked for)" if other else "")
            if not self.settings.rate and not qos.connected_publishers(self.node, self.subscription):
                return f"nobody publishes {self.subscription.topic_name}, which lock step waits for"
            return ""

        if not self._wait(lambda: not missing(), self.settings.wait):
            return f"{missing()} after {self.settings.wait} s" if missing() else ""
        self._wait(lambda: False, qos.SETTLE_SECONDS)
        answering = qos.connected_publishers(self.node, self.subscription)
        if answering > 1:
            self.node.get_logger().warning(
                f"{answering} nodes publish {self.subscription.topic_name}: is another launch still running?"
            )
        return ""

    def _wait(self, done: Any, seconds: float) -> bool:
        """Handle arriving messages until `done()`, the time is over or a signal came."""
        deadline = time.monotonic() + seconds
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or self.stop.is_set():
                return False
            spin_once(self.node, self.executor, min(left, SPIN_SECONDS))
        return True

    def _on_result(self, record: bytes) -> None:
        now = time.monotonic()
        try:
            stamp_ns, frame_id = records.record_header(record)
        except (struct.error, UnicodeDecodeError):
            self.book.foreign += 1
            return
        self.book.received(stamp_ns, frame_id, now)

    def _report(self) -> int:
        problems = list(self.source.problems)
        summary = {
            "source": str(self.source.path),
            "mode": "rate" if self.settings.rate else "lock step",
            "rate": self.settings.rate,
            "stopped_early": self.stop.is_set(),
            "restamped": self.stamper.moved,
            "problems": problems,
            **self.book.summary(),
        }
        for problem in problems[:20]:
            self.node.get_logger().warning(problem)
        latency = summary["latency_milliseconds"]
        speed = f", latency median {latency['median']:.1f} ms, p95 {latency['p95']:.1f} ms" if latency["median"] else ""
        self.node.get_logger().info(
            f"{summary['frames_sent']} frames sent, {summary['results_received']} results, {summary['lost']} without, "
            f"order {'kept' if summary['order_kept'] else 'BROKEN'}, headers "
            f"{'equal' if summary['headers_equal'] else 'DIFFERENT'}, {summary['frames_per_second']} frames/s{speed}"
        )
        written = not self.settings.summary or write_json(self.node, Path(self.settings.summary), summary)
        if not self.book.frames and not self.stop.is_set():
            self.node.get_logger().error(f"no frame of {self.source.description} could be played")
            return 2
        return 0 if written else 2


class Stamper:
    """Gives frames the stamps they are published with, so that results can be paired with them (see STAMPS)."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.moved = 0
        self._used: set[int] = set()
        self._offset = 0
        self._passes = 0
        self._last = 0
        self._step = records.NANOSECONDS // 10

    def stamp(self, source_ns: int, passes: int = 0) -> int:
        """The stamp in nanoseconds of a frame whose own is `source_ns`, in the source's first or a later pass."""
        if self.mode == "source":
            return source_ns
        if passes != self._passes:
            self._passes = passes
            self._offset += max(self._used) - min(self._used) + self._step
            self._used = {self._last}
        stamp = time.time_ns() if self.mode == "now" else source_ns + self._offset
        if self.mode == "unique" and (stamp in self._used or not 0 < stamp <= records.LATEST_STAMP):
            self.moved += 1
            stamp = max(self._last, 0) + 1
        while stamp in self._used:
            stamp += 1
        self._used.add(stamp)
        self._last = stamp
        return stamp


def message_class(name: str) -> Any:
    """The class of a message type that begins with a header, such as "sensor_msgs/msg/Image", or is one; DataError for others."""
    try:
        package, _, kind = name.split("/")
        found = getattr(importlib.import_module(f"{package}.msg"), kind)
        fields = list(found.get_fields_and_field_types())
    except (ValueError, ImportError, AttributeError) as error:
        raise DataError(f"message type {name!r} is not installed: expected package/msg/Name") from error
    if fields[:1] != ["header"] and name != "std_msgs/msg/Header":
        raise DataError(f"message type {name!r} does not begin with a header, by which answers are told apart")
    return found


def write_json(node: Node, path: Path, content: dict[str, Any]) -> bool:
    """Write a JSON file beside its place, then move it there; whether that went well, or why not in the log."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_text(json.dumps(content, indent=1) + "\n")
    except OSError as error:
        node.get_logger().error(f"the summary {path} cannot be written: {refusal(error)}")
        return False
    return True
