# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How old results are: the numbers of `tasktp latency`, from what a robot on the other side of the graph has seen.

A result's age is the time from the image's stamp to the arrival of its detections. How long the node had the frame, and how much
of that was detecting, is told with each result; what is left is the way to the node and back. A detector that always takes the
newest frame lets none wait for longer than one period of its camera.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

EDGES = (0, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 300, 500, 1000)
"""Of histograms, milliseconds; what is more comes last."""
MARGIN = 10.0
"""Milliseconds for publishing, on top of the period that a frame may wait."""
CELLS = (("detect", "median"), ("age", "median"), ("age", "p95"), ("age", "max"), ("waiting", "p95"), ("way", "median"))
"""What the table shows of a setting."""
WINDOWS = 20
"""Parts of a soak that are compared."""


@dataclass(frozen=True)
class Answer:
    """One result; times in milliseconds.

    Attributes:
        camera: number of the camera.
        at: when it arrived, since the beginning.
        age: from the image's stamp to there.
        node: from its arrival at the node to the publishing of its detections.
        detect: what detecting took of that.
        dropped: frames of this camera that were replaced by newer ones so far.
    """

    camera: int
    at: float
    age: float
    node: float
    detect: float
    dropped: int


def summarise(answers: Sequence[Answer], sent: Sequence[int], rate: float, seconds: float) -> dict[str, Any]:
    """One setting's numbers.

    Args:
        sent: frames of each camera.
        rate: frames per second of each camera.

    Returns:
        age, detect, waiting (in the node without detecting) and way (to the node and back): median, p95, p99, max and histogram;
        late: share of results that waited for more than one period and `MARGIN`; answered, longest_gap between two results: per camera.
    """
    period = 1000 / rate
    of_camera = [[answer for answer in answers if answer.camera == camera] for camera in range(len(sent))]
    waiting = [answer.node - answer.detect for answer in answers]
    return {
        "sent": list(sent),
        "answered": [len(mine) for mine in of_camera],
        "dropped": [mine[-1].dropped if mine else 0 for mine in of_camera],
        "results_per_second": round(len(answers) / seconds, 2),
        "longest_gap_milliseconds": [_longest_gap([answer.at for answer in mine]) for mine in of_camera],
        "period_milliseconds": round(period, 2),
        "age": spread([answer.age for answer in answers]),
        "detect": spread([answer.detect for answer in answers]),
        "waiting": spread(waiting),
        "way": spread([answer.age - answer.node for answer in answers]),
        "late": round(float(np.mean(np.array(waiting) > period + MARGIN)), 4) if waiting else None,
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, p95, p99, max and histogram over `EDGES` of some milliseconds; empty where there are none."""
    if not values:
        return {}
    median, p95, p99 = np.percentile(values, [50, 95, 99])
    counts = np.histogram(values, [*EDGES, np.inf])[0]
    numbers = {"median": median, "p95": p95, "p99": p99, "max": max(values)}
    return {name: round(float(value), 2) for name, value in numbers.items()} | {"histogram": counts.tolist()}


def _longest_gap(times: Sequence[float]) -> float | None:
    return round(float(np.diff(times).max()), 1) if len(times) > 1 else None


def soak_report(samples: Sequence[Mapping[str, float]], answers: Sequence[Answer]) -> dict[str, Any]:
    """What grew over a soak.

    Args:
        samples: at, rss_mib and threads of the node's process, in order; at in milliseconds as the answers'. And load, the processes
            that wanted a core of the machine in the last minute.

    Returns:
        windows: per twentieth of the time median rss_mib and load, most threads, median and p95 age; growth: from the second fifth to the last
        of rss_mib, threads and median age (the first fifth is left to warm up).
    """
    begin, end = samples[0]["at"], samples[-1]["at"]
    bounds = np.linspace(begin, end, WINDOWS + 1)
    windows = []
    for first, last in zip(bounds[:-1], bounds[1:], strict=True):
        mine = [sample for sample in samples if first <= sample["at"] <= last]
        ages = [answer.age for answer in answers if first <= answer.at <= last]
        windows.append({
            "until_minutes": round((last - begin) / 60_000, 2),
            "rss_mib": round(float(np.median([sample["rss_mib"] for sample in mine])), 1) if mine else None,
            "threads": max((sample["threads"] for sample in mine), default=None),
            "load": round(float(np.median([sample["load"] for sample in mine])), 2) if mine else None,
            "results": len(ages),
            "age_median": round(float(np.median(ages)), 2) if ages else None,
            "age_p95": round(float(np.percentile(ages, 95)), 2) if ages else None,
        })  # fmt: skip
    fifth = WINDOWS // 5
    growth = {
        name: round(_middle(windows[-fifth:], name) - _middle(windows[fifth : 2 * fifth], name), 2)
        for name in ("rss_mib", "threads", "age_median")
    }
    return {"minutes": round((end - begin) / 60_000, 1), "results": len(answers), "windows": windows, "growth": growth}


def _middle(windows: Sequence[Mapping[str, Any]], name: str) -> float:
    values = [window[name] for window in windows if window[name] is not None]
    return float(np.median(values)) if values else float("nan")


def table(report: Mapping[str, Any]) -> str:
    """The numbers as text, one line per setting."""
    lines = []
    if report["rows"]:
        lines = [f"{'detector':<22} {'cameras':>7} {'Hz':>4} {'results/s':>9} {'detect':>7} {'age: median':>11} {'p95':>7} {'max':>7} "
                 f"{'waiting: p95':>12} {'way: median':>11} {'late':>6}  answered per camera (times in ms)"]  # fmt: skip
    for row in report["rows"]:
        cells = [row[name].get(part, float("nan")) for name, part in CELLS]
        lines.append(f"{row['detector'][:22]:<22} {len(row['sent']):>7} {row['rate']:>4g} {row['results_per_second']:>9.1f} "
                     "{:>7.1f} {:>11.1f} {:>7.1f} {:>7.1f} {:>12.1f} {:>11.1f}".format(*cells)
                     + f" {row['late'] or 0.0:>6.1%}  {' '.join(map(str, row['answered']))}")  # fmt: skip
    if soak := report["soak"]:
        growth = soak["growth"]
        lines.append(f"soak of {soak['minutes']} minutes, {soak['results']} results: memory {growth['rss_mib']:+.1f} MiB, threads "
                     f"{growth['threads']:+.0f}, median age {growth['age_median']:+.1f} ms from its second fifth to its last")  # fmt: skip
    return "\n".join(lines)
