# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Detections to messages, quickly: building a hundred nested messages anew costs more than publishing them.

Only the publishing thread builds messages, and each is published before the next is built, so they are filled again.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, LabelInfo, ObjectHypothesisWithPose, VisionClass

from tasktp_ros.msg import PruningStats
from tasktp_ros.nodes.conversions import fill_image

if TYPE_CHECKING:  # importing it loads torch, which only a configured node needs
    from tasktp_ros.runtime.detections import Detections


class ResultMessages:
    """Fills the messages of one frame; each call overwrites the message that the last call of its kind returned."""

    def __init__(self) -> None:
        self._array = Detection2DArray()
        self._pool: list[Detection2D] = []
        self._instances = Image()
        self._statistics = PruningStats()

    def detections(self, found: "Detections", header: Header) -> Detection2DArray:
        """Return the boxes in source pixels, highest score first, `class_id` the category's name.

        An empty result is an empty array. Every detection carries the image's header; `id` stays empty, it is for
        tracks.
        """
        corners = np.asarray(found.boxes, dtype=np.float64)
        sizes = (corners[:, 2:] - corners[:, :2]).tolist()
        centers = ((corners[:, 2:] + corners[:, :2]) / 2).tolist()
        scores = np.asarray(found.scores, dtype=np.float64).tolist()
        while len(self._pool) < len(scores):
            self._pool.append(Detection2D(results=[ObjectHypothesisWithPose()]))
        messages = self._pool[: len(scores)]
        for message, name, score, center, size in zip(messages, found.names, scores, centers, sizes, strict=True):
            message.header = header
            hypothesis = message.results[0].hypothesis
            hypothesis.class_id, hypothesis.score = name, score
            box = message.bbox
            box.center.position.x, box.center.position.y = center
            box.size_x, box.size_y = size
        self._array.header = header
        self._array.detections = messages
        return self._array

    def instances(self, found: "Detections", header: Header) -> Image:
        """Return the instance map: 16UC1, pixel k belongs to detection k-1, 0 to none."""
        return fill_image(self._instances, header, "16UC1", found.instance_map())

    def statistics(self, found: "Detections", header: Header, camera: str, model: str) -> PruningStats:
        """Return what the gates kept and how long each stage took; times and counts of the node are left to it."""
        message = self._statistics
        message.header = header
        message.camera, message.model = camera, model
        message.task_id, message.task_revision = found.task.task_id, found.task.revision
        message.categories = list(found.task.categories or ())
        message.prune_threshold, message.reach = found.task.threshold, found.reach
        message.total_tokens = found.total_tokens
        message.kept_tokens = list(found.kept_tokens)
        message.stage_names = list(found.timings)
        message.stage_milliseconds = list(found.timings.values())
        return message


def read_detections(message: Detection2DArray) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """Names, scores (D,) and boxes (D, 4) xyxy px of a message that :meth:`ResultMessages.detections` filled."""
    found = message.detections
    hypotheses = [one.results[0].hypothesis for one in found]
    middle = np.array([(one.bbox.center.position.x, one.bbox.center.position.y) for one in found]).reshape(-1, 2)
    half = np.array([(one.bbox.size_x, one.bbox.size_y) for one in found]).reshape(-1, 2) / 2
    scores = np.array([hypothesis.score for hypothesis in hypotheses], np.float32)
    boxes = np.hstack([middle - half, middle + half]).astype(np.float32)
    return [hypothesis.class_id for hypothesis in hypotheses], scores, boxes


def read_pixels(message: Image, kind: type) -> NDArray[Any]:
    """Pixels (H, W) of a message of one number of type `kind` per pixel, such as an instance map."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return np.ascontiguousarray(rows).view(kind)[:, : message.width].copy()


def label_info(vocabulary: tuple[str, ...], threshold: float, stamp: Any) -> LabelInfo:
    """Return the vocabulary as a message: the index of each name, and the score threshold in force."""
    return LabelInfo(
        header=Header(stamp=stamp),
        class_map=[VisionClass(class_id=index, class_name=name) for index, name in enumerate(vocabulary)],
        threshold=threshold,
    )
