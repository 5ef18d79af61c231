# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Results are published while the next frame is detected on: overlapping, in order, and never more than one behind."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_perception import FakeDetector
from harness import eventually
from sensor_msgs.msg import Image

from tasktp_ros.nodes.conversions import fill_image
from tasktp_ros.nodes.perception.camera import Frame
from tasktp_ros.nodes.perception.detection import DetectionService
from tasktp_ros.nodes.perception.health import CameraHealth

PATIENCE = 10


class Stations:
    """Where frames are on their way, by their numbers, and barriers that hold them up."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.published: list[tuple[str, int]] = []
        self.may_detect, self.may_publish = threading.Event(), threading.Event()
        self.may_detect.set()
        self.may_publish.set()
        self.lost: set[int] = set()

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.published]


class Publisher:
    """Publishes nothing and counts nobody."""

    def __init__(self, publish: Callable[[Any], None] = lambda message: None) -> None:
        self.publish = publish

    def get_subscription_count(self) -> int:
        return 0


class Camera:
    """Looks like a Camera from the service's side."""

    def __init__(self, name: str, stations: Stations) -> None:
        self.name, self.topic, self.health = name, f"/{name}", CameraHealth()
        self._stations = stations
        self.detections = Publisher(self._publish)
        self.pruning, self.instances, self.overlay, self.token_mask = (Publisher() for _ in range(4))

    def frame(self, number: int) -> Frame:
        message = fill_image(Image(), Image().header, "rgb8", np.full((4, 4, 3), number, np.uint8))
        message.header.stamp.sec = number
        return Frame(self, message, 0.0)  # type: ignore[arg-type]

    def _publish(self, message: Any) -> None:
        number = message.header.stamp.sec
        assert self._stations.may_publish.wait(PATIENCE)
        if number in self._stations.lost:
            raise OSError("the wire was cut")
        self._stations.published.append((self.name, number))


class Detector(FakeDetector):
    """Tells which frames it has begun with."""

    def __init__(self, stations: Stations) -> None:
        super().__init__("fake")
        self._stations = stations

    def detect(self, image: np.ndarray, arrival: Any = None) -> Any:
        self._stations.begun.append(int(image[0, 0, 0]))
        assert self._stations.may_detect.wait(PATIENCE)
        return super().detect(image)


@pytest.fixture
def stations() -> Stations:
    return Stations()


@pytest.fixture
def rig(stations: Stations) -> Iterator[SimpleNamespace]:
    """A running service with four cameras, and what it complained of."""
    cameras = [Camera(name, stations) for name in ("front", "left", "right", "rear")]
    complaints: list[str] = []
    service = DetectionService(Detector(stations), cameras, complaints.append)  # type: ignore[arg-type]
    service.start()
    yield SimpleNamespace(service=service, cameras=cameras, front=cameras[0], complaints=complaints)
    stations.may_detect.set()
    stations.may_publish.set()
    service.stop()


def test_the_next_frame_is_detected_on_while_the_last_one_is_still_being_published(stations, rig) -> None:
    stations.may_publish.clear()
    rig.service.take(rig.front.frame(1))
    eventually(lambda: stations.begun == [1], "the first frame is begun with")
    rig.service.take(rig.front.frame(2))
    eventually(lambda: stations.begun == [1, 2], "the second is begun with")
    assert stations.published == []
    stations.may_publish.set()
    eventually(lambda: stations.numbers == [1, 2], "both are published in order")


def test_one_result_waits_at_most_and_then_the_newest_frame_is_next(stations, rig) -> None:
    stations.may_publish.clear()
    for number in (1, 2):
        rig.service.take(rig.front.frame(number))
        eventually(lambda upto=number: stations.begun[-1:] == [upto], "it is begun with")
    eventually(lambda: rig.service._results._held, "the second result waits for its publisher")
    for number in (3, 4, 5):
        rig.service.take(rig.front.frame(number))
    assert rig.front.health.dropped == 2, "nothing is taken that would only grow old"
    assert stations.begun == [1, 2]
    stations.may_publish.set()
    eventually(lambda: stations.numbers == [1, 2, 5], "the newest frame came next")
    assert stations.begun == [1, 2, 5]


def test_four_cameras_are_served_in_turn_however_fast_one_of_them_is(stations, rig) -> None:
    stations.may_detect.clear()
    rig.service.take(rig.front.frame(1))
    eventually(lambda: stations.begun == [1], "the front camera is begun with")
    for number, camera in enumerate(rig.cameras, 2):
        rig.service.take(camera.frame(number))
    for number in range(10, 20):
        rig.service.take(rig.front.frame(number))
    stations.may_detect.set()
    eventually(lambda: len(stations.published) == 5, "every camera is answered")
    assert stations.published == [("front", 1), ("left", 3), ("right", 4), ("rear", 5), ("front", 19)]
    assert [camera.health.dropped for camera in rig.cameras] == [10, 0, 0, 0]


def test_an_exception_while_publishing_is_told_and_ends_nothing(stations, rig) -> None:
    stations.lost = {1}
    for number in (1, 2):
        rig.service.take(rig.front.frame(number))
        eventually(lambda upto=number: upto in stations.begun, "it is begun with")
    eventually(lambda: stations.numbers == [2], "the next frame is published")
    assert (rig.front.health.failed, rig.front.health.detected) == (1, 1)
    (complaint,) = rig.complaints
    assert complaint.startswith("results for a frame of /front were lost: the wire was cut")


def test_stopping_publishes_what_was_begun_with_and_drops_what_waits(stations, rig) -> None:
    stations.may_publish.clear()
    for number in (1, 2):
        rig.service.take(rig.front.frame(number))
        eventually(lambda upto=number: stations.begun[-1:] == [upto], "it is begun with")
    rig.service.take(rig.front.frame(3))
    stopping = threading.Thread(target=rig.service.stop)
    stopping.start()
    eventually(lambda: rig.service._frames.closed, "it was told to stop")
    stations.may_publish.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert stations.numbers == [1, 2] and stations.begun == [1, 2]
    rig.service.take(rig.front.frame(4))
    assert stations.begun == [1, 2]
