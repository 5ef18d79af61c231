# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What training tells a method of token reduction, so that a method can say in its own file what it learns from."""

from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from tasktp_ros.vision.reducer import ReductionState


class LearningSettings(Protocol):
    """How gates are trained; `training.gate_losses.GateRecipe` says what each means."""

    @property
    def reach(self) -> str:
        """How far the task is followed while training."""

    @property
    def sample_noise(self) -> bool:
        """Decisions by Gumbel noise, where the method leaves it open."""

    @property
    def stop_gradient(self) -> bool:
        """The category loss of gates does not reach the backbone, where the method has one."""


class Lesson(Protocol):
    """One batch's truth, for `Reducer.losses`: what a method does not ask for is not computed."""

    def token_labels(self) -> Tensor:
        """(B, N) int64 category of each token, background num_classes, negative where it is unknown."""

    def gate_losses(self, state: "ReductionState", early_rule: bool | None = None) -> dict[str, Tensor]:
        """Category and pruning losses of gates that fill `class_logits` and `keep_logits` (TaskTP's equations 8 to 10).

        early_rule: also prune tokens whose category is already known; None = as the training says.
        """

    def presence_losses(self, state: "ReductionState") -> dict[str, Tensor]:
        """Loss of `presence`, empty where no gate estimates it."""

    def prune_map_losses(self, state: "ReductionState") -> dict[str, Tensor]:
        """Loss of the logits (B, N) in `scores` against the map of what the task asks for (VLTP)."""
