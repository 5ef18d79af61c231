# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Task-oriented token pruning for object detection on robots.

A robot's task needs few categories; :class:`TaskDetector` is told which, and gets faster the fewer they are.
Importing this package needs neither ROS nor a GPU and loads no model code until it is used.
"""

from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

# The messages are generated into the install space (tasktp_ros/msg) while the code may be run from a checkout:
# both folders are one package.
__path__ = extend_path(__path__, __name__)

if TYPE_CHECKING:
    from tasktp_ros.runtime.detections import Detections
    from tasktp_ros.runtime.task_detector import TaskDetector

__version__ = "0.1.0"
__all__ = ["Detections", "TaskDetector", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the public classes when they are first used, so that `tasktp --help` and the messages stay light."""
    if name == "TaskDetector":
        from tasktp_ros.runtime.task_detector import TaskDetector

        return TaskDetector
    if name == "Detections":
        from tasktp_ros.runtime.detections import Detections

        return Detections
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
