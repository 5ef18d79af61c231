# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Adds searches up into the paper's table II, and says where a saving comes from."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasktp_ros.evaluation.search.criteria import CRITERIA
from tasktp_ros.evaluation.search.protocol import StepResult, follow
from tasktp_ros.evaluation.search.queries import Query

Steps = Mapping[str, Sequence[Sequence[StepResult]]]
"""Per method, for every query the steps of its walk."""


def seed_report(queries: Sequence[Query], steps: Steps) -> dict[str, Any]:
    """One seed's queries, by every criterion.

    Args:
        queries: what was searched for.
        steps: see `Steps`; the first method is the one that others are compared with.

    Returns:
        `oracle_runs`, and per criterion and method a row of sums (see :func:`row_of`).
    """
    report: dict[str, Any] = {"queries": len(queries), "oracle_runs": sum(query.oracle for query in queries)}
    for criterion in CRITERIA:
        outcomes = {label: [follow(walk, criterion) for walk in walks] for label, walks in steps.items()}
        solved = [all(found[i].found for found in outcomes.values()) for i in range(len(queries))]
        rows: dict[str, dict[str, Any]] = {}
        for label, walks in steps.items():
            row = row_of(walks, criterion)
            row["runs_where_all_found"] = sum(o.runs for o, both in zip(outcomes[label], solved, strict=True) if both)
            base = rows[next(iter(rows))] if rows else row
            row["saved_by_fewer_runs"] = round((base["runs"] - row["runs"]) * base["milliseconds_per_run"], 1)
            row["saved_by_faster_runs"] = round(
                row["runs"] * (base["milliseconds_per_run"] - row["milliseconds_per_run"]), 1
            )
            rows[label] = row
        report[criterion] = rows
    return report


def row_of(walks: Sequence[Sequence[StepResult]], criterion: str) -> dict[str, Any]:
    """Sums of one method over all queries.

    Returns:
        runs (images until found, or all), milliseconds (sum), milliseconds_per_run, success_rate (0..1), false_alarms, and
        kept_with_target and kept_without_target: mean share of tokens over the images that were run (None without gates).
    """
    outcomes = [follow(walk, criterion) for walk in walks]
    walked = [step for walk, outcome in zip(walks, outcomes, strict=True) for step in walk[: outcome.runs]]
    runs, milliseconds = len(walked), sum(outcome.milliseconds for outcome in outcomes)
    return {
        "runs": runs,
        "milliseconds": round(milliseconds, 1),
        "milliseconds_per_run": round(milliseconds / runs, 3) if runs else 0.0,
        "success_rate": round(sum(outcome.found for outcome in outcomes) / len(outcomes), 4) if outcomes else 0.0,
        "false_alarms": sum(outcome.false_alarms for outcome in outcomes),
        "kept_with_target": _mean_kept([step for step in walked if step.visible]),
        "kept_without_target": _mean_kept([step for step in walked if not step.visible]),
    }


def over_seeds(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds of every number of every row, as [mean, deviation]."""
    first = next(iter(reports.values()))
    return {
        criterion: {
            label: {name: _spread([report[criterion][label][name] for report in reports.values()]) for name in row}
            for label, row in first[criterion].items()
        }
        for criterion in CRITERIA
    }


def missed(walks: Sequence[Sequence[StepResult]]) -> list[int]:
    """Per search: on how many images, up to the one it was found on, the object was visible and not verified."""
    return [sum(step.visible and not step.verified for step in walk[: follow(walk, "verified").runs]) for walk in walks]


def table(report: Mapping[str, Any], criterion: str = "verified") -> str:
    """The headline seed's table as text, with the spread over seeds."""
    seed = next(iter(report["seeds"]))
    headline, spread = report["seeds"][seed], report["over_seeds"][criterion]
    rows, first = headline[criterion], next(iter(spread))
    width = max(len(label) for label in rows)
    lines = [f"{headline['queries']} searches (seed {seed}), found = {criterion}; a perfect detector needs "
             f"{headline['oracle_runs']} images. On the right: all {len(report['seeds'])} seeds", "",
             f"{'method':{width}} {'#Runs':>6} {'time ms':>8} {'of first':>8} {'ms/run':>7} {'found':>6} {'false':>6} {'kept with':>10} "
             f"{'without':>8} {'saved: runs':>12} {'speed':>7} | {'#Runs':>13} {'found':>6} {'of first':>8}"]  # fmt: skip
    for label, row in rows.items():
        mean, deviation = spread[label]["runs"]
        lines.append(f"{label:{width}} {row['runs']:6d} {row['milliseconds']:8.0f} "
                     f"{row['milliseconds'] / (rows[first]['milliseconds'] or 1):8.2f} {row['milliseconds_per_run']:7.1f} "
                     f"{row['success_rate']:6.0%} {row['false_alarms']:6d} {_share(row['kept_with_target']):>10} "
                     f"{_share(row['kept_without_target']):>8} {row['saved_by_fewer_runs']:12.0f} "
                     f"{row['saved_by_faster_runs']:7.0f} | {f'{mean:.1f} +- {deviation:.1f}':>13} "
                     f"{spread[label]['success_rate'][0]:6.0%} "
                     f"{spread[label]['milliseconds'][0] / (spread[first]['milliseconds'][0] or 1):8.2f}")  # fmt: skip
    return "\n".join(lines)


def _mean_kept(steps: Sequence[StepResult]) -> float | None:
    shares = [step.kept for step in steps if step.kept is not None]
    return round(float(np.mean(shares)), 4) if shares else None


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _spread(values: Sequence[float | None]) -> list[float] | None:
    numbers = [value for value in values if value is not None]
    if not numbers:
        return None
    return [round(statistics.mean(numbers), 4), round(statistics.pstdev(numbers), 4)]
