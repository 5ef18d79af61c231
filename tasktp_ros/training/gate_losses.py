# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What TaskTP's gates learn from: the category loss (equation 9) and the pruning pseudo-labels and loss (8 and 10)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasktp_ros.reduction.tasktp import KEEP
from tasktp_ros.training.batch import Truth
from tasktp_ros.training.labels import UNKNOWN
from tasktp_ros.training.partly_labelled import fold_unlabelled, labelled_of
from tasktp_ros.training.task_sampling import FEWER_SET_SIZES, SET_SIZES

PRUNE = 1 - KEEP
LEAST_VISIBLE = 0.0025
"""Share of the image from which on an object counts as visible, as in object search."""


@dataclass(frozen=True)
class GateRecipe:
    """How gates are trained; two released configurations (methods.md, card 1).

    Attributes:
        class_weights, prune_weights: weight of each gate's category and pruning loss.
        sample_noise: decisions by Gumbel noise; otherwise plain straight-through.
        stop_gradient: the category loss does not reach the backbone.
        set_sizes: sizes that task sets are drawn from.
        ignore_irrelevant: irrelevant objects are neither object nor background and their class scores fold into it.
        early_rule: also prune tokens whose category is already known (equation 8, first case; table V).
        guess_rule: keep tokens that a gate takes for relevant though they are not (equation 8, second case); otherwise only what
            is relevant is kept.
        class_loss: "focal" (class-balanced), "plain" cross-entropy (table 1b, row 13), or "even": see `even_cross_entropy`.
        published_labels: sample token labels as the published code does instead of by area (table 1b, rows 2 and 3).
        balance_images: kept and pruned tokens have equal weight within each image; otherwise within the batch, where images with
            large task sets outvote those with a single category.
        least_cover: an object that covers this share of a token's patch is on it, the smallest such object in front (see
            `labels.front_token_labels`); None = the larger area.
        reach: how far the task is followed while training ("blocks" or "network", see `vision.reducer.REACHES`); a model runs
            well the way it was trained.
    """

    class_weights: tuple[float, ...] = (0.01, 0.02, 0.04)
    prune_weights: tuple[float, ...] = (0.001, 0.005, 0.01)
    sample_noise: bool = True
    stop_gradient: bool = True
    set_sizes: tuple[int, ...] = SET_SIZES
    ignore_irrelevant: bool = False
    early_rule: bool = True
    guess_rule: bool = True
    class_loss: str = "focal"
    published_labels: bool = False
    balance_images: bool = False
    least_cover: float | None = None
    reach: str = "blocks"


_PLAIN = GateRecipe(
    class_weights=(1.0, 1.0, 1.0),
    prune_weights=(2.0, 2.0, 2.0),
    sample_noise=False,
    stop_gradient=False,
    set_sizes=FEWER_SET_SIZES,
    ignore_irrelevant=True,
)
GATE_RECIPES = {
    "final": GateRecipe(),
    "plain": _PLAIN,
    "rooms": replace(
        _PLAIN,
        class_weights=(2.0, 2.0, 2.0),
        prune_weights=(1.0, 1.0, 1.0),
        early_rule=False,
        guess_rule=False,
        class_loss="even",
        balance_images=True,
        least_cover=0.1,
        set_sizes=(1, 2, 4, 10, 40, 80),
        reach="network",
    ),
}
"""The configuration released as final, the other one, and ours for the rooms: small objects have tokens too, and what is
already recognised is not pruned, since the blocks are too few to do without it."""


class ClassBalance(nn.Module):
    """Running counts of token labels and the class weights that follow from them.

    The weight of a category is the largest count over its own, within 0.01 to 10; counts start at 3800 each.
    """

    def __init__(self, num_classes: int, start: float = 3800.0) -> None:
        super().__init__()
        self.counts: Tensor
        self.register_buffer("counts", torch.full((num_classes + 1,), start))

    def forward(self, labels: Tensor) -> Tensor:
        """Count labels (B, N) int64 while training, and return the weights (C + 1,); UNKNOWN does not count."""
        if self.training:
            self.counts += torch.bincount(labels[labels >= 0], minlength=len(self.counts)).to(self.counts)
        return (self.counts.max() / self.counts).clamp(0.01, 10.0)


