# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import math
from dataclasses import replace

import pytest
import torch

from tasktp_ros.training.gate_losses import (
    GATE_RECIPES,
    ClassBalance,
    class_loss,
    even_cross_entropy,
    gate_losses,
    keep_labels,
    prune_loss,
    weight_of,
)

CLASSES = 3
BACKGROUND = 3


def sure_of(*categories: int) -> torch.Tensor:
    return 20.0 * torch.nn.functional.one_hot(torch.tensor([categories]), CLASSES + 1).float()


@pytest.mark.parametrize(
    ("guess", "label", "kept", "kept_without_early_rule"),
    [
        (0, 0, False, True),  # relevant and known: its category is settled
        (1, 1, False, False),  # irrelevant and known
        (BACKGROUND, BACKGROUND, False, False),
        (0, 1, True, True),  # an irrelevant object taken for a relevant one must be looked at again
        (0, BACKGROUND, True, True),
        (1, 0, True, True),  # a relevant object taken for an irrelevant one
        (BACKGROUND, 0, True, True),
        (1, 2, False, False),  # both irrelevant: nothing to be gained
        (1, BACKGROUND, False, False),
    ],
)
def test_pseudo_labels_follow_equation_8(guess, label, kept, kept_without_early_rule):
    relevant = torch.tensor([[True, False, False]])
    labels = torch.tensor([[label]])
    on_relevant = torch.tensor([[label == 0]])
    arguments = (sure_of(guess), labels, on_relevant, relevant)
    assert keep_labels(*arguments, early_rule=True).item() is kept
    assert keep_labels(*arguments, early_rule=False).item() is kept_without_early_rule


@pytest.mark.parametrize(("guess", "label"), [(0, 1), (BACKGROUND, 0), (0, 0), (1, BACKGROUND)])
def test_without_the_guess_rule_only_what_is_relevant_is_kept(guess, label):
    relevant = torch.tensor([[True, False, False]])
    on_relevant = torch.tensor([[label == 0]])
    arguments = (sure_of(guess), torch.tensor([[label]]), on_relevant, relevant)
    assert keep_labels(*arguments, early_rule=False, guess_rule=False).item() is (label == 0)


def test_class_loss_by_hand():
    logits = torch.zeros(1, 1, 2)
    loss = class_loss(logits, torch.tensor([[0]]), torch.tensor([2.0, 1.0]))
    hit = 0.5**2 * math.log(2)
    assert loss.item() == pytest.approx(2.0 * 0.25 * hit + 1.0 * 0.75 * hit)


def test_certain_and_right_costs_next_to_nothing_and_certain_and_wrong_is_bounded():
    weights = torch.ones(CLASSES + 1)
    right = class_loss(sure_of(1), torch.tensor([[1]]), weights)
    wrong = class_loss(sure_of(1), torch.tensor([[2]]), weights)
    assert right < 1e-5
    assert wrong.isfinite() and wrong > 1.0


def test_class_weights_come_from_running_counts():
    balance = ClassBalance(2, start=10.0)
    weights = balance(torch.tensor([[2] * 990]))
    assert weights.tolist() == pytest.approx([10.0, 10.0, 1.0]), "1000 / 10 is cut to 10"
    balance.eval()
    balance(torch.tensor([[0] * 500]))
    assert balance.counts.tolist() == [10.0, 10.0, 1000.0], "evaluation counts nothing"


def test_both_groups_of_the_pruning_loss_weigh_the_same():
    keep_logits = torch.zeros(1, 10, 2)
    keep_logits[0, 0, 1] = -3.0  # the one token to keep is judged "prune"
    keep = torch.zeros(1, 10, dtype=torch.bool)
    keep[0, 0] = True
    loss = prune_loss(keep_logits, keep, torch.ones(1, 10))
    expected = 0.5 * math.log(2) + 0.5 * math.log(1 + math.exp(3))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_uncertain_prune_labels_weigh_less_than_certain_ones():
    keep_logits = torch.zeros(1, 3, 2)
    keep_logits[0, 1, 1] = 4.0  # wrongly kept
    keep = torch.tensor([[True, False, False]])
    doubtful = prune_loss(keep_logits, keep, torch.tensor([[1.0, 0.1, 1.0]]))
    certain = prune_loss(keep_logits, keep, torch.tensor([[1.0, 1.0, 1.0]]))
    assert doubtful < certain


