# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""From the scores a network gives its boxes to how probable it is that a box is right; a model's card holds the numbers."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ScoreMap:
    """sigmoid(scale * logit(score) + shift): rises everywhere, so it changes no order among detections.

    Attributes:
        scale: above 0; below 1 the network was too sure, above 1 not sure enough.
        shift: above 0 the network's scores were too low.

    Raises:
        ValueError: numbers that are not finite, or a scale that is not above 0.
    """

    scale: float
    shift: float

    def __post_init__(self) -> None:
        numbers = (self.scale, self.shift)
        if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers) or self.scale <= 0:
            raise ValueError(f"a score map needs a finite scale above 0 and a finite shift, got {numbers}")

    def probabilities(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The probability of being right for each score.

        Args:
            scores: (D,) float, 0..1.

        Returns:
            (D,) float32, 0..1, in the same order.
        """
        exact = np.asarray(scores, dtype=np.float64)
        with np.errstate(divide="ignore", over="ignore"):
            logits = np.log(exact) - np.log1p(-exact)
            return (1.0 / (1.0 + np.exp(-(self.scale * logits + self.shift)))).astype(np.float32)

    def score(self, probability: float) -> float:
        """The score that becomes this probability; what lies outside of 0..1 counts as its end."""
        if not 0.0 < probability < 1.0:
            return 0.0 if probability <= 0.0 else 1.0
        logit = (math.log(probability) - math.log1p(-probability) - self.shift) / self.scale
        rest = math.exp(-abs(logit))
        return (1.0 if logit >= 0 else rest) / (1.0 + rest)

    def cut_off(self, threshold: float) -> float:
        """A score such that every score which becomes more than `threshold` lies above it, and hardly any other.

        It is lower than the exact one by the last digits of a float32, so that rounding loses nothing; whoever cuts there
        compares probabilities afterwards.
        """
        zero = np.float32(0)
        below = np.nextafter(np.nextafter(np.float32(threshold), zero), zero)
        return float(np.nextafter(np.float32(self.score(float(below))), zero))
