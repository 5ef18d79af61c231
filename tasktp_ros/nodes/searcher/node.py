# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Looks for one object through the ROS graph, by the same rules as the offline search (`evaluation.search`).

The searcher answers every image on `search_steps`; a player in lock step waits for that answer, so the walk begins when the
task is in force and ends when the object is located. One image every three seconds of stamps counts, the others are
only answered.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from tasktp_ros.datasets import records
from tasktp_ros.datasets.scannet.labels import TABLE, read_label_map
from tasktp_ros.datasets.scannet.layout import RATE
from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.errors import DataError, TaskError
from tasktp_ros.evaluation.search.criteria import CRITERIA
from tasktp_ros.evaluation.search.protocol import StepResult, follow, judge
from tasktp_ros.evaluation.search.steps import FRAMES_PER_STEP, Sight, look, step_frames
from tasktp_ros.files import check_file
from tasktp_ros.msg import PruningStats, SearchStatus, TaskCategories, TaskGoal
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.perception.results import read_detections, read_pixels
from tasktp_ros.nodes.player.book import quantiles
from tasktp_ros.nodes.player.node import write_json
from tasktp_ros.nodes.program import read_parameters, run_program, spin_once
from tasktp_ros.runtime.default import DEFAULT_VOCABULARY
from tasktp_ros.runtime.vocabularies import find_vocabulary
from tasktp_ros.tasks.vocabulary import VOCABULARIES

MOST_HEARD = 100
STEP_NS = round(FRAMES_PER_STEP / RATE * records.NANOSECONDS)
PARAMETERS: dict[str, tuple[Any, str]] = {
    "target": ("", "category to search for; required"),
    "goal_id": ("search", "name of the task goal that is sent for it"),
    "narrow": (True, "send that goal; false leaves the detector looking for everything"),
    "scan": ("", "scan folder whose label pictures say where the object is; empty = unknown, as on a robot"),
    "labels": ("", f"label table; empty = {TABLE} two folders above the scan"),
    "vocabulary": (
        DEFAULT_VOCABULARY,
        f"vocabulary of the detector: one of {', '.join(VOCABULARIES)}, or the file of its model, which brings its own",
    ),
    "criterion": ("", f"when it is located: {', '.join(CRITERIA)}; empty = verified with a scan, else claimed"),
    "wait": (60.0, "seconds to wait for the task to come into force, for perception, and while nobody sends images"),
    "summary": ("", "file that gets the result as JSON; empty = only the log"),
}


@dataclass(frozen=True)
class Settings:
    """The node's parameters, checked."""

    target: str
    goal_id: str
    narrow: bool
    scan: str
    labels: str
    vocabulary: str
    criterion: str
    wait: float
    summary: str

    @staticmethod
    def of(node: Node) -> "Settings":
        """Declare and read the parameters.

        Raises:
            TaskTPError: says which one is wrong.
        """
        settings = Settings(**read_parameters(node, PARAMETERS))
        try:
            name, categories = find_vocabulary(settings.vocabulary)
        except TaskError as error:
            raise DataError(f"parameter vocabulary is {settings.vocabulary!r}: {error}") from error
        if settings.target not in categories:
            raise DataError(
                f"parameter target is {settings.target!r}: expected a category of {name}, such as {categories[0]}"
            )
        criterion = settings.criterion or ("verified" if settings.scan else "claimed")
        if criterion not in CRITERIA:
            raise DataError(f"parameter criterion is {criterion!r}: expected one of {', '.join(CRITERIA)}")
        if criterion != "claimed" and not settings.scan:
            raise DataError(f"the criterion {criterion!r} needs to know where the object is: set the parameter scan")
        if settings.summary:
            check_file(Path(settings.summary))
        return replace(settings, criterion=criterion)


def search(args: Sequence[str] | None, stop: threading.Event) -> int:
    """Run the node until the search is over or `stop` is set."""

    def work(node: Node, executor: SingleThreadedExecutor) -> int:
        settings = Settings.of(node)
        return Searcher(node, executor, settings, sights_of(settings), stop).run()

    return run_program("searcher", args, work)


def sights_of(settings: Settings) -> list[Sight] | None:
    """What can be seen on each image of the walk; None where nobody knows.

    Raises:
        DataError: a scan without label pictures, or whose table does not map onto the vocabulary.
    """
    if not settings.scan:
        return None
    scan = Scan(Path(settings.scan).absolute())
    table = Path(settings.labels) if settings.labels else scan.folder.parents[1] / TABLE
    labels = read_label_map(table, find_vocabulary(settings.vocabulary)[1]).of_grade("A")
    with scan.open() as recording:
        return [look(scan, frame, labels) for frame in step_frames(len(recording))]


