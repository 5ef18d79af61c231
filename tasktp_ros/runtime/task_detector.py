# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The detector a robot uses: told a task, given images, it returns what was found in source pixels."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tasktp_ros.errors import InputError, TaskError
from tasktp_ros.runtime.checkpoints import ModelCard
from tasktp_ros.runtime.default import DEFAULT_MODEL
from tasktp_ros.runtime.detections import Detections
from tasktp_ros.runtime.execution import check_execution
from tasktp_ros.runtime.masks import paste
from tasktp_ros.runtime.models import open_model
from tasktp_ros.runtime.precision import choose_device, choose_precision
from tasktp_ros.runtime.prepare import prepare_for_inference
from tasktp_ros.runtime.static_path import SLOTS, Geometry, Read, StaticPath
from tasktp_ros.runtime.stream import Arrival, Seen
from tasktp_ros.runtime.timing import recorder_for
from tasktp_ros.runtime.upload import Uploader
from tasktp_ros.tasks.vocabulary import Task, resolve_categories
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.image import PATCH, ImageFrame, frame_for, to_input
from tasktp_ros.vision.reach import check_reach
from tasktp_ros.vision.reducer import ReductionState, of_task
from tasktp_ros.vision.stages import recording, stage

MAX_PIXELS = 10_000 * 10_000


