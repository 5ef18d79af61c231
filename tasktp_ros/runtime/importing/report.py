# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What an import did with every tensor of a file, for people and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN = 5


@dataclass
class Report:
    """Names are those of the network, unless said otherwise.

    Attributes:
        told: what the file turned out to be.
        converted: tensors that were taken over.
        renamed: how many tensors had another name, by what was done to it.
        cast: how many tensors had another type of numbers, by that type.
        unused: names in the file that a detector has no use for, and what lies beside the weights, such as "optimizer".
        missing: the network has them, the file does not.
        left_over: names in the file that the network does not know.
        wrong_shape: with the shape found and the shape needed.
        not_finite: they hold values that are no numbers.
        assumed: what neither names nor metadata say and the published code does.
    """

    told: str = ""
    converted: int = 0
    renamed: dict[str, int] = field(default_factory=dict)
    cast: dict[str, int] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    wrong_shape: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every tensor found its place, and every place its tensor."""
        return not (self.missing or self.left_over or self.wrong_shape or self.not_finite)

    @property
    def faults(self) -> str:
        """In words what is not whole."""
        kinds = (
            ("missing", self.missing),
            ("left over", self.left_over),
            ("of the wrong shape", self.wrong_shape),
            ("not finite", self.not_finite),
        )
        return "; ".join(f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds if names)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """The same for people, a line for each thing there is to say."""
        told = [f"{self.told}: {self.converted} tensors converted"]
        told += [f"renamed: {how} ({count})" for how, count in self.renamed.items()]
        told += [f"cast to float32: {count} of {kind}" for kind, count in self.cast.items()]
        told += [f"not used: {_some(self.unused)}"] if self.unused else []
        for kind in ("missing", "left_over", "wrong_shape", "not_finite"):
            told += [f"{kind.replace('_', ' ')}: {name}" for name in getattr(self, kind)]
        return told + [f"assumed: {sentence}" for sentence in self.assumed]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
