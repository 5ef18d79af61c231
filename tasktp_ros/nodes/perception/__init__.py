# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The perception node: camera images in, detections for the present task out.

Lifecycle node `perception`. Names are relative, so they can be namespaced and remapped. With several `cameras`, the
results of each are published below its topic's name, in the node's namespace: `<camera>/detections` and so on; `label_info`
exists once.

Subscribed
    image (sensor_msgs/Image or CompressedImage, parameter `cameras`): newest frame only, reliable unless a sender is best effort;
        where only `image/compressed` is sent, that is read.
    task_categories (tasktp_ros/TaskCategories): latched; what to look for, from the next frame on.
Published, each with the header of its image
    detections (vision_msgs/Detection2DArray): boxes in pixels of the image; an empty array when nothing was found.
    pruning (tasktp_ros/PruningStats): task, kept tokens per gate, times, dropped frames.
    instances (sensor_msgs/Image 16UC1): pixel k belongs to detection k-1, 0 to none; made while someone subscribes.
    token_mask (mono8), overlay (rgb8): drawn while someone subscribes, never in the way of detections.
    label_info (vision_msgs/LabelInfo): latched; the model's vocabulary.
    /diagnostics (diagnostic_msgs/DiagnosticArray)
Parameters: `config/perception.yaml`.
"""

# This module stays light and only starts the node: signals must be in hand before ROS and torch are imported.

from collections.abc import Sequence
from typing import Any

from tasktp_ros.nodes.process import run_node, shows_help


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM and return the exit status."""
    return 0 if shows_help(__doc__, args) else run_node(_create, args)


def _create() -> Any:
    from tasktp_ros.nodes.perception.node import PerceptionNode

    return PerceptionNode()
