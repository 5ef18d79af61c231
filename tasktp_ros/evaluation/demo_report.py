# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What the demonstration measured, as plain numbers: one dictionary that becomes the table, the page and the JSON."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Seen(Protocol):
    """A frame's result, see `tasktp_ros.nodes.demo_observer.FrameResult`."""

    stamp_to_result: float
    arrived: float
    detections: int
    posed: bool
    task_id: str
    categories: list[str]
    kept_tokens: list[int]
    total_tokens: int
    detect: float
    overhead: float
    stages: dict[str, float]
    dropped: int

    @property
    def kept_share(self) -> float:
        """Share of tokens in 0..1 that the gated blocks ran, mean over the blocks."""


def summarise(frames: Sequence[Seen], tasks: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Numbers of the whole run and of each task (id, title); times in milliseconds.

    Times leave out frames that posed for a picture; frames per second are those of the median time between results.
    """
    timed = [frame for frame in frames if not frame.posed]
    gap = float(np.median(np.diff([frame.arrived for frame in frames]))) if len(frames) > 1 else 0.0
    return {
        "frames": len(frames),
        "frames_per_second": round(1.0 / gap, 2) if gap > 0 else None,
        "stamp_to_result_milliseconds": quantiles([frame.stamp_to_result for frame in timed]),
        "detect_milliseconds": quantiles([frame.detect for frame in timed]),
        "overhead_milliseconds": quantiles([frame.overhead for frame in timed]),
        "dropped_by_perception": max((frame.dropped for frame in frames), default=0),
        "tasks": [_task(frames, task_id, title) for task_id, title in tasks],
        "values": {
            "task_id": [frame.task_id for frame in frames],
            "kept_share": [round(frame.kept_share, 5) for frame in frames],
            "kept_tokens": [frame.kept_tokens for frame in frames],
            "stamp_to_result_milliseconds": [round(frame.stamp_to_result, 3) for frame in frames],
            "detect_milliseconds": [round(frame.detect, 3) for frame in frames],
            "overhead_milliseconds": [round(frame.overhead, 3) for frame in frames],
            "detections": [frame.detections for frame in frames],
            "posed_for_a_picture": [frame.posed for frame in frames],
        },
    }


def _task(frames: Sequence[Seen], task_id: str, title: str) -> dict[str, Any]:
    mine = [frame for frame in frames if frame.task_id == task_id]
    timed = [frame for frame in mine if not frame.posed]
    stages = {name: [frame.stages.get(name, 0.0) for frame in timed] for name in (timed[0].stages if timed else {})}
    return {
        "id": task_id,
        "title": title,
        "categories": mine[0].categories if mine else [],
        "frames": len(mine),
        "kept_share": round(float(np.mean([frame.kept_share for frame in mine])), 4) if mine else None,
        "kept_tokens": np.mean([frame.kept_tokens for frame in mine], axis=0).round(1).tolist() if mine else [],
        "total_tokens": mine[0].total_tokens if mine else 0,
        "stamp_to_result_milliseconds": quantiles([frame.stamp_to_result for frame in timed]),
        "detect_milliseconds": quantiles([frame.detect for frame in timed]),
        "overhead_milliseconds": quantiles([frame.overhead for frame in timed]),
        "stage_milliseconds": {name: round(float(np.median(values)), 3) for name, values in stages.items()},
        "detections_per_frame": round(float(np.mean([frame.detections for frame in mine])), 2) if mine else None,
    }


def quantiles(values: list[float]) -> dict[str, float | None]:
    """Median and 95th percentile, None where there are no values."""
    if not values:
        return {"median": None, "p95": None}
    median, high = np.percentile(values, [50, 95])
    return {"median": round(float(median), 3), "p95": round(float(high), 3)}


def table(report: dict[str, Any]) -> str:
    """The numbers as text, one line per task."""
    head = f"{'task':<28} {'frames':>6} {'kept':>7} {'detect ms':>14} {'stamp to result ms':>20} {'overhead ms':>13}"
    lines = [
        head,
        f"{'':<28} {'':>6} {'tokens':>7} {'median / p95':>14} {'median / p95':>20} {'median':>13}",
        "-" * len(head),
    ]
    for task in report["tasks"]:
        share = "-" if task["kept_share"] is None else f"{100 * task['kept_share']:.1f} %"
        lines.append(
            f"{task['title'][:28]:<28} {task['frames']:>6} {share:>7} {_pair(task['detect_milliseconds']):>14} "
            f"{_pair(task['stamp_to_result_milliseconds']):>20} {_number(task['overhead_milliseconds']['median']):>13}"
        )
    player = report["player"]
    told = [(task["title"], task["understood"]) for task in report["tasks"] if task.get("understood")]
    lines += [
        "-" * len(head),
        *(f"{title}, understood by {how}" for title, how in told),
        f"{report['frames']} results for {player['frames_sent']} frames, {player['lost']} lost, "
        f"{report['dropped_by_perception']} dropped, order {'kept' if player['order_kept'] else 'BROKEN'}, headers "
        f"{'equal' if player['headers_equal'] else 'DIFFERENT'}; {report['frames_per_second']} frames/s in lock step; "
        f"model {report['model']}, reach {report['reach']}; images of {report['images'] or 'unknown size'}",
    ]
    return "\n".join(lines)


def _pair(numbers: dict[str, float | None]) -> str:
    return f"{_number(numbers['median'])} / {_number(numbers['p95'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
