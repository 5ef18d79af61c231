# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Turns the passes of an evaluation into one report: precision, kept tokens, operations and times per category set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.evaluation.accuracy import Job, Plan, result_of
from tasktp_ros.evaluation.coco_ap import Truth

HEADLINE = ("AP", "AP50")


def build_report(plan: Plan, dataset: CocoDataset, folder: Path) -> dict[str, Any]:
    """The report of a plan whose jobs are all done.

    Returns:
        sets: one entry per category set; means: per size, over its sets; sweep: per threshold and set.
    """
    truth = Truth(dataset)
    vocabulary = plan.vocabulary
    entries, means = [], {}
    for size, sets in plan.subsets.items():
        of_size = [_entry(plan, truth, folder, size, chosen) for chosen in sets]
        entries += of_size
        means[size] = _mean(of_size)
        if plan.gated and len(sets[0]) < len(vocabulary):
            wrong = result_of(plan.wrong(len(sets[0])), folder)
            means[size]["kept_wrong_task"] = _kept(wrong["images"])["kept"]
    sweep = [
        {"threshold": t, "categories": list(job.categories or vocabulary)}
        | _scores(truth, replace(job, threshold=t), folder, job.categories or vocabulary)
        for t in plan.thresholds
        for job in plan.swept()
    ]
    return {
        "images": plan.method.images,
        "vocabulary": list(vocabulary),
        "sets": entries,
        "means": means,
        "sweep": sweep,
    }


def _entry(plan: Plan, truth: Truth, folder: Path, size: str, chosen: tuple[str, ...]) -> dict[str, Any]:
    job = plan.with_set(chosen)
    entry: dict[str, Any] = {"size": size, "categories": list(chosen), "method": _scores(truth, job, folder, chosen)}
    if plan.dense:
        entry["dense"] = _scores(truth, plan.dense, folder, chosen)
        entry["dense_restricted"] = _scores(truth, replace(plan.dense, categories=job.categories), folder, chosen)
        for kind in ("box", "mask"):
            entry[f"{kind}_AP_difference"] = round(
                entry["method"][kind]["AP"] - entry["dense_restricted"][kind]["AP"], 2
            )
    return entry


def _scores(truth: Truth, job: Job, folder: Path, categories: Sequence[str]) -> dict[str, Any]:
    result = result_of(job, folder)
    image_ids = [image["id"] for image in result["images"]]
    scores: dict[str, Any] = dict(truth.precision(result["detections"], categories, image_ids))
    scores |= _kept(result["images"])
    return scores | {"backbone_gflops": round(result["gflops"], 3), "milliseconds": result["milliseconds"]}


def _kept(images: list[dict[str, Any]]) -> dict[str, Any]:
    """Kept shares 0..1: of all images, of those with and without something of the task, and per gated block."""
    shares = np.array([image["kept"] for image in images])
    if shares.size == 0:
        return {}
    target = np.array([image["target"] for image in images])
    report: dict[str, Any] = {"kept": _share(shares), "kept_per_block": shares.mean(0).round(4).tolist()}
    for name, rows in (("kept_with_target", shares[target]), ("kept_without_target", shares[~target])):
        if len(rows):
            report[name] = _share(rows)
    return report


def _share(shares: NDArray[np.float64]) -> float:
    return round(float(shares.mean()), 4)


def _mean(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the sets of one size."""
    found: dict[str, Any] = {}
    for contender in ("method", "dense", "dense_restricted"):
        rows = [entry[contender] for entry in entries if contender in entry]
        if not rows:
            continue
        found[contender] = {
            f"{kind}_{name}": _average([row[kind][name] for row in rows])
            for kind in ("box", "mask")
            for name in HEADLINE
        }
        for name in ("precision_at_0.5", "recall_at_0.5"):
            found[contender][name] = _average([row["box"][name] for row in rows])
        for name in ("kept", "kept_with_target", "kept_without_target", "backbone_gflops"):
            values = [row[name] for row in rows if name in row]
            if values:
                found[contender][name] = round(float(np.mean(values)), 4)
        found[contender]["milliseconds"] = round(float(np.mean([row["milliseconds"]["total"] for row in rows])), 2)
    return found


def _average(values: list[float]) -> float:
    """Mean of what exists; -1 when nothing does."""
    present = [value for value in values if value >= 0]
    return round(float(np.mean(present)), 2) if present else -1.0