class TaskDetector:
    """Weights, task, device and precision in one place; the network itself is stateless.

    Use :meth:`load`. All methods may be called from any thread; images are detected one after the other.

    Attributes:
        score_threshold: detections score more than this, 0..1, in the scores of the results; settable at any time.
        score_map: how the network's scores become those of the results; None = they are the same. At first the model's own.
        max_detections: most detections per image; settable at any time.
        stop_below: under reach "frame", per gate the presence (0..1) below which a frame is left; at first the model's own.
        forced_share: for benchmarks: share of tokens every gate keeps, whatever it thinks; None = the gates decide.
    """

    def __init__(self, network: Detector, card: ModelCard, device: torch.device, dtype: torch.dtype) -> None:
        self.card = card
        self.device = device
        self.score_threshold = 0.5
        self.score_map = card.score_map
        self.max_detections = 100
        self.stop_below = card.stop_below
        self.forced_share: float | None = None
        self._reach = check_reach(card.reach)
        self._dtype = dtype
        self._resize = card.resize()
        self._network: Detector | None = prepare_for_inference(network, device, dtype)
        self._uploader = Uploader(device)
        self._static: StaticPath | None = None
        self._execution = "dynamic"
        self._busy = threading.Lock()
        self._threshold = network.backbone.reducer.threshold
        self._asked: tuple[Task, Tensor | None] = (Task(threshold=self._threshold), None)

    @classmethod
    def load(cls, model: str | Path = DEFAULT_MODEL, device: str = "auto", precision: str = "auto") -> "TaskDetector":
        """Load a model and put it on its device.

        Args:
            model: a shipped name or the path of a .safetensors file.
            device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
            precision: "auto" (bf16 where this machine is fast at it), "float32" or "bfloat16".

        Raises:
            ModelError: the model, device or precision cannot be used; the sentence says why.
        """
        chosen_device = choose_device(device)
        dtype = choose_precision(precision, chosen_device)
        network, card = open_model(model)
        return cls(network, card, chosen_device, dtype)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.card.name

    @property
    def label(self) -> str:
        """Name for logs and pages; says `untrained` when the weights are random."""
        return self.card.label

    @property
    def trained(self) -> bool:
        """False when the weights are random."""
        return self.card.trained

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Category names the model knows, in the order of `Detections.labels`."""
        return self.card.vocabulary

    @property
    def vocabulary_name(self) -> str:
        """Name of the vocabulary, such as "coco"."""
        return self.card.vocabulary_name

    @property
    def method(self) -> str:
        """Token reduction method: "dense", "tasktp", ..."""
        return self.card.method

    @property
    def precision(self) -> str:
        """Float type of the network: "float32" or "bfloat16"."""
        return str(self._dtype).removeprefix("torch.")

    @property
    def input_size(self) -> tuple[int, int]:
        """Longest (shorter, longer) side in px that an image is scaled to."""
        return self._resize.short, self._resize.long

    @property
    def reach(self) -> str:
        """How far the task is followed: "blocks" (gates prune blocks alone, as published), "network" (everything after a gate
        works around kept tokens) or "frame" (and a frame without anything of the task is left at a gate). At first what the
        model was trained for. Settable at any time; ValueError for another word.
        """
        return self._reach

    @reach.setter
    def reach(self, reach: str) -> None:
        self._reach = check_reach(reach)

    @property
    def execution(self) -> str:
        """How a frame is run, which changes its time but not its result: "dynamic" (as many tokens and regions as there are),
        "static" (in static shapes) or "graphs" (likewise, replayed from CUDA graphs). Settable at any time; ValueError for
        another word, and for "graphs" without a CUDA device. Methods that cannot run in static shapes stay "dynamic".
        """
        return self._execution

    @execution.setter
    def execution(self, execution: str) -> None:
        check_execution(execution, self.device.type)
        if not self.network().backbone.reducer.static_shapes:
            execution = "dynamic"
        with self._busy:
            self._execution = execution
            captured = execution == "graphs"
            self._static = None
            if execution != "dynamic":
                self._static = StaticPath(self.network(), self.device, self._dtype, captured)

    @property
    def not_fitted(self) -> tuple[int, int]:
        """Frames since :attr:`execution` was set that did not fit static shapes: that ran again with more token rows, and that
        were run dynamically.
        """
        return (0, 0) if self._static is None else (self._static.repeated, self._static.left_over)

    @property
    def task(self) -> Task:
        """The task the next image will be detected under."""
        return self._asked[0]

    def set_task(
        self,
        categories: Sequence[str] | None,
        *,
        task_id: str = "",
        revision: int = 0,
        threshold: float | None = None,
    ) -> Task:
        """Say what to look for, from the next image on; costs microseconds.

        Args:
            categories: names of :attr:`vocabulary`; None = all.
            task_id, revision: echoed in every result.
            threshold: a token is kept when its gate score exceeds this, 0 < threshold < 1; None = the model's own, mostly 0.5.

        Raises:
            TaskError: empty set, unknown name or a threshold outside its range; the task stays as it was.
        """
        chosen = resolve_categories(categories, self.vocabulary)
        threshold = self._threshold if threshold is None else float(threshold)
        if not 0.0 < threshold < 1.0:
            raise TaskError(f"the prune threshold must be between 0 and 1 (both excluded), got {threshold}")
        relevant = None
        if chosen is not None:
            members = set(chosen)
            relevant = torch.tensor([name in members for name in self.vocabulary], device=self.device)
        task = Task(chosen, task_id, revision, threshold)
        self._asked = (task, relevant)
        return task

    def network(self) -> Detector:
        """The prepared network, for measurements.

        Raises:
            RuntimeError: the detector was closed.
        """
        if self._network is None:
            raise RuntimeError("this detector was closed; load it again")
        return self._network

    def warm_up(self, height: int = 480, width: int = 640) -> None:
        """Detect on a blank image of this size, so that the first real one is not slower than the rest; where frames are run in
        static shapes, with every number of kept tokens."""
        image = np.zeros((height, width, 3), dtype=np.uint8)
        self.detect(image)
        with self._busy, torch.inference_mode():
            if self._static is not None:
                _, state = self.new_state()
                self._static.prepare(self._geometry(frame_for(height, width, self._resize), False, state))

    def close(self) -> None:
        """Give the device's memory back; later detections raise RuntimeError."""
        with self._busy:
            self._network, self._static = None, None
            self._uploader.release()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def cut_off(self) -> float:
        """What :attr:`score_threshold` is among the scores of the network."""
        threshold, score_map = self.score_threshold, self.score_map
        return threshold if score_map is None else score_map.cut_off(threshold)

    def in_results(self, score: float) -> float:
        """What a score of the network, 0..1, is called in results."""
        return score if self.score_map is None else float(self.score_map.probabilities(np.array([score]))[0])

    def detect(self, image: NDArray[np.uint8], arrival: Arrival | None = None) -> Detections:
        """Find the task's categories in one image.

        Args:
            image: (H, W, 3) uint8 RGB; any strides, so that views of messages need no copy.
            arrival: its place in a camera's stream (`TokenStream.at`): what is known from the images before decides which tokens
                enter the first block. None = all do. A model without gates keeps everything and takes no notice.

        Raises:
            InputError: wrong shape or dtype, empty, or more than 100 million pixels.
            RuntimeError: the detector was closed.
        """
        check_image(image)
        task, state = self.new_state()
        with self._busy, torch.inference_mode():
            return self._detect(self.network(), image, task, state, arrival)

    def new_state(self) -> tuple[Task, ReductionState]:
        """The task as it is now, and what one pass of the network is to know of it and of this detector's settings."""
        task, relevant = self._asked
        state = self.network().backbone.reducer.begin(relevant, task.threshold)
        state.forced_share, state.reach, state.stop_below = self.forced_share, self._reach, self.stop_below
        return task, state

    def _detect(
        self, network: Detector, image: NDArray[np.uint8], task: Task, state: ReductionState, arrival: Arrival | None
    ) -> Detections:
        started = time.perf_counter()
        recorder = recorder_for(self.device)
        frame = frame_for(image.shape[0], image.shape[1], self._resize)
        with recording(recorder):
            with stage("preprocess"):
                pixels, reversed_channels = self._uploader.upload(image)
            read, entering = None, None
            if self._static is not None and arrival is None:
                geometry = self._geometry(frame, reversed_channels, state)
                read = self._static.detect(pixels, geometry, state, self.cut_off)
            if read is None:
                read, entering = self._detect_dynamic(network, pixels, reversed_channels, frame, state, task, arrival)
            with stage("postprocess"):
                if self.score_map is not None:
                    read = read.with_probabilities(self.score_map, self.score_threshold)
                boxes = frame.boxes_to_source(torch.from_numpy(read.boxes[: self.max_detections])).numpy()
                windows = [paste(mask, box, *frame.source) for mask, box in zip(read.masks, boxes, strict=False)]
        timings = recorder.milliseconds()
        timings["total"] = (time.perf_counter() - started) * 1000.0
        scores, labels = read.scores[: len(boxes)], read.labels[: len(boxes)]
        names = [self.vocabulary[label] for label in labels]
        token_masks = read.keep.reshape(-1, frame.padded[0] // PATCH, frame.padded[1] // PATCH)
        return Detections(
            boxes,
            scores,
            labels,
            names,
            windows,
            token_masks,
            read.presence,
            timings,
            task,
            state.reach,
            frame,
            entering,
        )

    def _detect_dynamic(
        self,
        network: Detector,
        pixels: Tensor,
        reversed_channels: bool,
        frame: ImageFrame,
        state: ReductionState,
        task: Task,
        arrival: Arrival | None,
    ) -> tuple[Read, NDArray[np.bool_] | None]:
        """What was found, and under a stream which tokens entered (None = all)."""
        with stage("preprocess"):
            batch = to_input(pixels, frame, self._dtype, reversed_channels)
        entering, seen = None, None
        if arrival is not None and network.backbone.reducer.follows_streams:
            with stage("stream"):
                seen = Seen(arrival.stamp, arrival.view, frame, task, thumbnail(batch))
                entering = arrival.stream.entering(seen)
                if entering is not None:
                    state.entering = torch.from_numpy(entering.reshape(1, -1)).to(self.device)
        found = network(batch, [frame.content], state, self.cut_off, self.max_detections)[0]
        with stage("postprocess"):
            boxes, scores, labels, masks = (
                part.cpu().numpy() for part in (found.boxes, found.scores, found.labels, found.masks)
            )
            tokens = (frame.padded[0] // PATCH) * (frame.padded[1] // PATCH)
            # Blocks after an early stop ran no token.
            keep = np.zeros((len(network.backbone.reducer.gated_blocks()), tokens), dtype=bool)
            if state.keep:
                keep[: len(state.keep)] = torch.cat(state.keep).cpu().numpy()
            presence = [float(of_task(logits, state.relevant).amax().sigmoid()) for logits in state.presence]
        if arrival is not None and seen is not None:
            kept = torch.cat(state.masks).any(0).cpu().numpy()
            arrival.stream.remember(seen, kept.reshape(seen.thumbnail.shape))
        return Read(boxes, scores, labels, masks, keep, tuple(presence)), entering

    def _geometry(self, frame: ImageFrame, reversed_channels: bool, state: ReductionState) -> Geometry:
        slots = SLOTS * max(1, -(-self.max_detections // SLOTS))
        return Geometry(frame, reversed_channels, state.reach, state.stop_below, state.forced_share, slots)


def thumbnail(batch: Tensor) -> NDArray[np.float32]:
    """Per token the mean of a normalised input (1, 3, H, W) over its pixels and colours: (H / 16, W / 16)."""
    return avg_pool2d(batch, PATCH)[0].float().mean(0).cpu().numpy()


def check_image(image: NDArray[np.uint8]) -> None:
    """Refuse what no detector can read.

    Raises:
        InputError: with what was given and what is expected.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image must be a numpy array (height, width, 3) of uint8, got {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"an image must have shape (height, width, 3), got {image.shape}")
    if image.dtype != np.uint8:
        raise InputError(f"an image must be uint8 RGB in 0..255, got {image.dtype}")
    height, width = image.shape[:2]
    if height == 0 or width == 0:
        raise InputError(f"an image must have at least one pixel, got {height} x {width}")
    if height * width > MAX_PIXELS:
        raise InputError(f"an image may have at most {MAX_PIXELS:,} pixels, got {height} x {width}")
