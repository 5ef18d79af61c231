# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""From measured walks to the numbers of the table: precision, time, tokens, and frames until something new is found."""

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.evaluation.coco_ap import Truth
from tasktp_ros.evaluation.streams.measure import RATES, RECORDED, FrameResult, Walk
from tasktp_ros.evaluation.streams.sightings import Visible, delay, sightings

TITLES = {"all": "all categories", "one": "one category"}
"""Kinds of tasks."""


def stream_report(walks: Sequence[Walk], labels: Sequence[str], folder: Path) -> dict[str, Any]:
    """Rows of all methods.

    Args:
        labels: of the methods; the first is compared with.
        folder: for a passing file of annotations.

    Returns:
        rate -> "all" or "one" -> label -> row.
    """
    return {
        str(rate): {kind: _rows(walks, rate, kind, labels, folder) for kind in TITLES if _tasks(walks, rate, kind)}
        for rate in RATES
    }


def _tasks(walks: Sequence[Walk], rate: int, kind: str) -> list[tuple[Walk, str]]:
    found = dict.fromkeys((i, task) for i, walk in enumerate(walks) for task, at, _ in walk.results if at == rate)
    return [(walks[i], task) for i, task in found if (task == "all") == (kind == "all")]


def _rows(walks: Sequence[Walk], rate: int, kind: str, labels: Sequence[str], folder: Path) -> dict[str, Any]:
    runs = _tasks(walks, rate, kind)
    precision = _precision(runs, rate, labels, folder)
    delays = {label: _delays(runs, rate, label) for label in labels}
    times = {label: _milliseconds(runs, rate, label) for label in labels}
    rows = {}
    for label in labels:
        frames = [result for walk, task in runs for result in walk.results[task, rate, label].values()]
        resets = sum((Counter(walk.resets[task, rate, label]) for walk, task in runs), Counter[str]())
        rows[label] = {
            "frames": len(frames),
            "box_AP": precision[label]["AP"],
            "box_AP50": precision[label]["AP50"],
            "milliseconds": round(statistics.median(times[label]), 3),
            "of_first": round(_ratio(times[label], times[labels[0]]), 4),
            "entered": round(statistics.fmean(result.entered for result in frames), 4),
            "kept": round(statistics.fmean(result.kept for result in frames), 4),
            "resets": dict(resets),
            **_found(delays[label]),
            "against_first": _later(delays[labels[0]], delays[label]),
        }
    return rows


def _milliseconds(runs: Sequence[tuple[Walk, str]], rate: int, label: str) -> list[float]:
    results: Iterable[FrameResult] = (each for walk, task in runs for each in walk.results[task, rate, label].values())
    return [each.milliseconds for each in results if each.milliseconds is not None]


def _ratio(times: Sequence[float], first: Sequence[float]) -> float:
    """Median over frames of one method's time by another's: both were measured in turns, so a slow moment hits both."""
    return statistics.median(one / other for one, other in zip(times, first, strict=True))


