# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which images each step sees. A step's images and their augmentation follow from seed and step number alone, so that a
resumed training sees exactly what an uninterrupted one would have seen."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from tasktp_ros.datasets.coco import CocoDataset, Sample
from tasktp_ros.datasets.compose import compose
from tasktp_ros.datasets.mixed import MixedDataset
from tasktp_ros.errors import TaskTPError
from tasktp_ros.training.batch import Batch, collate
from tasktp_ros.training.image_order import ImageOrder
from tasktp_ros.training.recipes import Stage
from tasktp_ros.workers import end_with_parent

Draw = tuple[int, int]
"""Step, and position in the endless row of shuffled epochs."""

IMAGES_MORE = 4
"""That an image may be composed with."""
OTHER_SEED = 500
"""Added to a stage's seed for those; seeds of stages are less apart than this."""


@dataclass(frozen=True)
class Share:
    """This process's part of every step: `micro_batches` batches of `images`, process `rank` of `processes`."""

    rank: int
    processes: int
    images: int
    micro_batches: int

    def draws(self, step: int) -> Iterator[list[Draw]]:
        """The positions of each micro batch of one step."""
        first = step * self.images * self.micro_batches * self.processes
        for part in range(self.micro_batches):
            start = first + (part * self.processes + self.rank) * self.images
            yield [(step, position) for position in range(start, start + self.images)]


class StageImages(Dataset["Sample | TaskTPError"]):
    """Augmented images of one stage, by draw; for one that cannot be read the error, which keeps its sentence on its way
    out of a worker process only if it is not raised there."""

    def __init__(self, dataset: CocoDataset | MixedDataset, stage: Stage, seed: int) -> None:
        self.dataset, self.stage, self.seed = dataset, stage, seed
        self.order = ImageOrder(dataset, seed, stage.repeat_below)
        composed = stage.augment.paste or stage.augment.mosaic
        self.others = ImageOrder(dataset, seed + OTHER_SEED, stage.repeat_below) if composed else None

    def __getitem__(self, draw: Draw) -> Sample | TaskTPError:
        try:
            return self._sample(*draw)
        except TaskTPError as error:
            return error

    def _sample(self, step: int, position: int) -> Sample:
        inputs = self.stage.inputs
        size = inputs[np.random.default_rng((self.seed, step, 1)).integers(len(inputs))]
        random = np.random.default_rng((self.seed, position, 2))
        return compose(
            self.dataset[self.order(position)],
            lambda number: self._other(position * IMAGES_MORE + number),
            size,
            random,
            self.stage.augment,
        )

    def _other(self, position: int) -> Sample:
        assert self.others is not None, "only images that are composed ask for others"
        return self.dataset[self.others(position)]


def load_steps(images: StageImages, share: Share, first: int, last: int, workers: int) -> Iterator[Batch]:
    """Batches of the steps first..last-1, `share.micro_batches` for each; raises DataError at one that cannot be read."""
    plan = [draws for step in range(first, last) for draws in share.draws(step)]
    loader = DataLoader(images, batch_sampler=plan, num_workers=workers, collate_fn=_collate, worker_init_fn=_start_worker,
                        prefetch_factor=4 if workers else None)  # fmt: skip
    return map(_or_raised, loader)


def _or_raised(batch: Batch | TaskTPError) -> Batch:
    if isinstance(batch, TaskTPError):
        raise batch
    return batch


def _collate(samples: Sequence[Sample | TaskTPError]) -> Batch | TaskTPError:
    errors = [sample for sample in samples if isinstance(sample, TaskTPError)]
    return errors[0] if errors else collate(cast(Sequence[Sample], samples))


def _start_worker(worker: int) -> None:
    """One thread; and an interrupt meant for the training must not take its data away, it ends the workers itself."""
    cv2.setNumThreads(0)
    end_with_parent(signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
