# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""Measures a contender: accuracy on category sets, at other thresholds, and what its gates keep."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.evaluation.accuracy import Job, Plan, open_known, run_jobs, stamped
from tasktp_ros.evaluation.accuracy_report import build_report
from tasktp_ros.evaluation.contenders import millions
from tasktp_ros.evaluation.detect_set import evenly
from tasktp_ros.evaluation.model_facts import weights_mark
from tasktp_ros.evaluation.parts import kept_parts
from tasktp_ros.evaluation.results import provenance
from tasktp_ros.evaluation.selectivity import looks, summarise
from tasktp_ros.evaluation.subsets import draw_subsets
from tasktp_ros.papers.plan import ALL, Contender
from tasktp_ros.papers.records import Record
from tasktp_ros.runtime.models import open_model
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.tasks.vocabulary import VOCABULARIES

Sets = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True)
class Judge:
    """How contenders are measured.

    Attributes:
        data, split: data set in COCO's layout.
        images: of it, evenly spread.
        looks: images that gates are looked at on.
        sets: category sets of each size.
        seed: of the sets.
        workers: processes.
        device, precision: as `TaskDetector.load`.
    """

    data: Path
    split: str = "val"
    images: int = 1_000_000
    looks: int = 60
    sets: int = 5
    seed: int = 0
    workers: int = 1
    device: str = "auto"
    precision: str = "auto"

    def open(self, vocabulary: str) -> CocoDataset:
        """What is evaluated on."""
        return open_known(self.data, self.split, VOCABULARIES[vocabulary])

    def drawn(self, dataset: CocoDataset, sizes: Sequence[str]) -> Sets:
        """Per size the category sets; sizes that the data set's categories do not allow are left out."""
        known = dataset.vocabulary
        return {
            size: draw_subsets(known, len(known) if size == ALL else int(size), self.sets, self.seed)
            for size in sizes
            if size == ALL or int(size) < len(known)
        }


def measure(contender: Contender, model: Path, judge: Judge) -> Record:
    """A contender's record but for its bench, training and times.

    Args:
        model: its file; finished passes wait beside it until all are done, so that a stopped evaluation goes on.
    """
    started = time.monotonic()
    network, card = open_model(model)
    reducer = network.backbone.reducer
    dataset = judge.open(card.vocabulary_name)
    count = min(judge.images, len(dataset))
    job = Job(str(model), str(judge.data), judge.split, count, device=judge.device, precision=judge.precision)
    job = replace(stamped(job), reach=contender.reach)
    dense = contender.method == "dense"
    plan = Plan(job, job if dense else None, judge.drawn(dataset, contender.sizes), dataset.vocabulary, len(card.vocabulary),
                contender.thresholds, gated=reducer.task_aware, narrowed=reducer.task_aware or dense)  # fmt: skip
    jobs = plan.jobs()
    with kept_parts(None, model) as parts:
        for _ in run_jobs(jobs, parts, judge.workers):
            pass
        report = build_report(plan, dataset, parts)
    accuracy = {size: _row(means, "dense" if dense else "method", size, reducer.task_aware) for size, means in report["means"].items()}  # fmt: skip
    restricted = {size: _row(means, "method", size, False) for size, means in report["means"].items()} if dense else None  # fmt: skip
    brings = sum(p.numel() for name, module in reducer.published_modules().items() for p in module.parameters())
    return provenance() | {
        "model": {"weights": weights_mark(model), "parameters": round(millions(network) * 1e6), "brings": brings},
        "sets": {size: [list(names) for names in sets] for size, sets in plan.subsets.items()},
        "accuracy": accuracy,
        "restricted": restricted,
        "sweep": _sweep(report["sweep"], plan.subsets),
        "kept": _kept(contender, model, judge, dataset) if reducer.gated_blocks() else None,
        "times": None,
        "seconds": round(time.monotonic() - started, 1),
    }


def _row(means: Mapping[str, Any], which: str, size: str, task_aware: bool) -> dict[str, Any]:
    """Means over the sets of a size, without times, for which processes shared the cores."""
    row = {name: value for name, value in means[which].items() if name != "milliseconds"}
    if not task_aware and size != ALL:  # its pass was under all categories: what was in view was not asked
        row = {name: value for name, value in row.items() if name not in ("kept_with_target", "kept_without_target")}
    wrong = {"kept_wrong_task": means["kept_wrong_task"]} if "kept_wrong_task" in means else {}
    return row | wrong


def _sweep(rows: Sequence[Mapping[str, Any]], subsets: Sets) -> dict[str, dict[str, Any]]:
    """Per threshold and size the scores on the first set of that size."""
    found: dict[str, dict[str, Any]] = {}
    sizes = {tuple(sets[0]): size for size, sets in subsets.items()}
    for row in rows:
        scores = {"box_AP": row["box"]["AP"], "mask_AP": row["mask"]["AP"], "backbone_gflops": row["backbone_gflops"]}
        size = sizes[tuple(row["categories"])]
        found.setdefault(f"{row['threshold']:g}", {})[size] = scores | ({"kept": row["kept"]} if "kept" in row else {})
    return found


def _kept(contender: Contender, model: Path, judge: Judge, dataset: CocoDataset) -> dict[str, Any]:
    detector = TaskDetector.load(model, judge.device, judge.precision)
    detector.reach = contender.reach
    indices = [int(index) for index in evenly(len(dataset), judge.looks)]
    found = summarise(looks(detector, dataset, indices, threshold=detector.task.threshold))
    detector.close()
    return {"images": len(indices), "kinds": found["kinds"]}
