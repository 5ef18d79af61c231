# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Where a segmenter and its own guidance meet: neither knows of the other."""

from torch import Tensor, nn

from tasktp_ros.guidance.table import CategoryTable
from tasktp_ros.vision.pruned_encoding import PruneStage
from tasktp_ros.vision.segmenter import Segmentation, build_segmenter


class GoalSegmenter(nn.Module):
    """A segmenter with a learned table of guidance: what is trained, and what a model file holds.

    Args:
        size: "sam_nano", "sam_b", "sam_l" or "sam_h".
        num_classes: categories of the table.

    Raises:
        InputError: unknown size, or no category.
    """

    def __init__(self, size: str, num_classes: int) -> None:
        super().__init__()
        self.network = build_segmenter(size)
        self.guidance = CategoryTable(num_classes)

    def forward(self, image: Tensor, relevant: Tensor, stages: tuple[PruneStage, ...] = ()) -> Segmentation:
        """Masks of images (B, 3, S, S) for task sets (B, C) bool; otherwise as `Segmenter.forward`."""
        return self.network(image, self.guidance(relevant), stages)


def stages_of(pairs: tuple[tuple[int, float], ...]) -> tuple[PruneStage, ...]:
    """Pruning stages from pairs (blocks before it, rate)."""
    return tuple(PruneStage(int(after), float(rate)) for after, rate in pairs)
