# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Dense, with the attention of most blocks cut into windows, as ViT-Adapter's own releases were trained.

A gate would leave windows of any number of tokens, for which nothing was published, so there is no pruned variant.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from tasktp_ros.vision.reducer import Reducer, ReductionState
from tasktp_ros.vision.stages import stage


class WindowedDense(Reducer):
    """Every block sees every token, but only the last of each `period` blocks sees them all at once.

    Args:
        period: blocks from one global block to the next: those between two interactions of the adapter.
    """

    def __init__(self, period: int) -> None:
        self.period = period

    def __call__(self, blocks: Sequence[nn.Module], first: int, tokens: Tensor, state: ReductionState) -> Tensor:
        with stage("blocks"):
            for index, block in enumerate(blocks, start=first + 1):
                tokens = block(tokens, windows=state.token_shape if index % self.period else None)
        return tokens
