# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The `player` program: replays a bag, folder, video or camera, by default in lock step with the detections that come back.

Signals are caught before anything slow is imported, so that stopping is clean at every stage.
"""

from collections.abc import Sequence

from tasktp_ros.nodes.process import shows_help, stopping


def main(args: Sequence[str] | None = None) -> int:
    """Play until the source ends or SIGINT/SIGTERM; 0 done, 1 nobody to play for, 2 bad parameters or source."""
    if shows_help(__doc__, args):
        return 0
    stop = stopping()
    from tasktp_ros.nodes.player.node import play

    return play(args, stop)
