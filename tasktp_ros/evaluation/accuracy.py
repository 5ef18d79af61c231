# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Accuracy on category subsets, as the paper's table I: the method under its task, beside the dense model on the same
categories, once as it is and once restricted to them, since part of any gain is only that fewer classes are asked for.

Every pass over the images is a job of its own, whose result is written beside and renamed; an evaluation that was broken
off goes on with the jobs that are missing. A result belongs to the very files it was made from: should the model be
written anew, by a training that goes on, nothing of the old one is used.
"""

import hashlib
import itertools
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tasktp_ros.datasets.coco import CocoDataset, find_split
from tasktp_ros.errors import DataError
from tasktp_ros.evaluation.detect_set import as_results, detect_images, evenly
from tasktp_ros.evaluation.operations import stage_gflops
from tasktp_ros.evaluation.subsets import wrong_set
from tasktp_ros.files import file_mark, replacing
from tasktp_ros.runtime.shipped import model_file
from tasktp_ros.runtime.task_detector import TaskDetector
from tasktp_ros.workers import in_processes

BACKBONE = ("spatial_prior", "injector", "gates", "blocks", "extractor")
COUNTED_IMAGES = 8


@dataclass(frozen=True)
class Job:
    """One pass over the images.

    Attributes:
        model: name or file.
        data, split, images: the data set, and how many of its images.
        categories: the task set; None = all.
        wrong_size: instead of `categories`, as many that are not on the image, drawn per image; 0 = no.
        threshold: of the gates.
        reach: see `TaskDetector`.
        device, precision: as `TaskDetector.load`.
        files: which files the model and the annotations were when the evaluation was planned; from :func:`stamped`.
    """

    model: str
    data: str
    split: str
    images: int
    categories: tuple[str, ...] | None = None
    wrong_size: int = 0
    threshold: float = 0.5
    reach: str = "blocks"
    device: str = "auto"
    precision: str = "auto"
    files: str = ""

    @property
    def name(self) -> str:
        """Name of the result's file; differs when anything of the job, or of its files, does."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:20] + ".json"


def stamped(job: Job) -> Job:
    """The job with the mark of the files that its model and annotations are now."""
    model = model_file(job.model)
    files = [find_split(job.data, job.split)[1], *([model] if model else [])]
    marks = json.dumps([file_mark(file) for file in files])
    return replace(job, files=hashlib.sha256(marks.encode()).hexdigest()[:20])


def run_jobs(jobs: Sequence[Job], folder: Path, workers: int) -> Iterator[Job]:
    """Do the jobs whose result is not in `folder` yet; yields each when it is there.

    Raises:
        ProcessError: a worker process was ended from outside.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unique = list(dict.fromkeys(jobs))
    missing = [job for job in unique if not (folder / job.name).is_file()]
    yield from (job for job in unique if job not in missing)
    yield from in_processes(partial(_run_and_write, folder=folder), missing, workers)


def result_of(job: Job, folder: Path) -> dict[str, Any]:
    """A finished job's result."""
    return json.loads((folder / job.name).read_text())


def _run_and_write(job: Job, folder: Path) -> Job:
    result = run_job(job)
    if job.files and stamped(job).files != job.files:
        raise DataError(f"{job.model} or the annotations were written anew during the evaluation; run it again")
    with replacing(folder / job.name) as beside:
        beside.write_text(json.dumps(result))
    return job


def open_known(data: str | Path, split: str, vocabulary: Sequence[str]) -> CocoDataset:
    """A data set, with as much of a model's vocabulary as it has.

    Raises:
        DataError: it cannot be read, or has none of the categories.
    """
    try:
        return CocoDataset.open(data, split, vocabulary)
    except DataError:
        own = CocoDataset.open(data, split).vocabulary
        part = [name for name in vocabulary if name in own]
        if len(part) in (0, len(vocabulary)):
            raise
        return CocoDataset.open(data, split, part)


def run_job(job: Job) -> dict[str, Any]:
    """Detect on every image.

    Returns:
        detections: COCO results; images: per image its id, kept share per gated block and whether something of the task
        is on it; milliseconds: median per stage; gflops: backbone's, mean of a few images.
    """
    detector = TaskDetector.load(job.model, job.device, job.precision)
    dataset = open_known(job.data, job.split, detector.vocabulary)
    indices = evenly(len(dataset), job.images)
    detector.set_task(job.categories, threshold=job.threshold)
    detector.reach = job.reach
    known = dataset.vocabulary
    wanted = set(known if job.categories is None else job.categories)
    detections, images, timings = [], [], []
    for index in indices:
        present = {known[label] for label in dataset.labels_of(index)}
        if job.wrong_size:
            names = wrong_set(known, present, job.wrong_size, (dataset.image_ids[index], job.wrong_size))
            detector.set_task(names, threshold=job.threshold)
        ((_, found),) = detect_images(detector, dataset, [index])
        detections += as_results(found, dataset.image_ids[index], dataset.category_ids)
        images.append({"id": dataset.image_ids[index], "kept": found.kept, "target": bool(wanted & present)})
        timings.append(found.timings)
    stages = {
        name: round(statistics.median(timing.get(name, 0.0) for timing in timings), 3)
        for name in dict.fromkeys(itertools.chain(*timings))
    }
    counted = [
        _backbone_gflops(detector, dataset, index) for index in indices[:: max(1, len(indices) // COUNTED_IMAGES)]
    ]
    return {"detections": detections, "images": images, "milliseconds": stages, "gflops": float(np.mean(counted))}


def _backbone_gflops(detector: TaskDetector, dataset: CocoDataset, index: int) -> float:
    operations = stage_gflops(detector, dataset.picture(index))
    return sum(operations.get(stage, 0.0) for stage in BACKBONE)


@dataclass(frozen=True)
class Plan:
    """Everything an evaluation runs.

    Attributes:
        method: the job of the gated (or any) model without a task set; its other settings hold for all jobs.
        dense: the same job of the dense model to compare with; None = no comparison.
        subsets: per size the sets, as drawn by `subsets.draw_subsets`.
        vocabulary: the categories that are evaluated on: the model's, or the part of them that the data set has.
        whole: number of the model's categories.
        thresholds: gate thresholds of the sweep.
        gated: the method has gates, so that a wrong task is of interest.
        narrowed: the method is told the set; otherwise one pass with all categories serves every set.
    """

    method: Job
    dense: Job | None
    subsets: dict[str, list[tuple[str, ...]]]
    vocabulary: tuple[str, ...]
    whole: int
    thresholds: tuple[float, ...] = ()
    gated: bool = True
    narrowed: bool = True

    def with_set(self, chosen: tuple[str, ...]) -> Job:
        """The method's pass under a set; all that the model knows is no set."""
        whole = len(chosen) == self.whole or not self.narrowed
        return replace(self.method, categories=None if whole else chosen)

    def jobs(self) -> list[Job]:
        """All passes."""
        found = []
        for sets in self.subsets.values():
            for chosen in sets:
                job = self.with_set(chosen)
                found.append(job)
                if self.dense:
                    found += [self.dense, replace(self.dense, categories=job.categories)]
            if self.gated and len(sets[0]) < len(self.vocabulary):
                found.append(self.wrong(len(sets[0])))
        found += [replace(job, threshold=t) for t in self.thresholds for job in self.swept()]
        return found

    def wrong(self, size: int) -> Job:
        """The pass under sets that have nothing to do with the images."""
        return replace(self.method, wrong_size=size)

    def swept(self) -> list[Job]:
        """What the threshold sweep runs on: the first set of every size."""
        return [self.with_set(sets[0]) for sets in self.subsets.values()]
