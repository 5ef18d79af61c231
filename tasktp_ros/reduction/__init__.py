# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Token reduction methods, one file each, under one interface (`vision.reducer.Reducer`)."""

from collections.abc import Callable

from tasktp_ros.reduction.svit import SViT
from tasktp_ros.reduction.tasktp import TaskTP
from tasktp_ros.reduction.vltp import VLTP
from tasktp_ros.vision.reducer import Reducer, ReductionState

REDUCERS: dict[str, Callable[[int, int, bool], Reducer]] = {
    "dense": lambda dim, num_classes, presence: Reducer(),
    "tasktp": lambda dim, num_classes, presence: TaskTP(dim, num_classes, presence=presence),
    "svit": lambda dim, num_classes, presence: SViT(dim),
    "vltp": lambda dim, num_classes, presence: VLTP(dim, num_classes),
}

__all__ = ["REDUCERS", "Reducer", "ReductionState", "build_reducer"]


def build_reducer(name: str, dim: int, num_classes: int, presence: bool = False) -> Reducer:
    """Build a method by name for tokens of `dim` channels and a vocabulary of `num_classes`.

    Args:
        presence: gates also estimate whether anything of the task is on the image, where the method can.

    Raises:
        ValueError: unknown name.
    """
    if name not in REDUCERS:
        raise ValueError(f"unknown reducer {name!r}; expected one of {', '.join(REDUCERS)}")
    return REDUCERS[name](dim, num_classes, presence)
