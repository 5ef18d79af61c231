"""Token reduction methods, one file each, under one interface (`vision.reducer.Reducer`)."""

from collections.abc import Callable

from tasktp_ros.reduction.svit import SViT
from tasktp_ros.reduction.tasktp import TaskTP
from tasktp_ros.vision.reducer import Reducer, ReductionState

REDUCERS: dict[str, Callable[[int, int], Reducer]] = {
    "dense": lambda dim, num_classes: Reducer(),
    "tasktp": TaskTP,
    "svit": lambda dim, num_classes: SViT(dim),
}

__all__ = ["REDUCERS", "Reducer", "ReductionState", "build_reducer"]


def build_reducer(name: str, dim: int, num_classes: int) -> Reducer:
    """Build a method by name for tokens of `dim` channels and a vocabulary of `num_classes`.

    Raises:
        ValueError: unknown name.
    """
    if name not in REDUCERS:
        raise ValueError(f"unknown reducer {name!r}; expected one of {', '.join(REDUCERS)}")
    return REDUCERS[name](dim, num_classes)
