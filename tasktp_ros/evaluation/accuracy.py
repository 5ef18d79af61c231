"""Accuracy on category subsets, as the paper's table I: the method under its task, beside the dense model on the same
categories, once as it is and once restricted to them, since part of any gain is only that fewer classes are asked for.

Every pass over the images is a job of its own, whose result is written beside and renamed; an evaluation that was broken
off goes on with the jobs that are missing.
"""

import hashlib
import json
import multiprocessing
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.evaluation.detect_set import as_results, detect_images, evenly
from tasktp_ros.evaluation.speed import stage_gflops
from tasktp_ros.evaluation.subsets import wrong_set
from tasktp_ros.files import replacing
from tasktp_ros.runtime.task_detector import TaskDetector

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
        device, precision: as `TaskDetector.load`.
    """

    model: str
    data: str
    split: str
    images: int
    categories: tuple[str, ...] | None = None
    wrong_size: int = 0
    threshold: float = 0.5
    device: str = "auto"
    precision: str = "auto"

    @property
    def name(self) -> str:
        """Name of the result's file; differs when anything of the job, or the model's file, does."""
        stamp = Path(self.model).stat().st_mtime_ns if Path(self.model).is_file() else 0
        return hashlib.sha256(json.dumps([asdict(self), stamp]).encode()).hexdigest()[:20] + ".json"


def run_jobs(jobs: Sequence[Job], folder: Path, workers: int) -> Iterator[Job]:
    """Do the jobs whose result is not in `folder` yet; yields each when it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    unique = list(dict.fromkeys(jobs))
    missing = [job for job in unique if not (folder / job.name).is_file()]
    yield from (job for job in unique if job not in missing)
    if workers < 2 or len(missing) < 2:
        for job in missing:
            yield _run_and_write((job, folder))
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(missing)), _one_thread) as pool:
        yield from pool.imap_unordered(_run_and_write, [(job, folder) for job in missing])


def result_of(job: Job, folder: Path) -> dict[str, Any]:
    """A finished job's result."""
    return json.loads((folder / job.name).read_text())


def _one_thread() -> None:
    torch.set_num_threads(1)


def _run_and_write(work: tuple[Job, Path]) -> Job:
    job, folder = work
    result = run_job(job)
    with replacing(folder / job.name) as beside:
        beside.write_text(json.dumps(result))
    return job


def run_job(job: Job) -> dict[str, Any]:
    """Detect on every image.

    Returns:
        detections: COCO results; images: per image its id, kept share per gated block and whether something of the task
        is on it; milliseconds: median per stage; gflops: backbone's, mean of a few images.
    """
    detector = TaskDetector.load(job.model, job.device, job.precision)
    dataset = CocoDataset.open(job.data, job.split, detector.vocabulary)
    indices = evenly(len(dataset), job.images)
    detector.set_task(job.categories, threshold=job.threshold)
    wanted = set(detector.vocabulary if job.categories is None else job.categories)
    detections, images, timings = [], [], []
    for index in indices:
        present = {detector.vocabulary[label] for label in dataset.labels_of(index)}
        if job.wrong_size:
            names = wrong_set(detector.vocabulary, present, job.wrong_size, (dataset.image_ids[index], job.wrong_size))
            detector.set_task(names, threshold=job.threshold)
        ((_, found),) = detect_images(detector, dataset, [index])
        detections += as_results(found, dataset.image_ids[index], dataset.category_ids)
        images.append({"id": dataset.image_ids[index], "kept": found.kept, "target": bool(wanted & present)})
        timings.append(found.timings)
    stages = {name: round(statistics.median(t.get(name, 0.0) for t in timings), 3) for name in timings[0]}
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
        dense: name or file of the dense model to compare with; "" = none.
        subsets: per size the sets, as drawn by `subsets.draw_subsets`.
        thresholds: gate thresholds of the sweep.
    """

    method: Job
    dense: str
    subsets: dict[str, list[tuple[str, ...]]]
    thresholds: tuple[float, ...] = ()

    def with_set(self, chosen: tuple[str, ...], whole: int) -> Job:
        """The method's pass under a set; the whole vocabulary is "all"."""
        return replace(self.method, categories=None if len(chosen) == whole else chosen)

    def jobs(self, whole: int) -> list[Job]:
        """All passes; a vocabulary of `whole` categories."""
        found = []
        for sets in self.subsets.values():
            for chosen in sets:
                job = self.with_set(chosen, whole)
                found.append(job)
                if self.dense:
                    found += [replace(self.method, model=self.dense), replace(job, model=self.dense)]
            if len(sets[0]) < whole:
                found.append(self.wrong(len(sets[0])))
        found += [replace(job, threshold=t) for t in self.thresholds for job in self.swept(whole)]
        return found

    def wrong(self, size: int) -> Job:
        """The pass under sets that have nothing to do with the images."""
        return replace(self.method, wrong_size=size)

    def swept(self, whole: int) -> list[Job]:
        """What the threshold sweep runs on: the first set of every size."""
        return [self.with_set(sets[0], whole) for sets in self.subsets.values()]
