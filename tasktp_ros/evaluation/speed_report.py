# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""What was timed, as text for the terminal: milliseconds, counted operations and what is above the floor, stage by stage."""

from collections.abc import Sequence
from typing import Any

from tasktp_ros.evaluation.matrix_rate import floor_milliseconds
from tasktp_ros.vision.stages import STAGES

HEADINGS = {
    "preprocess": "in",
    "spatial_prior": "prior",
    "injector": "inject",
    "extractor": "extract",
    "proposals": "propose",
    "box_head": "box",
    "mask_head": "mask",
    "postprocess": "out",
}
"""Of stages whose names are too long for a column."""


def compared(rows: Sequence[dict[str, Any]], rates: dict[str, float]) -> list[dict[str, Any]]:
    """Each row beside the others.

    Args:
        rows: from `speed.as_records`.
        rates: measured billions of operations per second by float type.

    Returns:
        Per row `of_dense` and `of_peer` (its time over theirs, None where there is no such row), `floors` (milliseconds that
        its operations take at each rate) and `of_floor` (its time over the floor of its own float type).
    """
    peer = next((row["milliseconds"] for row in rows if row["name"].startswith("maskrcnn")), None)
    found = []
    for row in rows:
        floors = {name: floor_milliseconds(row["gflops"]["total"], rate) for name, rate in rates.items()}
        floor = floors[row["precision"]]
        found.append(
            {
                "of_dense": 1 / row["speedup"],
                "of_peer": row["milliseconds"] / peer if peer else None,
                "floors": floors,
                "of_floor": row["milliseconds"] / floor if floor else None,
            }
        )
    return found


def text(report: dict[str, Any]) -> str:
    """The tables of a report of `tasktp bench`."""
    rows, setting, rates = report["rows"], report["setting"], report["matrix_rates"]
    width = max(len(row["name"]) for row in rows)
    stages = [name for name in STAGES if any(name in row["stages"] for row in rows)]
    headings = " ".join(f"{HEADINGS.get(name, name)[:8]:>8}" for name in stages)
    machine = report["machine"]
    lines = [
        f"{setting['model']} on {setting['device']} ({machine['gpu'] or machine['processor']}; {' '.join(machine['flags'])}), "
        f"{setting['threads']} threads, {setting['precision']}, image {setting['image'][0]} x {setting['image'][1]}, "
        f"medians of {setting['rounds']} rounds",
        "products of the sizes that occur: " + ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in rates.items()),
    ]
    if setting["shares"]:
        lines.append(f"tokens kept by force: {setting['shares']}")
    lines += [
        "",
        f"{'milliseconds':{width}}  kept found    total of dense of peer x floor  {headings}",
    ]
    numbers = compared(rows, rates)
    for row, beside in zip(rows, numbers, strict=True):
        kept = "-" if row["kept"] is None else f"{row['kept']:.0%}"
        lines.append(
            f"{row['name']:{width}} {kept:>5} {row['detections']:5.0f} {row['milliseconds']:8.1f} {beside['of_dense']:8.2f} "
            f"{_number(beside['of_peer'], 7)} {_number(beside['of_floor'], 7, 1)}  {_cells(row['stages'], stages)}"
        )
    floors = " ".join(f"{'floor ' + name.replace('bfloat', 'bf').replace('float', 'f'):>10}" for name in rates)
    lines += ["", f"{'GFLOPs, floors in ms':{width}} kernels  live MB {floors}    total  {headings}"]
    for row, beside in zip(rows, numbers, strict=True):
        own = " ".join(f"{beside['floors'][name]:10.1f}" for name in rates)
        lines.append(
            f"{row['name']:{width}} {row['kernels']:7} {row['live_megabytes']:8.1f} {own} {row['gflops']['total']:8.2f}  "
            f"{_cells(row['gflops'], stages)}"
        )
    if report.get("memory"):
        lines += ["", memory_text(report["memory"])]
    return "\n".join(lines)


def memory_text(memory: dict[str, Any]) -> str:
    """What `memory.measure_memory` found, in two sentences."""
    peak = "" if memory["peak"] is None else f", {memory['peak']:.0f} at most while loading"
    return (
        f"memory of {memory['model']} in MB: weights {memory['weights']:.1f}, most live in a frame {memory['live']:.1f}, "
        f"so {memory['allowed']:.1f} allowed (1.5 x weights + live); the process took {memory['running']:.1f} more than one "
        f"that had run a small network{peak}.\n"
        f"{memory['growth']:+.1f} MB over {memory['frames']} frames after {memory['warm_up']} of warm-up."
    )


def _cells(values: dict[str, float], stages: Sequence[str]) -> str:
    return " ".join(_number(values.get(stage), 8) for stage in stages)


def _number(value: float | None, width: int, digits: int = 2) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"
