# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Writes the tables of docs/performance.md from the files in results/: `python -m tasktp_ros.evaluation.performance results docs/performance.md`.

The page's prose is written by hand; what stands between the two marks is not, and a test compares it with the files.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasktp_ros.evaluation.speed_report import HEADINGS, compared, memory_text
from tasktp_ros.vision.stages import STAGES

BEGIN = "<!-- from here written by tasktp_ros.evaluation.performance -->\n"
END = "<!-- to here -->\n"


def tables(results: Path) -> str:
    """The tables of all `performance_*.json` as Markdown."""
    reports = [(path.name, json.loads(path.read_text())) for path in sorted(results.glob("performance_*.json"))]
    return "\n".join(_report(name, report) for name, report in reports)


def renewed(page: str, results: Path) -> str:
    """The page with its tables made anew.

    Raises:
        ValueError: the page lacks a mark.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN.strip()!r} and {END.strip()!r}")
    return f"{before}{begin}\n{tables(results)}\n{end}{after}"


def _report(name: str, report: dict[str, Any]) -> str:
    setting, machine, rates = report["setting"], report["machine"], report["matrix_rates"]
    rows, numbers = report["rows"], compared(report["rows"], report["matrix_rates"])
    stages = [stage for stage in STAGES if any(stage in row["stages"] for row in rows)]
    headings = [HEADINGS.get(stage, stage) for stage in stages]
    forced = f" Tokens kept by force: {setting['shares']}." if setting["shares"] else ""
    lines = [
        f"### {setting['model']}, {setting['threads']} threads, {setting['precision']}",
        "",
        f"`{report['command']}` ([{name}](../results/{name})), commit {report['commit']}, "
        f"{machine['gpu'] or machine['processor']} ({' '.join(machine['flags'])}), medians of {setting['rounds']} rounds in turns. "
        f"Products of the sizes that occur: {', '.join(f'{kind} {rate:.0f} GFLOP/s' for kind, rate in rates.items())}.{forced}",
        "",
        *_table(
            ["milliseconds", "kept", "found", "total", "of dense", "of Mask R-CNN", "x floor", *headings],
            [
                [row["name"], "-" if row["kept"] is None else f"{row['kept']:.0%}", f"{row['detections']:.0f}",
                 _number(row["milliseconds"]), _number(beside["of_dense"], 2), _number(beside["of_peer"], 2),
                 _number(beside["of_floor"]), *(_number(row["stages"].get(stage)) for stage in stages)]
                for row, beside in zip(rows, numbers, strict=True)
            ],
        ),
        "",
        *_table(
            ["GFLOPs", "kernels", "live MB", *(f"floor {kind}, ms" for kind in rates), "total", *headings],
            [
                [row["name"], str(row["kernels"]), _number(row["live_megabytes"]), *map(_number, beside["floors"].values()),
                 _number(row["gflops"]["total"], 2), *(_number(row["gflops"].get(stage), 2) for stage in stages)]
                for row, beside in zip(rows, numbers, strict=True)
            ],
        ),
    ]  # fmt: skip
    if report.get("memory"):
        lines += ["", memory_text(report["memory"]).replace("\n", " ")]
    return "\n".join([*lines, ""])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    marks = ["---", *["--:"] * (len(head) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (head, marks, *rows)]


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    written = Path(sys.argv[2])
    written.write_text(renewed(written.read_text(), Path(sys.argv[1])))
