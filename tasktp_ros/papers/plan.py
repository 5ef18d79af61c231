# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.


"""Who is compared in the papers' tables: every contender with its method, options and training, the most wanted first.

All learned methods start from the same dense model and are trained on the same number of images; the dense model itself is
trained on for as many as a row of its own, or more training would be taken for better pruning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasktp_ros.errors import InputError

PUBLISHED_GATES = "plain"
"""Which released configuration (`gate_losses.GATE_RECIPES`) trains TaskTP's gates as published: the other one weighs their losses
by 0.001 to 0.04, for trainings of hundreds of thousands of images."""
SEEDS = (0, 1, 2)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Of figure 2."""
ALL = "all"
"""The size of a set that is the whole vocabulary."""
SIZES = ("1", "10", "40", ALL)


@dataclass(frozen=True)
class Contender:
    """One row of a table, or one of the trainings that a row is the mean of.

    Attributes:
        key: of the training with seed 0; see :attr:`name`.
        title: of its row.
        group: key of `GROUPS`.
        method, options: of token reduction (docs/methods.md).
        trained: by the budget; otherwise it runs on the dense model's weights.
        seed: of its training.
        gates: key of `GATE_RECIPES`; "" = the recipe's own.
        reach: how far the task is followed in training and at test ("blocks" as published, or "network").
        sizes: of the category sets that it is evaluated on.
        thresholds: of its gates that it is also evaluated at.
    """

    key: str
    title: str
    group: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    trained: bool = True
    seed: int = 0
    gates: str = ""
    reach: str = "blocks"
    sizes: tuple[str, ...] = SIZES
    thresholds: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Unique: of its result, its training's folder and its model."""
        return f"{self.key}-seed-{self.seed}" if self.seed else self.key


GROUPS = {
    "main": "TaskTP's tables I and II: one training each",
    "seeds": "dense, svit and tasktp with two more seeds",
    "tasktp": "TaskTP's options: tables III, IV and V",
    "svit": "SViT's tables 2 to 5: removing, and its options",
    "more": "other linkages of ATC, ATS as it is, the other released training of gates",
}
FEW = ("1", ALL)


def _tasktp(key: str, title: str, group: str = "tasktp", **options: Any) -> Contender:
    return Contender(key, title, group, "tasktp", options, gates=PUBLISHED_GATES, sizes=FEW)


def _svit(key: str, title: str, group: str = "svit", **options: Any) -> Contender:
    return Contender(key, title, group, "svit", options, sizes=(ALL,))


def _as_it_is(method: str, title: str, group: str = "main") -> Contender:
    return Contender(f"{method}-untrained", f"{title}, dense weights", group, method, trained=False)


_MAIN = (
    Contender("dense-start", "dense, as it was", "main", "dense", trained=False),
    Contender("dense", "dense, trained on", "main", "dense"),
    Contender("tasktp", "TaskTP", "main", "tasktp", gates=PUBLISHED_GATES, thresholds=THRESHOLDS),
    Contender("svit", "SViT", "main", "svit"),
    Contender("tasktp-network", "TaskTP, our training, beyond the blocks", "main", "tasktp", reach="network"),
    _as_it_is("tome", "ToMe"),
    _as_it_is("atc", "ATC"),
    Contender("evit", "EViT", "main", "evit"),
    Contender("evovit", "Evo-ViT", "main", "evovit"),
    Contender("dynamicvit", "DynamicViT", "main", "dynamicvit"),
    Contender("tome", "ToMe", "main", "tome"),
    Contender("atc", "ATC", "main", "atc"),
)
_REPEATED = tuple(
    replace(contender, group="seeds", seed=seed, thresholds=())
    for seed in SEEDS[1:]
    for contender in _MAIN
    if contender.key in ("dense", "tasktp", "svit")
)
PLAN: tuple[Contender, ...] = (
    *_MAIN,
    *_REPEATED,
    _tasktp("tasktp-relevance", "TaskTP, relevance rule alone", early_rule=False),
    _tasktp("tasktp-no-embedding", "TaskTP without embedding", embedding=False),
    *(_tasktp(f"tasktp-top-{top}", f"TaskTP, k = {top}", top=top) for top in (1, 4, 10, 3, 5)),
    _tasktp("tasktp-every-block", "TaskTP, a gate before every block", blocks_per_gate=1),
    _svit("svit-no-reactivation", "SViT without reactivation", reactivate=False),
    _svit("svit-fixed", "SViT, fixed rate", fixed_rate=True),
    _svit("svit-fixed-no-reactivation", "SViT, fixed rate, without reactivation", fixed_rate=True, reactivate=False),
    _svit("svit-complex", "SViT, complex gate", complex_gate=True),
    Contender("ats", "ATS", "svit", "ats", sizes=(ALL,)),
    *(
        Contender(f"{name}-remove", f"{title}, removing", "svit", f"{name}_remove", sizes=(ALL,))
        for name, title in (("dynamicvit", "DynamicViT"), ("evit", "EViT"), ("ats", "ATS"))
    ),
    _svit("svit-sampled", "SViT, sampled gate", sampled=True),
    *(
        one
        for linkage in ("single", "average")
        for one in (
            replace(_as_it_is(f"atc_{linkage}", f"ATC, {linkage} linkage", "more"), key=f"atc-{linkage}-untrained"),
            Contender(f"atc-{linkage}", f"ATC, {linkage} linkage", "more", f"atc_{linkage}", sizes=(ALL,)),
        )
    ),
    _as_it_is("ats", "ATS", "more"),
    replace(_tasktp("tasktp-final", "TaskTP, the training released as final", "more"), gates="final"),
)


def chosen(words: Sequence[str], plan: Sequence[Contender] = PLAN) -> tuple[Contender, ...]:
    """Contenders by group, key (all of its seeds) or name, in the plan's order; all of them without words.

    Raises:
        InputError: a word that is none of these.
    """
    known = {word for one in plan for word in (one.group, one.key, one.name)}
    if unknown := [word for word in words if word not in known]:
        groups, keys = ", ".join(GROUPS), ", ".join(dict.fromkeys(one.key for one in plan))
        raise InputError(f"nothing in the plan is called {unknown[0]!r}; groups are {groups}; contenders {keys}")
    return tuple(one for one in plan if not words or {one.group, one.key, one.name}.intersection(words))
