# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Runs a recipe's stages: the loop around Lightning Fabric, which brings devices, precision and several processes."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from tasktp_ros.datasets.coco import CocoDataset
from tasktp_ros.datasets.mixed import MixedDataset
from tasktp_ros.errors import DataError, TrainingError
from tasktp_ros.reduction import is_task_aware
from tasktp_ros.runtime.checkpoints import ModelCard, save_model
from tasktp_ros.training.distillation import DistilledObjective
from tasktp_ros.training.failures import told_in_words
from tasktp_ros.training.loading import Share, StageImages, load_steps
from tasktp_ros.training.nanodet import NanoDet
from tasktp_ros.training.objectives import (
    DetectionObjective,
    GateObjective,
    LabelObjective,
    Losses,
    Objective,
    gate_parts,
)
from tasktp_ros.training.optimiser import learning_rate, parameter_groups, set_drop_path, set_learning_rate
from tasktp_ros.training.progress import Log, forget_checkpoint, load_checkpoint, save_checkpoint
from tasktp_ros.training.recipes import Recipe, Stage
from tasktp_ros.training.remembering import Teacher, TuningObjective
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.row_gradients import enable_row_gradients
from tasktp_ros.workers import children_ended


@dataclass(frozen=True)
class Run:
    """How a recipe is run here; nothing in it changes what is learned, but for `seed`.

    Attributes:
        folder: where checkpoint, logs and models go.
        seed: of data order, augmentation, noise and fresh weights.
        checkpoint_every: steps between checkpoints; also the most that is lost.
        log_every: steps that a row of the log averages.
        evaluate_every: steps between calls of `evaluate`; 0 = only at the end of a stage.
        workers: data loading processes per training process.
        micro_batches: parts that each process cuts its share of a batch into (gradient accumulation).
        resume: continue from the folder's checkpoint.
        overwrite: replace an earlier training in the folder.
    """

    folder: Path
    seed: int = 0
    checkpoint_every: int = 200
    log_every: int = 20
    evaluate_every: int = 0
    workers: int = 1
    micro_batches: int = 1
    resume: bool = False
    overwrite: bool = False


