# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The `searcher` program: asks for one object, decides on which image it is located, and says so.

Topics (relative): `task_goal`, `search_steps` and `search_result` out; `task_categories`, `image`, `detections`, `instances`
and `pruning` in. Signals are caught before anything slow is imported, so that stopping is clean at every stage.
"""

from collections.abc import Sequence

from tasktp_ros.nodes.process import shows_help, stopping


def main(args: Sequence[str] | None = None) -> int:
    """Search until the object is located, the walk ends or SIGINT/SIGTERM; 0 over, 1 nobody answers, 2 bad parameters."""
    if shows_help(__doc__, args):
        return 0
    stop = stopping()
    from tasktp_ros.nodes.searcher.node import search

    return search(args, stop)