def class_loss(class_logits: Tensor, labels: Tensor, class_weights: Tensor) -> Tensor:
    """One-vs-all focal loss (gamma 2, alpha 0.25) on the softmax, weighted per category: L_class of one gate.

    Args:
        class_logits: (B, N, C + 1).
        labels: (B, N) int64, UNKNOWN teaches nothing.
        class_weights: (C + 1,).

    Returns:
        () mean over tokens of the sum over categories.
    """
    probabilities = class_logits.float().softmax(-1).clamp(1e-3, 1 - 1e-3)
    target = F.one_hot(labels.clamp(min=0), class_logits.shape[-1]).bool()
    hit = torch.where(target, probabilities, 1 - probabilities)
    balance = torch.where(target, 0.25, 0.75)
    losses = -balance * (1 - hit) ** 2 * hit.log() * class_weights
    losses = losses.sum(-1)[labels >= 0]
    return losses.sum() / max(1, len(losses))


def even_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, half its weight on background and half on the categories that are there, evenly: a bed has a thousand
    times the cells of a cup. Logits (B, K, ...) and labels (B, ...) in [0, K) or UNKNOWN, background last -> ().
    """
    losses = F.cross_entropy(logits, labels, reduction="none", ignore_index=UNKNOWN).flatten()
    kinds = logits.shape[1]
    bins = torch.where(labels == UNKNOWN, kinds, labels).flatten()
    counts = torch.bincount(bins, minlength=kinds + 1)[:kinds]
    means = losses.new_zeros(kinds + 1).index_add(0, bins, losses)[:kinds] / counts.clamp(min=1)
    objects = means[:-1].sum() / (counts[:-1] > 0).sum().clamp(min=1)
    return 0.5 * means[-1] + 0.5 * objects


def keep_labels(
    class_logits: Tensor,
    labels: Tensor,
    on_relevant: Tensor,
    relevant: Tensor,
    early_rule: bool = True,
    guess_rule: bool = True,
) -> Tensor:
    """Pseudo-label of every token (equation 8): prune it if its category is already known, or if it is taken for an
    irrelevant one and does not lie on a relevant object; keep it otherwise.

    Args:
        class_logits: (B, N, C + 1).
        labels: (B, N) int64, background C, or UNKNOWN.
        on_relevant: (B, N) bool: the token lies on a relevant object.
        relevant: (B, C) bool.
        early_rule, guess_rule: see `GateRecipe`.

    Returns:
        (B, N) bool, True = keep.
    """
    guess = class_logits.argmax(-1)
    guessed_relevant = F.pad(relevant, (0, 1)).gather(1, guess)
    prune = ~guessed_relevant & ~on_relevant if guess_rule else ~on_relevant
    if early_rule:
        prune = prune | (guess == labels)
    return ~prune


def taught_tokens(labels: Tensor, relevant: Tensor, labelled: Tensor | None) -> Tensor:
    """Tokens (B, N) of which is known whether they are to be kept: no crowds, and no background of an image on which the task
    asks for a category that is not labelled there. Arguments as :func:`keep_labels`; `labelled` (B, C) bool or None.
    """
    taught = labels != UNKNOWN
    if labelled is not None:
        asked = (relevant & ~labelled).any(1, keepdim=True)
        taught &= ~(asked & (labels == relevant.shape[1]))
    return taught


def prune_loss(keep_logits: Tensor, keep: Tensor, confidence: Tensor, taught: Tensor | None = None) -> Tensor:
    """Two-class cross-entropy (L_prune of one gate).

    Tokens to be pruned weigh as much as the gate is sure of their category; those to be kept share the same total.

    Args:
        keep_logits: (B, N, 2).
        keep: (B, N) bool.
        confidence: (B, N) largest category probability.
        taught: (B, N) bool, tokens that count; None = all.
    """
    losses = F.cross_entropy(
        keep_logits.float().flatten(0, 1), torch.where(keep, KEEP, PRUNE).flatten(), reduction="none"
    )
    losses = losses.view_as(keep)
    if taught is not None:
        losses, keep, confidence = losses[taught], keep[taught], confidence[taught]
        if not len(keep):
            return keep_logits.sum() * 0.0
    pruned = (losses * confidence)[~keep].sum()
    weight = confidence[~keep].sum()
    kept = losses[keep]
    if len(kept) == 0 or len(kept) == keep.numel():
        return losses.mean()
    return (pruned + kept.mean() * weight) / (2 * weight).clamp(min=1e-6)


def gate_losses(
    class_logits: Sequence[Tensor],
    keep_logits: Sequence[Tensor],
    labels: Tensor,
    on_relevant: Tensor,
    relevant: Tensor,
    class_weights: Tensor,
    recipe: GateRecipe,
    labelled: Tensor | None = None,
) -> dict[str, Tensor]:
    """Both losses, weighted per gate and averaged over gates; arguments per gate as in the functions above.

    labelled: (B, C) bool, see :func:`fold_unlabelled`; None = everything is labelled.
    """
    classified, pruned = [], []
    taught = taught_tokens(labels, relevant, labelled)
    for gate, (logits, keep_logit) in enumerate(zip(class_logits, keep_logits, strict=True)):
        folded = fold_unlabelled(logits.float(), labels, labelled)
        of_class = _class_loss_of(recipe.class_loss, folded, labels, class_weights)
        known = logits.detach().float()
        keep = keep_labels(known, labels, on_relevant, relevant, recipe.early_rule, recipe.guess_rule)
        confidence = known.softmax(-1).amax(-1)
        groups = len(keep) if recipe.balance_images else 1
        each = (part.chunk(groups) for part in (keep_logit, keep, confidence, taught))
        parts = zip(*each, strict=True)
        of_pruning = torch.stack([prune_loss(*part) for part in parts]).mean()
        classified.append(weight_of(recipe.class_weights, gate) * of_class)
        pruned.append(weight_of(recipe.prune_weights, gate) * of_pruning)
    return {"loss_token_class": torch.stack(classified).mean(), "loss_prune": torch.stack(pruned).mean()}


def _class_loss_of(kind: str, logits: Tensor, labels: Tensor, class_weights: Tensor) -> Tensor:
    if kind == "focal":
        return class_loss(logits, labels, class_weights)
    tokens, labels = logits.float().flatten(0, 1), labels.flatten()
    if kind == "even":
        return even_cross_entropy(tokens, labels)
    known = labels != UNKNOWN
    return F.cross_entropy(tokens[known], labels[known]) if known.any() else tokens.sum() * 0.0


def presence_loss(presence: Sequence[Tensor], truths: Sequence[Truth]) -> Tensor:
    """Binary cross-entropy of every category's presence on every image, averaged over gates.

    Categories of which only crowds, or objects below `LEAST_VISIBLE` of the image, are there teach nothing, nor do those that are
    not labelled on it and not found either.

    Args:
        presence: per gate (B, C) logits.
    """
    wanted = torch.zeros_like(presence[0])
    labelled = labelled_of(truths, presence[0].shape[1])
    counts = torch.ones_like(presence[0]) if labelled is None else labelled.to(presence[0].dtype)
    for row, truth in enumerate(truths):
        counts[row, truth.labels] = 0.0
        visible = truth.labels[(truth.masks.flatten(1).float().mean(1) >= LEAST_VISIBLE) & ~truth.crowd]
        wanted[row, visible] = 1.0
        counts[row, visible] = 1.0
    losses = [
        F.binary_cross_entropy_with_logits(logits.float(), wanted, counts, reduction="sum") for logits in presence
    ]
    return torch.stack(losses).mean() / counts.sum().clamp(min=1.0)


def weight_of(weights: Sequence[float], gate: int) -> float:
    """Weight of a gate; gates beyond the list have its last one (a gate before every block)."""
    return weights[min(gate, len(weights) - 1)]
