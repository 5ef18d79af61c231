# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What the perception node does in each lifecycle state; `perception.py` lists its topics."""

import ctypes
import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from vision_msgs.msg import LabelInfo

from tasktp_ros.errors import TaskError, TaskTPError
from tasktp_ros.msg import TaskCategories
from tasktp_ros.nodes import qos
from tasktp_ros.nodes.clock import node_time
from tasktp_ros.nodes.diagnostics import OK, WARN, explain_mismatches, status
from tasktp_ros.nodes.lifecycle import ManagedNode
from tasktp_ros.nodes.perception.camera import Camera, Frame, camera_topics, results_prefix
from tasktp_ros.nodes.perception.detection import DetectionService
from tasktp_ros.nodes.perception.loading import check_loading, load_detector, load_segmenter
from tasktp_ros.nodes.perception.parameters import LOADING, Settings, declare_settings, read_settings, refuse
from tasktp_ros.nodes.perception.results import label_info
from tasktp_ros.nodes.perception.task_follower import TaskFollower


class PerceptionNode(ManagedNode):
    """Detects what the task needs in the newest frame of each camera.

    Args:
        load: makes the detector from the settings.
        check: raises TaskTPError when changed settings, given by name, could not be loaded.
    """

    def __init__(
        self,
        load: Callable[[Settings], Any] = load_detector,
        check: Callable[[Settings, Sequence[str]], None] = check_loading,
    ) -> None:
        super().__init__("perception")
        self._load = load
        self._check_loading = check
        self._detector: Any = None
        self._task: TaskFollower | None = None
        self._cameras: list[Camera] = []
        self._names: dict[str, list[str]] = {}
        self._service: DetectionService | None = None
        self._segmentation: Any = None
        self._labels: Any = None
        self._task_subscription: Any = None
        declare_settings(self)
        self._settings = read_settings(self)
        self.add_on_set_parameters_callback(self._check_parameters)
        # Humble has no callback after the fact: there a change is applied when it has been checked.
        self._applies_after = hasattr(self, "add_post_set_parameters_callback")
        if self._applies_after:
            self.add_post_set_parameters_callback(self._apply_parameters)

    # Lifecycle

    def configure(self) -> None:
        """Load the model, warm it up, and make the topics."""
        settings = read_settings(self)
        reason = refuse(settings, (), self.state, None)
        if reason:
            raise TaskError(reason)
        self._names = camera_topics(self, settings.cameras)
        started = time.monotonic()
        self._detector = self._load(settings)
        _tune(self._detector, settings)
        self._task = TaskFollower(self._detector)
        self._task.set_default(settings.task_categories, settings.prune_threshold)
        self._detector.warm_up(480, 640)
        self._settings = settings
        for name in self._names:
            prefix = results_prefix(name) if len(self._names) > 1 else ""
            self._cameras.append(Camera(self, name, prefix, settings.transport, self._take))
        if settings.mode == "segment":
            several = len(self._names) > 1
            self._segmentation = load_segmenter(settings)
            prefixes = [(name, results_prefix(name) if several else "") for name in self._names]
            self._segmentation.open(self, prefixes, self.complaints.say)
        self._labels = self.create_lifecycle_publisher(LabelInfo, "label_info", qos.LATCHED)
        self._task_subscription = self.create_subscription(
            TaskCategories, "task_categories", self._receive_task, qos.LATCHED
        )
        self.get_logger().info(
            f"model {self._detector.label} on {self._detector.device} in {self._detector.precision}, "
            f"{len(self._detector.vocabulary)} categories, ready after {time.monotonic() - started:.1f} s"
        )

    def activate(self) -> None:
        """Start the worker, then listen to the cameras."""
        self._service = DetectionService(
            self._detector, self._cameras, lambda text: self.get_logger().error(text), self._segmentation
        )
        self._service.streams.enabled = self._settings.stream
        self._service.start()
        self._publish_labels()
        self._listen()

    def deactivate(self) -> None:
        """Stop listening, drop what waits, and let the frame in work end."""
        for camera in self._cameras:
            camera.ignore()
        service, self._service = self._service, None
        if service is not None:
            service.stop()

    def release(self) -> None:
        """Stop everything and give the memory back."""
        try:
            self.deactivate()
        finally:
            for camera in self._cameras:
                camera.close()
            self._cameras = []
            if self._segmentation is not None:
                self._segmentation.close()
            self._segmentation = None
            if self._labels is not None:
                self.destroy_lifecycle_publisher(self._labels)
            if self._task_subscription is not None:
                self.destroy_subscription(self._task_subscription)
            if self._detector is not None:
                self._detector.close()
            self._labels = self._task_subscription = self._task = self._detector = None
            _return_memory()

    # Input

    def _take(self, frame: Frame) -> None:
        stamp, health = frame.message.header.stamp, frame.camera.health
        health.frame_received(frame.received, stamp, node_time(self), self._settings.stale_after)
        if self._service is not None:
            self._service.take(frame)

    def _receive_task(self, message: TaskCategories) -> None:
        if self._task is None:
            return
        problem = self._task.follow(message)
        if problem:
            self.complaints.say(problem)
        else:
            self.get_logger().info(self._task.sentence())

    def _listen(self) -> None:
        for camera in self._cameras:
            if any(map(self._settings.enabled, self._names[camera.name])):
                camera.listen()
            else:
                camera.ignore()
                if self._service is not None:
                    self._service.forget(camera)

    # Parameters

    def _check_parameters(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        settings = read_settings(self, parameters)
        vocabulary = self._detector.vocabulary if self._detector is not None else None
        changed = [parameter.name for parameter in parameters]
        reason = refuse(settings, changed, self.state, vocabulary)
        if not reason and set(LOADING).intersection(changed):
            try:
                self._check_loading(settings, changed)
            except TaskTPError as error:
                reason = str(error)
        if not reason and not self._applies_after:
            self._apply(settings)
        return SetParametersResult(successful=not reason, reason=reason)

    def _apply_parameters(self, parameters: Sequence[Parameter]) -> None:
        self._apply(read_settings(self))

    def _apply(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        if self._detector is None or self._task is None:
            return
        _tune(self._detector, settings)
        if settings.categories != before.categories:
            self._task.set_default(settings.task_categories, settings.prune_threshold)
        elif settings.prune_threshold != before.prune_threshold:
            self._task.set_threshold(settings.prune_threshold)
        if self._service is not None:
            self._service.streams.enabled = settings.stream
        if self.active:
            self._listen()
            if settings.score_threshold != before.score_threshold:
                self._publish_labels()

    def _publish_labels(self) -> None:
        stamp = self.get_clock().now().to_msg()
        self._labels.publish(label_info(self._detector.vocabulary, self._settings.score_threshold, stamp))

    # Diagnostics

    def statuses(self) -> list[DiagnosticStatus]:
        """Return the model's, the task's and each camera's status."""
        if self._detector is None or self._task is None:
            return [status("model", OK, "no model loaded")]
        cameras = [camera.report(self._settings.no_frames_after) for camera in self._cameras]
        return [self._model_status(), self._task_status(), *cameras]

    def _model_status(self) -> DiagnosticStatus:
        detector = self._detector
        return status(
            "model",
            OK if detector.trained else WARN,
            detector.label,
            method=detector.method,
            device=detector.device,
            precision=detector.precision,
            execution=self._settings.execution,
            reach=detector.reach,
            vocabulary=f"{detector.vocabulary_name}, {len(detector.vocabulary)} categories",
        )

    def _task_status(self) -> DiagnosticStatus:
        assert self._task is not None
        topic = self.resolve_topic_name("task_categories")
        mismatches = explain_mismatches(self, topic, ["tasktp_ros/msg/TaskCategories"], qos.LATCHED)
        problems = [self._task.problem, *mismatches] if self._task.problem else mismatches
        if self._task.came_by_message and not self.count_publishers(topic):
            problems.append(f"nobody sends on {topic} any more: the last task stays")
        return status(
            "task",
            WARN if problems else OK,
            "; ".join([*problems, self._task.sentence()]),
            age_s=f"{self._task.age():.1f}",
            task_id=self._task.task.task_id,
            revision=self._task.task.revision,
            threshold=f"{self._task.task.threshold:g}",
        )


def _return_memory() -> None:
    """Give freed memory back to the system; glibc keeps it otherwise, and the robot's other nodes go without."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def _tune(detector: Any, settings: Settings) -> None:
    """Give a detector the settings that take effect from its next image on."""
    detector.score_threshold = settings.score_threshold
    detector.max_detections = settings.max_detections
    detector.reach = settings.reach or detector.card.reach
