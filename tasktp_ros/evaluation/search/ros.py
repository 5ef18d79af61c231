# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The search through the ROS graph without `ros2 launch`: starts the processes that the launch file starts."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasktp_ros.datasets.scannet.scan import Scan
from tasktp_ros.errors import ProcessError
from tasktp_ros.evaluation.processes import Nodes, own_graph
from tasktp_ros.evaluation.search.steps import FRAMES_PER_STEP, step_frames

START_SECONDS = 120.0
FRAME_SECONDS = 30.0
"""How long the nodes may take to come up, and one image to be answered."""


def search_in_ros(
    scan: Scan,
    table: Path,
    target: str,
    perception: Mapping[str, Any],
    vocabulary: str,
    narrow: bool,
    criterion: str,
    folder: Path,
) -> dict[str, Any]:
    """Search for `target` along a scan with perception, task manager, player and searcher as processes.

    Args:
        table: label table.
        perception: parameters of that node, such as its model.
        narrow: the detector looks for the target alone.
        folder: gets the nodes' logs and `search.json`.

    Returns:
        What the searcher found: runs, found, located_frame, false_alarms, milliseconds, latency_milliseconds, steps.

    Raises:
        ProcessError: a node ended early, or the search did not end in time.
    """
    summary = folder / "search.json"
    summary.unlink(missing_ok=True)
    with Nodes(folder, own_graph()) as nodes:
        nodes.start("perception", {"autostart": True, **perception})
        nodes.start("task_manager", {"autostart": True, "vocabulary": vocabulary})
        nodes.start("searcher", {"scan": scan.folder.absolute(), "labels": table.absolute(), "target": target, "narrow": narrow,
                                 "vocabulary": vocabulary, "criterion": criterion, "summary": summary.absolute()})  # fmt: skip
        nodes.start("player", {"source": scan.folder.absolute(), "every": FRAMES_PER_STEP, "subscribers": 2, "stamps": "source",
                               "results": "search_steps", "results_type": "tasktp_ros/msg/SearchStatus",
                               "timeout": FRAME_SECONDS})  # fmt: skip
        deadline = time.monotonic() + START_SECONDS + FRAME_SECONDS * _steps(scan)
        while nodes.ended("searcher") is None:
            nodes.check("perception", "task_manager")
            if nodes.ended("player"):
                nodes.check("player")
            if time.monotonic() > deadline:
                raise ProcessError(f"the search did not end: {nodes.last_words('searcher')}")
            time.sleep(0.05)
        if nodes.ended("searcher") or not summary.is_file():
            nodes.check("searcher")
    return json.loads(summary.read_text())


def _steps(scan: Scan) -> int:
    with scan.open() as recording:
        return len(step_frames(len(recording)))