class Trainer:
    """Trains one detector by one recipe.

    Args:
        fabric: launched.
        detector: starts with these weights, on the CPU.
        dataset: training images; its vocabulary is the model's.
        evaluate: called on the first process with the averaged detector; its numbers are logged.
        teacher: for a fine-tuning, what it must not forget; or a detector of another kind to learn from.
        reach: what the model's card says of it; "" = how it is trained.

    Attributes:
        source: what the model's card says of whose weights it began with; settable until training ends.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        run: Run,
        detector: Detector,
        dataset: CocoDataset | MixedDataset,
        evaluate: Callable[[Detector], dict[str, float]] | None = None,
        teacher: Teacher | NanoDet | None = None,
        reach: str = "",
    ) -> None:
        self.fabric, self.recipe, self.run = fabric, recipe, run
        self.detector, self.dataset, self.evaluate = detector, dataset, evaluate
        follows = is_task_aware(recipe.method) and not recipe.stages[-1].freeze
        trained = recipe.gates.reach if follows else "blocks"
        self.teacher, self.reach = teacher, reach or trained
        self.source: dict[str, Any] = {}
        self.lengths = [stage_steps(stage, len(dataset)) for stage in recipe.stages]
        self.log: Log | None = None
        self._stopping = False

    def train(self) -> Path:
        """Run all stages, or the rest of them, and write the model.

        Returns:
            The model's file.

        Raises:
            TrainingError: a loss that is not finite, or a stop that was asked for; says where to resume.
            DataError: a checkpoint that is missing or belongs to another recipe.
        """
        shares = [self._share(stage) for stage in self.recipe.stages]
        first_stage, first_step, state = self._where_it_stopped() if self.run.resume else (0, 0, None)
        done = sum(self.lengths[:first_stage]) + first_step
        with _asked_to_stop(self), children_ended(), told_in_words(self.run.folder, self.fabric.world_size):
            self.run.folder.mkdir(parents=True, exist_ok=True)
            if self.fabric.is_global_zero:
                if not self.run.resume:
                    forget_checkpoint(self.run.folder)
                self.log = Log(self.run.folder, done)
            for number in range(first_stage, len(self.recipe.stages)):
                self._run_stage(number, first_step, state, shares[number])
                first_step, state = 0, None
        return self.run.folder / f"{self.recipe.name}.safetensors"

    def _run_stage(self, number: int, first: int, state: dict[str, Any] | None, share: Share) -> None:
        stage, steps = self.recipe.stages[number], self.lengths[number]
        objective = self._objective(stage)
        optimiser = torch.optim.AdamW(parameter_groups(objective, stage.weight_decay), lr=stage.rate, fused=None)
        if state is not None:
            objective.load_state_dict(state["objective"])
        model, optimiser = self.fabric.setup(objective, optimiser)
        average = AveragedModel(self.detector, avg_fn=moving_average(self.recipe.average), use_buffers=True)
        if state is not None:
            optimiser.load_state_dict(state["optimiser"])
            average.load_state_dict(state["average"])
        seed = self.run.seed * 1000 + number
        batches = load_steps(StageImages(self.dataset, stage, seed), share, first, steps, self.run.workers)
        meter = _Meter()
        model.train()
        bar = tqdm(range(first, steps), initial=first, total=steps, desc=f"{self.recipe.name} {stage.name}",
                   disable=None if self.fabric.is_global_zero else True)  # fmt: skip
        for step in bar:
            set_learning_rate(optimiser, learning_rate(stage, step, steps))
            torch.manual_seed(((seed * 1_000_003 + step) * 4099 + self.fabric.global_rank) % 2**63)
            losses = self._step(model, optimiser, batches, stage, share)
            self._check(losses, number, step)
            average.update_parameters(self.detector)
            meter.add(losses, stage.batch)
            after, last = step + 1, step + 1 == steps
            if after % self.run.log_every == 0 or last:
                row = meter.take() | {"stage": number, "rate": optimiser.param_groups[0]["lr"]}
                self._write(number, after, row)
                bar.set_postfix_str(f"loss {row['loss']:.3f}, {row['images_per_second']:.1f} images/s")
            if last or (self.run.evaluate_every and after % self.run.evaluate_every == 0):
                self._evaluate(number, after, average)
            stopping = self._someone_stops()
            if after % self.run.checkpoint_every == 0 or last or stopping:
                self._save(number, after, objective, optimiser, average, last)
            if stopping and not last:
                raise TrainingError(
                    f"stopped in stage {stage.name!r} after step {after} of {steps}; continue with --resume"
                )
        self.detector.load_state_dict(
            average.module.state_dict() if self.recipe.average else self.detector.state_dict()
        )

    def _step(
        self, model: Any, optimiser: torch.optim.Optimizer, batches: Iterator, stage: Stage, share: Share
    ) -> Losses:
        """One optimiser step; the losses, averaged over its micro batches."""
        parts = []
        optimiser.zero_grad(set_to_none=True)
        for part in range(share.micro_batches):
            batch = next(batches).to(self.fabric.device)
            more = part + 1 < share.micro_batches
            with self.fabric.no_backward_sync(model, enabled=more):
                losses = model(batch)
                total = torch.stack([value for name, value in losses.items() if name.startswith("loss")]).sum()
                self.fabric.backward(total / share.micro_batches)
            parts.append({name: value.detach() for name, value in losses.items()} | {"loss": total.detach()})
        if stage.clip:
            self.fabric.clip_gradients(model, optimiser, max_norm=stage.clip)
        optimiser.step()
        return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}

    def _someone_stops(self) -> bool:
        """Whether any process was asked to stop; all must leave the loop after the same step."""
        if self.fabric.world_size == 1:
            return self._stopping
        asked = torch.tensor(float(self._stopping), device=self.fabric.device)
        return bool(cast(Tensor, self.fabric.all_reduce(asked, reduce_op="sum")) > 0)

    def _objective(self, stage: Stage) -> Objective:
        """The stage's losses around the detector, with gradients only where the stage trains."""
        num_classes = len(self.dataset.vocabulary)
        objective: Objective
        if stage.objective == "labels":
            objective = LabelObjective(self.detector, num_classes, stage.counts)
        elif stage.objective == "gates" and self.detector.backbone.reducer.learns_at_gates:
            objective = GateObjective(self.detector, num_classes, stage.counts, self.recipe.gates)
        elif isinstance(self.teacher, NanoDet):
            objective = DistilledObjective(self.detector, num_classes, stage.counts, self.recipe.gates, self.teacher)
        elif self.teacher is not None:
            objective = TuningObjective(self.detector, num_classes, stage.counts, self.recipe.gates, self.teacher)
        else:
            objective = DetectionObjective(self.detector, num_classes, stage.counts, self.recipe.gates)
        parts = gate_parts(self.detector) if stage.freeze else objective.trained_parts
        # Where nothing tells gates what to keep they would have no gradient, for which several processes would wait.
        modules = self.detector.backbone.reducer.published_modules()
        idle = tuple(f"backbone.{name}." for name in modules) if stage.objective == "labels" else ()
        idle += self.recipe.frozen
        for name, parameter in self.detector.named_parameters():
            trained = name.startswith(tuple(f"{part}." for part in parts)) or name in parts
            parameter.requires_grad_(trained and not name.startswith(idle))
        if not any(parameter.requires_grad for parameter in objective.parameters()):
            raise DataError(
                f"stage {stage.name!r} freezes the detector, but method {self.recipe.method!r} has no gates"
            )
        set_drop_path(self.detector.backbone.blocks, stage.drop_path)
        return objective

    def _share(self, stage: Stage) -> Share:
        parts = self.fabric.world_size * self.run.micro_batches
        if stage.batch % parts:
            raise DataError(f"stage {stage.name!r} has a batch of {stage.batch} images, which {self.fabric.world_size} "
                            f"processes x {self.run.micro_batches} micro batches cannot share evenly")  # fmt: skip
        return Share(self.fabric.global_rank, self.fabric.world_size, stage.batch // parts, self.run.micro_batches)

    def _check(self, losses: Losses, number: int, step: int) -> None:
        if bool(torch.isfinite(losses["loss"])):
            return
        broken = [name for name, value in losses.items() if not bool(torch.isfinite(value)) and name != "loss"]
        raise TrainingError(f"the loss is not finite in stage {self.recipe.stages[number].name!r} at step {step} "
                            f"({', '.join(broken)}); the last checkpoint in {self.run.folder} is whole, continue from it "
                            "with --resume, perhaps with a lower --rate")  # fmt: skip

    def _evaluate(self, number: int, after: int, average: AveragedModel) -> None:
        if self.evaluate is not None and self.fabric.is_global_zero:
            self._write(number, after, self.evaluate(cast(Detector, average.module)) | {"stage": number})
        self.fabric.barrier()

    def _write(self, number: int, after: int, row: dict[str, float]) -> None:
        if self.log is not None:
            self.log.write(sum(self.lengths[:number]) + after - 1, row)

    def _save(
        self, number: int, after: int, objective: nn.Module, optimiser: Any, average: AveragedModel, last: bool
    ) -> None:
        if self.fabric.is_global_zero:
            model = cast(Detector, average.module) if self.recipe.average else self.detector
            file = self.run.folder / f"{self.recipe.name}.safetensors"
            self.save_weights(file, model, self.trained_with(number, after))
            state = {"recipe": self.recipe.name, "images": len(self.dataset), "lengths": self.lengths, "stage": number,
                     "step": after, "objective": objective.state_dict(), "optimiser": optimiser.state_dict(),
                     "average": average.state_dict()}  # fmt: skip
            state["vocabulary"] = list(self.dataset.vocabulary)
            if last:
                state = {key: state[key] for key in ("recipe", "images", "lengths", "vocabulary")}
                state |= {"stage": number + 1, "step": 0, "detector": model.state_dict()}
            save_checkpoint(self.run.folder, state)
        self.fabric.barrier()

    def save_weights(self, path: Path, model: Detector, trained_with: dict[str, Any]) -> None:
        """Write the model's file."""
        save_model(path, model, self.card(trained_with))

    def _where_it_stopped(self) -> tuple[int, int, dict[str, Any] | None]:
        """Stage, step, and the state in the middle of a stage; None at its start, where only the weights count."""
        state = load_checkpoint(self.run.folder)
        mine = (self.recipe.name, len(self.dataset), self.lengths)
        begun = state["stage"] + (state["step"] > 0)  # stages that come later may have changed since
        if (state["recipe"], state["images"], state["lengths"][:begun]) != (*mine[:2], self.lengths[:begun]):
            raise DataError(f"checkpoint in {self.run.folder} is of recipe {state['recipe']!r} with {state['images']} images "
                            f"and stages of {state['lengths']} steps, not {mine[0]!r}, {mine[1]}, {mine[2]}")  # fmt: skip
        if (named := state.get("vocabulary", list(self.dataset.vocabulary))) != list(self.dataset.vocabulary):
            raise DataError(f"checkpoint in {self.run.folder} is for the categories {', '.join(named)}, in this order, not "
                            f"{', '.join(self.dataset.vocabulary)}")  # fmt: skip
        if state["step"] == 0:
            self.detector.load_state_dict(state["detector"])
        return int(state["stage"]), int(state["step"]), state if state["step"] else None

    def trained_with(self, number: int, after: int) -> dict[str, Any]:
        """What `after` steps of stage `number` and the stages before it have seen."""
        done = (*self.lengths[:number], after)
        passes = sum(steps * stage.batch for steps, stage in zip(done, self.recipe.stages, strict=False))
        return {"images": len(self.dataset), "image_passes": passes, "seed": self.run.seed}

    def card(self, trained_with: dict[str, Any]) -> ModelCard:
        """What the model's file says about itself."""
        recipe = self.recipe
        return ModelCard(
            recipe.name,
            recipe.size,
            recipe.method,
            recipe.vocabulary,
            self.dataset.vocabulary,
            True,
            reach=self.reach,
            measured={"trained_with": trained_with},
            options=dict(recipe.options),
            source=self.source,
        )


class _Meter:
    """Averages of losses since the last row, and the pace."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = self._images = 0
        self._since = time.perf_counter()

    def add(self, losses: Losses, images: int) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, torch.zeros((), device=value.device)) + value.float()
        self._steps += 1
        self._images += images

    def take(self) -> dict[str, float]:
        row = {name: float(value) / self._steps for name, value in self._sums.items()}
        row["images_per_second"] = self._images / (time.perf_counter() - self._since)
        self.__init__()  # type: ignore[misc]
        return row


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential moving average whose decay grows from 0.1 to `decay`, so that it soon forgets the weights it began with.

    With a constant 0.999 half of the average after 700 steps would still be the start.
    """

    def blend(average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        share = min(decay, (1 + int(count)) / (10 + int(count)))
        return torch.lerp(average, current, 1.0 - share) if average.is_floating_point() else current

    return blend


def stage_steps(stage: Stage, images: int) -> int:
    """Optimiser steps of a stage on a data set of `images` images."""
    return stage.steps or max(1, round(stage.epochs * images / stage.batch))


def prepare_machine(device: torch.device) -> None:
    """On a CPU: one thread per process, since processes share the cores, and the fast backward where it can be built."""
    if device.type == "cpu":
        torch.set_num_threads(1)
        enable_row_gradients()


@contextmanager
def _asked_to_stop(trainer: Trainer) -> Iterator[None]:
    """SIGINT and SIGTERM end the training after the step that is running, with a checkpoint."""

    def ask(number: int, frame: FrameType | None) -> None:
        trainer._stopping = True

    kept = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
