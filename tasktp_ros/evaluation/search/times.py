# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Time per image along a walk of which nobody knows what can be seen: no labels, so no word on what was found."""

import statistics
from collections.abc import Sequence
from typing import Any

from tasktp_ros.datasets.frame import FrameSource
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.search.measure import Method, Settings, Turns

STEP_NS = 3_000_000_000


def time_walk(
    source: FrameSource, methods: Sequence[Method], categories: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Detect on one image per three seconds, by its stamps, for each category in turn.

    Args:
        source: open.
        categories: what is searched for.

    Returns:
        images, and rows: per method's label milliseconds_per_run (mean), kept (mean share of tokens, None without gates) and
        claims (images and categories with a detection of score >= 0.5, true or not).

    Raises:
        DataError: no image can be read.
    """
    turns, images, due = Turns(settings), 0, 0
    found: dict[Method, list[tuple[float, float | None, bool]]] = {method: [] for method in methods}
    for frame in source:
        if frame.stamp_ns < due:
            continue
        due, images = (due or frame.stamp_ns) + STEP_NS, images + 1
        for category in categories:
            for method, (result, milliseconds) in turns.detect(methods, frame.image, category).items():
                kept = statistics.fmean(result.kept) if result.kept else None
                found[method].append((milliseconds, kept, category in result.names))
    turns.close()
    if not images:
        raise DataError(f"no image of {source.description} can be read")
    return {"images": images, "rows": {method.label: _row(results) for method, results in found.items()}}


def _row(results: Sequence[tuple[float, float | None, bool]]) -> dict[str, Any]:
    shares = [kept for _, kept, _ in results if kept is not None]
    return {
        "milliseconds_per_run": round(statistics.fmean(milliseconds for milliseconds, _, _ in results), 3),
        "kept": round(statistics.fmean(shares), 4) if shares else None,
        "claims": sum(claimed for _, _, claimed in results),
    }