@dataclass
class Heard:
    """What has arrived for one image; `times` are arrivals in seconds of one clock."""

    detections: Detection2DArray | None = None
    instances: Image | None = None
    pruning: PruningStats | None = None
    image_at: float | None = None
    detections_at: float | None = None

    @property
    def complete(self) -> bool:
        """Everything that a verdict needs is there."""
        return not (self.detections is None or self.instances is None or self.pruning is None)


@dataclass(frozen=True)
class Seen:
    """A detector's result as messages tell it: a `protocol.Result`."""

    names: list[str]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    instances: NDArray[np.uint16]

    @staticmethod
    def of(detections: Detection2DArray, instances: Image) -> "Seen":
        """Read both messages of one image."""
        return Seen(*read_detections(detections), read_pixels(instances, np.uint16))

    def instance_map(self) -> NDArray[np.uint16]:
        """(H, W) uint16: pixel k belongs to detection k - 1, 0 to none."""
        return self.instances


class Searcher:
    """One search."""

    def __init__(
        self,
        node: Node,
        executor: SingleThreadedExecutor,
        settings: Settings,
        sights: list[Sight] | None,
        stop: threading.Event,
    ) -> None:
        self.node, self.executor, self.settings, self.sights, self.stop = node, executor, settings, sights, stop
        self.steps: list[StepResult] = []
        self.latencies: list[float] = []
        self.other_tasks = 0
        self.finished = False
        self._sender_seen = 0.0
        self._heard: dict[int, Heard] = defaultdict(Heard)
        self._first_ns: int | None = None
        self._task: list[str] | None = None
        self._answers: Any = None  # until the task is in force, images are none of ours
        self._goals = node.create_publisher(TaskGoal, "task_goal", qos.GOALS)
        self._result = node.create_publisher(SearchStatus, "search_result", qos.LATCHED)
        node.create_subscription(TaskCategories, "task_categories", self._on_task, qos.LATCHED)
        overrides = QoSOverridingOptions.with_default_policies()
        self._images = node.create_subscription(
            Image, "image", self._on_image, qos.camera(), raw=True, qos_overriding_options=overrides
        )
        node.create_subscription(Detection2DArray, "detections", self._on_detections, qos.RESULTS)
        node.create_subscription(Image, "instances", self._on_instances, qos.IMAGES)
        node.create_subscription(PruningStats, "pruning", self._on_pruning, qos.RESULTS)

    def run(self) -> int:
        """Search and report; the exit status, 1 where the search could not begin or go on."""
        target, log = self.settings.target, self.node.get_logger()
        problem = ""
        if not self._ask_for_target():
            problem = f"no task for {target} came into force within {self.settings.wait} s: is the task manager active?"
        elif not self._spin(self._looked_at, self.settings.wait):
            problem = f"nobody looks at images after {self.settings.wait} s: is perception active?"
        if self.stop.is_set():
            return 0
        if problem:
            log.error(problem)
            return 1
        self._spin(lambda: False, qos.SETTLE_SECONDS)  # perception learns of the task when we do, give or take a moment
        self._answers = self.node.create_publisher(SearchStatus, "search_steps", qos.RESULTS)
        self._sender_seen = time.monotonic()
        log.info(f"searching for {target}, located when {self.settings.criterion}")
        self._spin(lambda: self.finished or self._left_alone(), float("inf"))
        self._end_goal()
        written = self._report()
        if self.finished or self.stop.is_set():
            return 0 if written else 2
        log.error(
            f"the search has no end: for {self.settings.wait} s nobody has sent images on {self._images.topic_name}"
        )
        return 1

    def _ask_for_target(self) -> bool:
        """Send the goal until it is in force; every new sender is met by a new goal, the same one each time."""
        if not self.settings.narrow:
            return True
        goal = TaskGoal(id=self.settings.goal_id, categories=[self.settings.target], action=TaskGoal.START)
        deadline = time.monotonic() + self.settings.wait
        while self._task != [self.settings.target] and time.monotonic() < deadline and not self.stop.is_set():
            if self._goals.get_subscription_count():
                self._goals.publish(goal)
            self._spin(lambda: self._task == [self.settings.target], 1.0)
        return self._task == [self.settings.target]

    def _left_alone(self) -> bool:
        """Whether nobody has offered images for longer than is waited for."""
        now = time.monotonic()
        if self.node.count_publishers(self._images.topic_name):  # of any quality: perception sees what we may not
            self._sender_seen = now
        return now - self._sender_seen > self.settings.wait

    def _looked_at(self) -> bool:
        """Whether a node that publishes `pruning` subscribes to the camera: an image sent earlier gets no answer."""
        eyes = {(end.node_namespace, end.node_name) for end in self.node.get_publishers_info_by_topic("pruning")}
        lookers = self.node.get_subscriptions_info_by_topic("image")
        return any((end.node_namespace, end.node_name) in eyes for end in lookers)

    def _end_goal(self) -> None:
        if self.settings.narrow:
            self._goals.publish(TaskGoal(id=self.settings.goal_id, action=TaskGoal.CANCEL))
        self._spin(lambda: False, qos.SETTLE_SECONDS)

    def _on_task(self, message: TaskCategories) -> None:
        self._task = list(message.names)

    def _on_image(self, record: bytes) -> None:
        self._heard[records.record_stamp(record)].image_at = time.monotonic()
        while len(self._heard) > MOST_HEARD:  # images that were never answered: perception looks at the newest only
            del self._heard[next(iter(self._heard))]

    def _on_detections(self, message: Detection2DArray) -> None:
        heard = self._heard[stamp_of(message)]
        heard.detections, heard.detections_at = message, time.monotonic()
        self._look(message)

    def _on_instances(self, message: Image) -> None:
        self._heard[stamp_of(message)].instances = message
        self._look(message)

    def _on_pruning(self, message: PruningStats) -> None:
        self._heard[stamp_of(message)].pruning = message
        self._look(message)

    def _look(self, message: Any) -> None:
        """Judge an image once all its messages are there."""
        stamp_ns = stamp_of(message)
        if self.finished or not self._heard[stamp_ns].complete:
            return
        heard = self._heard.pop(stamp_ns)
        if self._answers is None:
            return
        self._first_ns = stamp_ns if self._first_ns is None else self._first_ns
        if stamp_ns - self._first_ns >= len(self.steps) * STEP_NS:
            try:
                self._judge(heard)
            except (ValueError, IndexError, TypeError) as error:
                self.node.get_logger().error(
                    f"image {len(self.steps)} was passed over, its results cannot be read: {error}"
                )
        if not self.finished:
            self._answers.publish(self._status(message.header))
            return
        self._result.publish(self._status(message.header))

    def _judge(self, heard: Heard) -> None:
        assert heard.detections is not None and heard.instances is not None and heard.pruning is not None
        stats, number = heard.pruning, len(self.steps)
        if self.settings.narrow and list(stats.categories) != [self.settings.target]:
            self.other_tasks += 1
            self.node.get_logger().warning(f"image {number} was looked at for another task: {list(stats.categories)}")
        known = self.sights is not None and number < len(self.sights)
        sight = self.sights[number] if self.sights is not None and known else Sight({})
        stages = dict(zip(stats.stage_names, stats.stage_milliseconds, strict=True))
        milliseconds = float(stages.get("total", stats.detect_milliseconds) - stages.get("preprocess", 0.0))
        kept = [count / max(1, stats.total_tokens) for count in stats.kept_tokens]
        step = judge(Seen.of(heard.detections, heard.instances), self.settings.target, sight, milliseconds, kept)
        self.steps.append(step)
        if heard.image_at is not None and heard.detections_at is not None:
            self.latencies.append(1000.0 * (heard.detections_at - heard.image_at))
        located = bool(getattr(step, self.settings.criterion))
        self.finished = located or (self.sights is not None and len(self.steps) >= len(self.sights))

    def _status(self, header: Any) -> SearchStatus:
        outcome = follow(self.steps, self.settings.criterion)
        return SearchStatus(
            header=header,
            goal_id=self.settings.goal_id,
            category=self.settings.target,
            runs=outcome.runs,
            false_alarms=outcome.false_alarms if self.sights is not None else 0,
            claimed=bool(self.steps and self.steps[-1].claimed),
            located=outcome.found,
            finished=self.finished,
        )

    def _report(self) -> bool:
        outcome = follow(self.steps, self.settings.criterion)
        where = f"located on image {outcome.runs}" if outcome.found else f"not located on {outcome.runs} images"
        latency = quantiles(self.latencies)
        self.node.get_logger().info(f"{self.settings.target} {where}, {outcome.false_alarms} false alarms, "
                                    f"{outcome.milliseconds:.1f} ms detecting, node to node {latency['median']} ms")  # fmt: skip
        if self.settings.summary:
            content = asdict(outcome) | {
                "category": self.settings.target,
                "scan": Path(self.settings.scan).name,
                "criterion": self.settings.criterion,
                "located_frame": (outcome.runs - 1) * FRAMES_PER_STEP if outcome.found else None,
                "finished": self.finished,
                "other_tasks": self.other_tasks,
                "latency_milliseconds": latency,
                "steps": [asdict(step) for step in self.steps],
            }
            return write_json(self.node, Path(self.settings.summary), json.loads(json.dumps(content)))
        return True

    def _spin(self, done: Callable[[], bool], seconds: float) -> bool:
        """Handle what arrives until `done()`, the time is over or a signal came; whether it is done."""
        deadline = time.monotonic() + seconds
        while not done() and not self.stop.is_set() and time.monotonic() < deadline:
            spin_once(self.node, self.executor)
        return done()


def stamp_of(message: Any) -> int:
    """Header stamp of a message in nanoseconds."""
    return int(message.header.stamp.sec) * records.NANOSECONDS + int(message.header.stamp.nanosec)