def _delays(runs: Sequence[tuple[Walk, str]], rate: int, label: str) -> list[int | None]:
    """Of everything that comes into view, in one order for all methods: frames until it is found."""
    found: list[int | None] = []
    for walk, task in runs:
        seen = {frame: objects for frame, objects in walk.seen.items() if frame % (RECORDED // rate) == 0}
        claims = {frame: result.claims for frame, result in walk.results[task, rate, label].items()}
        found += [delay(each, seen, claims) for each in sightings(seen, rate) if task in ("all", each.category)]
    return found


def _found(delays: Sequence[int | None]) -> dict[str, Any]:
    waited = [each for each in delays if each is not None]
    return {
        "sightings": len(delays),
        "found": len(waited),
        "frames_until_found": _spread(waited),
    }


def _later(first: Sequence[int | None], other: Sequence[int | None]) -> dict[str, Any]:
    """How many frames later than by the first method things are found that both find, and what only one finds."""
    both = [b - a for a, b in zip(first, other, strict=True) if a is not None and b is not None]
    return {
        "frames_later": _spread(both),
        "only_first": sum(a is not None and b is None for a, b in zip(first, other, strict=True)),
        "only_this": sum(a is None and b is not None for a, b in zip(first, other, strict=True)),
    }


def _spread(values: Sequence[int]) -> dict[str, float | None]:
    if not values:
        return {"median": None, "mean": None, "p95": None, "worst": None}
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "mean": round(statistics.fmean(ordered), 3),
        "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "worst": ordered[-1],
    }


def _precision(
    runs: Sequence[tuple[Walk, str]], rate: int, labels: Sequence[str], folder: Path
) -> dict[str, dict[str, Any]]:
    """Box precision per method over the frames that are not timed; what is too small to be searched for is not asked for."""
    truth: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
    found: dict[str, list[dict[str, Any]]] = {label: [] for label in labels}
    numbers: dict[str, int] = {}
    for walk, task in runs:
        for frame in walk.results[task, rate, labels[0]]:
            if walk.results[task, rate, labels[0]][frame].milliseconds is not None:
                continue
            image = len(truth["images"]) + 1
            objects = [each for each in walk.seen[frame].values() if task in ("all", each.category)]
            height, width = walk.size
            truth["images"].append({"id": image, "file_name": f"{walk.name}/{frame}", "height": height, "width": width})
            truth["annotations"] += [_annotation(each, image, numbers) for each in objects]
            for label in labels:
                found[label] += _results(walk.results[task, rate, label][frame], image, numbers)
    truth["categories"] = [{"id": number, "name": name} for name, number in numbers.items()]
    file = folder / "truth.json"
    file.write_text(json.dumps(truth))
    judge = Truth(CocoDataset(folder, file))
    file.unlink()
    asked = sorted({each.category for walk, task in runs for objects in walk.seen.values() for each in objects.values()
                    if each.counts and task in ("all", each.category)})  # fmt: skip
    images = [image["id"] for image in truth["images"]]
    return {label: judge.precision(rows, asked, images, ("box",))["box"] for label, rows in found.items()}


def _annotation(each: Visible, image: int, numbers: dict[str, int]) -> dict[str, Any]:
    left, top, right, bottom = each.box
    return {"image_id": image, "category_id": _number(each.category, numbers), "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top), "iscrowd": int(not each.counts)}  # fmt: skip


def _results(result: FrameResult, image: int, numbers: dict[str, int]) -> list[dict[str, Any]]:
    return [{"image_id": image, "category_id": _number(name, numbers), "score": score,
             "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]} for name, score, box in result.found]  # fmt: skip


def _number(category: str, numbers: dict[str, int]) -> int:
    return numbers.setdefault(category, len(numbers) + 1)


def stream_table(report: dict[str, Any]) -> str:
    """The rows as text."""
    lines = [f"{'':<31}  box AP   AP50      ms  of first  entering  found  frames until: median, worst  resets"]
    for rate, kinds in report["rates"].items():
        for kind, rows in kinds.items():
            lines.append(f"{rate} frames/s, {TITLES[kind]}")
            lines += [
                f"  {label:<29}  {row['box_AP']:6.1f}  {row['box_AP50']:5.1f}  {row['milliseconds']:6.1f}  {row['of_first']:8.2f}"
                f"  {row['entered']:8.0%}  {row['found']:2}/{row['sightings']:2}  {_waited(row):>28}  {reset_reasons(row)}"
                for label, row in rows.items()
            ]
    return "\n".join(lines)


def _waited(row: dict[str, Any]) -> str:
    waited = row["frames_until_found"]
    return "-" if waited["median"] is None else f"{waited['median']:g}, {waited['worst']}"


def reset_reasons(row: dict[str, Any]) -> str:
    """Why streams began anew, for people."""
    return ", ".join(f"{count} {reason}" for reason, count in row["resets"].items()) or "-"
