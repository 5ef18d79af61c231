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
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from tasktp_ros.reduction.schedule import DEPTH, FIRST
from tasktp_ros.reduction.shortened import Shortened
from tasktp_ros.vision.reducer import Reducer, ReductionState


class ClassTokenReducer(Reducer, ABC):
    """Base of EViT, Evo-ViT and ATS.

    Args:
        dim: token channels C.

    Attributes:
        first_reduced: index (from 0) of the first block that may see fewer tokens.
    """

    first_reduced: ClassVar[int] = FIRST

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def gated_blocks(self) -> tuple[int, ...]:
        return tuple(range(self.first_reduced, DEPTH))

    def published_parameters(self) -> dict[str, nn.Parameter]:
        return {"cls_token": nn.Parameter(nn.init.normal_(torch.empty(1, 1, self.dim), std=0.02))}

    def enter(self, backbone: nn.Module, tokens: Tensor, state: ReductionState) -> None:
        class_token = cast(Tensor, backbone.cls_token) + cast(Tensor, backbone.pos_embed)[:, :1]
        state.memory = self.memory(class_token.expand(len(tokens), -1, -1), tokens)

    def memory(self, class_token: Tensor, tokens: Tensor) -> object:
        """What is carried between groups of blocks, at first: from the class token (B, 1, C) and all tokens (B, N, C)."""
        return Shortened.whole(class_token, tokens)
