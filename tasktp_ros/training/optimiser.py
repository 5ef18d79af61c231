# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""AdamW's parameter groups and the learning rate curve."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from tasktp_ros.training.recipes import Stage
from tasktp_ros.vision.vit import Residual

UNDECAYED_NAMES = ("pos_embed", "level_embed", "cls_token")
START = 1e-3
QUICK_NAMES = (".scale", ".sharpness", ".trust", ".context")
QUICK = 5.0
"""How much faster the few numbers by which a gate weighs what it knows of the image learn; at the rate of the others they stayed at their start."""


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Trainable parameters; norms, biases, gammas and embeddings of place and level without weight decay, and a presence head's
    weighing numbers at a rate of their own.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    quick: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim > 1 and not name.endswith(UNDECAYED_NAMES)
            weighing = ".presence." in name and name.endswith(QUICK_NAMES)
            (quick if weighing else decayed if plain else free).append(parameter)
    groups: list[dict] = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return [*groups, {"params": quick, "weight_decay": 0.0, "pace": QUICK}] if quick else groups


def learning_rate(stage: Stage, step: int, steps: int) -> float:
    """Rate of one step: a linear rise from a thousandth of the peak, then drops to a tenth or a cosine to a hundredth."""
    if step < stage.warm_up:
        return stage.rate * (START + (1.0 - START) * step / stage.warm_up)
    if stage.drops:
        return stage.rate * 0.1 ** sum(step >= share * steps for share in stage.drops)
    done = (step - stage.warm_up) / max(1, steps - stage.warm_up)
    return stage.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all groups one rate, times their own pace."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("pace", 1.0)


def set_drop_path(blocks: Iterable[nn.Module], highest: float) -> None:
    """Stochastic depth rising linearly from 0 at the first block to `highest` at the last."""
    blocks = list(blocks)
    for index, block in enumerate(blocks):
        for module in block.modules():
            if isinstance(module, Residual):
                module.drop_rate = highest * index / max(1, len(blocks) - 1)
