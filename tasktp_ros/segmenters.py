# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Where a segmenter and its own guidance meet: neither knows of the other."""

from collections.abc import Sequence

from torch import Tensor, nn

from tasktp_ros.guidance.table import CategoryTable
from tasktp_ros.vision.pruned_encoding import PruneStage, check_stages
from tasktp_ros.vision.segment_pruners import SegmentPruner, build_pruner
from tasktp_ros.vision.segmenter import Segmentation, build_segmenter

OWN_PRUNER = "vltp"


class GoalSegmenter(nn.Module):
    """A segmenter with a learned table of guidance: what is trained, and what a model file holds.

    Args:
        size: "sam_nano", "sam_b", "sam_l" or "sam_h".
        num_classes: categories of the table.
        pruner: "vltp", which is the network's own prune decoder, or one of `PRUNERS` that it is compared with.

    Raises:
        InputError: unknown size or pruner, or no category.
    """

    def __init__(self, size: str, num_classes: int, pruner: str = OWN_PRUNER) -> None:
        super().__init__()
        self.network = build_segmenter(size)
        self.guidance = CategoryTable(num_classes)
        config = self.network.config
        self.pruner: SegmentPruner | None = (
            None if pruner == OWN_PRUNER else build_pruner(pruner, config.dim, config.depth, num_classes)
        )

    def forward(self, image: Tensor, relevant: Tensor, stages: tuple[PruneStage, ...] = ()) -> Segmentation:
        """Masks of images (B, 3, S, S) for task sets (B, C) bool; otherwise as `Segmenter.forward`."""
        return self.network(image, self.guidance(relevant), stages, self.pruner)

    def check_stages(self, stages: Sequence[PruneStage]) -> None:
        """Raises InputError for stages that its way of pruning cannot have."""
        depth = self.network.config.depth
        if self.pruner is None:
            check_stages(stages, depth)
        else:
            self.pruner.check(stages, depth)


def stages_of(pairs: tuple[tuple[int, float], ...]) -> tuple[PruneStage, ...]:
    """Pruning stages from pairs (blocks before it, rate)."""
    return tuple(PruneStage(int(after), float(rate)) for after, rate in pairs)