@pytest.mark.parametrize("share", [0, 10])
def test_one_group_alone_is_no_division_by_zero(share):
    keep = torch.arange(10)[None] < share
    assert prune_loss(torch.zeros(1, 10, 2), keep, torch.ones(1, 10)).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("name", list(GATE_RECIPES))
def test_losses_are_weighted_per_gate_and_gates_learn_only_their_own(name):
    recipe = GATE_RECIPES[name]
    torch.manual_seed(0)
    class_logits = [torch.randn(2, 6, CLASSES + 1, requires_grad=True) for _ in range(3)]
    keep_logits = [torch.randn(2, 6, 2, requires_grad=True) for _ in range(3)]
    labels = torch.randint(CLASSES + 1, (2, 6))
    relevant = torch.tensor([[True, False, False], [False, True, True]])
    on_relevant = torch.nn.functional.pad(relevant, (0, 1)).gather(1, labels)
    losses = gate_losses(class_logits, keep_logits, labels, on_relevant, relevant, torch.ones(CLASSES + 1), recipe)
    losses["loss_prune"].backward()
    assert all(logits.grad is None for logits in class_logits), "the pruning loss must not reach the category head"
    flat = labels.flatten()
    of_kind = {"focal": lambda logits: class_loss(logits, labels, torch.ones(CLASSES + 1)),
               "plain": lambda logits: torch.nn.functional.cross_entropy(logits.flatten(0, 1), flat),
               "even": lambda logits: even_cross_entropy(logits.flatten(0, 1), flat)}  # fmt: skip
    of_gate = [of_kind[recipe.class_loss](logits) for logits in class_logits]
    expected = sum(weight_of(recipe.class_weights, gate) * loss for gate, loss in enumerate(of_gate)) / 3
    assert losses["loss_token_class"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_images_can_be_balanced_one_by_one():
    logits, known = torch.randn(2, 6, 2), torch.randn(2, 6, CLASSES + 1)
    labels = torch.tensor([[0, 3, 3, 3, 3, 3], [0, 0, 0, 0, 1, 3]])
    task = torch.tensor([[True, False, False], [True, True, True]])
    on_relevant = torch.nn.functional.pad(task, (0, 1)).gather(1, labels)
    recipe = GATE_RECIPES["rooms"]

    def pruning(rows: slice, one_by_one: bool) -> float:
        arguments = (labels[rows], on_relevant[rows], task[rows], torch.ones(CLASSES + 1))
        changed = replace(recipe, balance_images=one_by_one)
        return gate_losses([known[rows]], [logits[rows]], *arguments, changed)["loss_prune"].item()

    both = slice(0, 2)
    assert pruning(both, True) == pytest.approx(
        (pruning(slice(0, 1), False) + pruning(slice(1, 2), False)) / 2, rel=1e-5
    )
    assert pruning(both, True) != pytest.approx(pruning(both, False), rel=1e-3)


def test_released_configurations_are_the_published_ones():
    final, plain = GATE_RECIPES["final"], GATE_RECIPES["plain"]
    assert final.class_weights == (0.01, 0.02, 0.04) and final.prune_weights == (0.001, 0.005, 0.01)
    assert set(plain.class_weights) == {1.0} and set(plain.prune_weights) == {2.0}
    assert final.sample_noise and final.stop_gradient and not plain.sample_noise and not plain.stop_gradient
    assert 80 in final.set_sizes and plain.set_sizes == (1, 8, 20, 40, 80)
