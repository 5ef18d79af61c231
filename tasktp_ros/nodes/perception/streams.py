# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""One stream per camera while the parameter `stream` is on: each follows what its own camera's last frame kept."""

from typing import TYPE_CHECKING

from tasktp_ros.nodes.perception.camera import Frame

if TYPE_CHECKING:  # importing it loads torch, which only a configured node needs
    from tasktp_ros.runtime.stream import Arrival, TokenStream


class CameraStreams:
    """The streams of a node's cameras, all new whenever it is activated.

    Attributes:
        enabled: settable at any time; streams begin anew when it has been off.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._streams: dict[str, TokenStream] = {}

    def arrival(self, frame: Frame) -> "Arrival | None":
        """Place of a frame in its camera's stream; None while streams are off. Frames without a stamp go by their arrival."""
        if not self.enabled:
            self._streams.clear()
            return None
        from tasktp_ros.runtime.stream import TokenStream

        stamp = frame.message.header.stamp
        stream = self._streams.setdefault(frame.camera.name, TokenStream())
        return stream.at(stamp.sec + stamp.nanosec / 1e9 or frame.received)
