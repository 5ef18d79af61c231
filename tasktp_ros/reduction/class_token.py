# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Methods that score tokens by a class token's attention: it runs along in front of them and never lies on the map.

Detectors have none; it is one more parameter, `cls_token`, with the position that pretrained transformers have for theirs.
"""

from abc import ABC

import torch
from torch import Tensor, nn

from tasktp_ros.vision.reducer import Reducer, ReductionState


class ClassTokenReducer(Reducer, ABC):
    """Base of EViT, Evo-ViT and ATS.

    Args:
        dim: token channels C.
    """

    def __init__(self, dim: int) -> None:
        self.class_token = nn.Parameter(torch.empty(1, 1, dim))
        nn.init.normal_(self.class_token, std=0.02)

    def published_parameters(self) -> dict[str, nn.Parameter]:
        return {"cls_token": self.class_token}

    def enter(self, tokens: Tensor, class_position: Tensor, state: ReductionState) -> None:
        state.memory = self.memory((self.class_token + class_position).expand(len(tokens), -1, -1), tokens)

    def memory(self, class_token: Tensor, tokens: Tensor) -> object:
        """What is carried between groups of blocks, at first: from the class token (B, 1, C) and all tokens (B, N, C)."""
        raise NotImplementedError
