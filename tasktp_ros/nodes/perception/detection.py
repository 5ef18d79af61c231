# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""One model for several cameras: the thread that detects, the thread that publishes, and the thread that draws.

While one frame's results are published the next frame is detected on already; a frame is taken only when the results before have
found their publisher, so the newest one counts and at most one result waits. Pictures are decoded where they are detected on:
decoded ahead, a frame would be older than the newest by the time its turn came.

Drawing happens only while someone looks, after the detections are out, and on its own thread with its own newest-frame
mailbox: a picture may be skipped, but it never delays a detection.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from tasktp_ros.errors import TaskTPError
from tasktp_ros.nodes.complaints import LONGEST, Complaints
from tasktp_ros.nodes.conversions import fill_image
from tasktp_ros.nodes.perception.camera import Camera, Frame
from tasktp_ros.nodes.perception.handover import Handover
from tasktp_ros.nodes.perception.mailbox import Mailbox
from tasktp_ros.nodes.perception.results import ResultMessages
from tasktp_ros.nodes.perception.segmentation import GoalSegmentation, Segmented
from tasktp_ros.nodes.perception.streams import CameraStreams
from tasktp_ros.nodes.perception.worker import Worker

if TYPE_CHECKING:  # importing it loads torch, which only a configured node needs
    from tasktp_ros.runtime.detections import Detections

STOP_AFTER = 10.0


@dataclass(frozen=True)
class Result:
    """A frame that was detected on; times are steady, in seconds."""

    frame: Frame
    pixels: NDArray[np.uint8]
    found: "Detections | Segmented"
    detect_time: float


@dataclass(frozen=True)
class Picture:
    """A finished frame that someone wants to look at."""

    camera: Camera
    header: Any
    pixels: NDArray[np.uint8]
    found: "Detections"


class DetectionService:
    """Detects on the newest frames of all cameras while it runs.

    Args:
        detector: a TaskDetector.
        cameras: served in turn.
        log_error: writes one line to the node's log.
        segmentation: in mode segment, what makes the masks of goals in words.

    Attributes:
        streams: of the cameras, for the parameter `stream`.
    """

    def __init__(
        self,
        detector: Any,
        cameras: Sequence[Camera],
        log_error: Callable[[str], object],
        segmentation: GoalSegmentation | None = None,
    ) -> None:
        names = [camera.name for camera in cameras]
        self._detector = detector
        self._segmentation = segmentation
        self._complaints = Complaints(log_error)
        self._messages = ResultMessages()
        self.streams = CameraStreams()
        self._frames: Mailbox[Frame] = Mailbox(names)
        self._pictures: Mailbox[Picture] = Mailbox(names)
        self._results: Handover[Result] = Handover()
        self._detecting = Worker("detector", self._frames, self._detect, self._detection_failed)
        self._publishing = Worker("publisher", self._results, self._publish, self._publishing_failed)
        self._drawing = Worker("drawer", self._pictures, self._draw, self._drawing_failed)
        self._workers = (self._detecting, self._publishing, self._drawing)  # in the order of a frame's way

    def start(self) -> None:
        """Start all threads."""
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Drop the frames that wait, and return when the one in work is detected on and published.

        Raises:
            RuntimeError: it was not done in ten seconds.
        """
        self._pictures.close()
        deadline = time.monotonic() + STOP_AFTER
        ended = [worker.stop(max(0.0, deadline - time.monotonic())) for worker in self._workers]
        if not all(ended):
            raise RuntimeError(f"a detection is still running {STOP_AFTER:g} s after it was told to stop")

    def take(self, frame: Frame) -> None:
        """Accept a frame; an older one of the same camera that still waits is dropped."""
        if self._frames.put(frame.camera.name, frame):
            frame.camera.health.dropped += 1

    def forget(self, camera: Camera) -> None:
        """Drop the waiting frame of a camera that is being disabled."""
        self._frames.discard(camera.name)

    def _detect(self, frame: Frame) -> None:
        pixels = frame.pixels()
        started = time.monotonic()
        goal = self._segmentation.goal() if self._segmentation is not None else None
        found: Detections | Segmented
        if self._segmentation is not None and goal is not None:
            found = self._segmentation.segment(pixels, goal)
        else:
            found = self._detector.detect(pixels, self.streams.arrival(frame))
        self._results.give(Result(frame, pixels, found, time.monotonic() - started))

    def _publish(self, result: Result) -> None:
        found, camera, header = result.found, result.frame.camera, result.frame.message.header
        if isinstance(found, Segmented):
            assert self._segmentation is not None
            self._segmentation.publish_mask(camera.name, header, found)
            self._publish_statistics(result, self._segmentation.statistics(found, header, camera.name))
            return
        camera.detections.publish(self._messages.detections(found, header))
        statistics = self._messages.statistics(found, header, camera.name, self._detector.label)
        self._publish_statistics(result, statistics)
        if camera.instances.get_subscription_count():
            camera.instances.publish(self._messages.instances(found, header))
        if camera.overlay.get_subscription_count() or camera.token_mask.get_subscription_count():
            self._pictures.put(camera.name, Picture(camera, header, result.pixels, found))

    def _publish_statistics(self, result: Result, statistics: Any) -> None:
        camera = result.frame.camera
        latency = time.monotonic() - result.frame.received
        camera.health.frame_detected(result.detect_time, latency)
        statistics.detect_milliseconds = result.detect_time * 1000
        statistics.latency_milliseconds = latency * 1000
        statistics.frames, statistics.dropped_frames = camera.health.detected, camera.health.dropped
        camera.pruning.publish(statistics)

    def _detection_failed(self, frame: Frame, error: Exception) -> None:
        self._frame_failed(frame, f"no detections for a frame of {frame.camera.topic}", error)

    def _publishing_failed(self, result: Result, error: Exception) -> None:
        self._frame_failed(result.frame, f"results for a frame of {result.frame.camera.topic} were lost", error)

    def _frame_failed(self, frame: Frame, what: str, error: Exception) -> None:
        reason = " ".join(str(error).split()) or type(error).__name__
        frame.camera.health.frame_failed(reason[:LONGEST])
        details = "" if isinstance(error, TaskTPError) else "".join(traceback.format_exception(error))
        self._complaints.say(f"{what}: {reason}", details)

    def _draw(self, picture: Picture) -> None:
        camera = picture.camera
        if camera.token_mask.get_subscription_count():
            mask = picture.found.token_mask_image()
            camera.token_mask.publish(fill_image(Image(), picture.header, "mono8", mask))
        if camera.overlay.get_subscription_count():
            from tasktp_ros.runtime.drawing import draw_overlay

            drawn = draw_overlay(picture.pixels, picture.found)
            camera.overlay.publish(fill_image(Image(), picture.header, "rgb8", drawn))

    def _drawing_failed(self, picture: Picture, error: Exception) -> None:
        details = "".join(traceback.format_exception(error))
        self._complaints.say(f"cannot draw a frame of {picture.camera.topic}: {error}", details)
