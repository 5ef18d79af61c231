# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Evo-ViT (Slow-Fast Token Evolution), as its code and SViT's detectors run it: half of the tokens, by running class attention.

Tokens that are left out stay as they are. The paper's fast update of them, through one representative token, is in no released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from tasktp_ros.reduction.class_token import ClassTokenReducer
from tasktp_ros.reduction.inside import (
    add_attended,
    add_mlp,
    class_attention,
    mask_of,
    mix,
    project,
    put_rows,
    rows_of,
)
from tasktp_ros.reduction.registry import register
from tasktp_ros.reduction.schedule import best_first, checked_share, count_or_forced
from tasktp_ros.vision.reducer import ReductionState
from tasktp_ros.vision.stages import stage

FIRST = 4
"""Index, from 0, of the first block that is reduced; up to it scores are replaced and not averaged."""


@dataclass
class Running:
    """What is carried along.

    Attributes:
        class_token: (B, 1, C).
        scores: (B, N) attention of the class token, summed over heads, at least float32.
    """

    class_token: Tensor
    scores: Tensor


@register("evovit")
class EvoViT(ClassTokenReducer):
    """Before every block from the fifth on, the best scored int(kept * N) tokens are selected anew.

    Args:
        dim: token channels C.
        kept: share of all tokens that these blocks see, 0 to 1.
        trade_off: share of a block's own attention in the running score of the tokens it sees, 0 to 1.
    """

    first_reduced = FIRST

    def __init__(self, dim: int, kept: float = 0.5, trade_off: float = 0.5) -> None:
        super().__init__(dim)
        self.kept = checked_share("kept", kept)
        self.trade_off = checked_share("trade_off", trade_off)

    def memory(self, class_token: Tensor, tokens: Tensor) -> Running:
        return Running(class_token, tokens.new_zeros(tokens.shape[:2], dtype=_exact(tokens)))

    def __call__(self, blocks: Sequence[nn.Module], first: int, tokens: Tensor, state: ReductionState) -> Tensor:
        running = cast(Running, state.memory)
        total = tokens.shape[1]
        for number, block in enumerate(blocks, start=first):
            with stage("gates"):
                if number < FIRST:
                    index, rows, share = None, tokens, 1.0
                else:
                    count = count_or_forced(int(self.kept * total), total, state)
                    index = best_first(running.scores, count)
                    rows, share = rows_of(tokens, index), self.trade_off
                    keep = mask_of(index, total)
                    state.scores.append(running.scores)
                    state.masks.append(keep)
                    state.keep.append(keep)
            with stage("blocks"):
                running.class_token, rows, attention = _run(block, running.class_token, rows)
                if index is None:
                    tokens, running.scores = rows, attention
                else:
                    tokens = put_rows(tokens, index, rows)
                    mixed = torch.lerp(running.scores.gather(1, index), attention, share)
                    running.scores = running.scores.scatter(1, index, mixed)
        return tokens


def _run(block: nn.Module, class_token: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Class token, rows and, summed over heads, what the class token attended to in them (B, K)."""
    sequence = torch.cat((class_token, rows), dim=1)
    query, key, value = project(block, sequence)
    attention = class_attention(query, key).detach().sum(1)[:, 1:]
    sequence = add_mlp(block, add_attended(block, sequence, mix(query, key, value)))
    return sequence[:, :1], sequence[:, 1:], attention


def _exact(tokens: Tensor) -> torch.dtype:
    return torch.promote_types(tokens.dtype, torch.float32)
