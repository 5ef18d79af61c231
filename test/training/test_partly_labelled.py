# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What is unlabelled on an image is neither object nor background; and where all is labelled, nothing changed."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktp_ros.detectors import build_detector
from tasktp_ros.training.batch import Truth
from tasktp_ros.training.detection_losses import (
    SampleCounts,
    Targets,
    crop_masks,
    proposal_losses,
    region_losses,
    split_targets,
)
from tasktp_ros.training.gate_losses import (
    GATE_RECIPES,
    ClassBalance,
    class_loss,
    even_cross_entropy,
    gate_losses,
    presence_loss,
    prune_loss,
    taught_tokens,
)
from tasktp_ros.training.labels import (
    UNKNOWN,
    centre_token_labels,
    front_token_labels,
    pixel_labels,
    token_labels,
)
from tasktp_ros.training.partly_labelled import fold_unlabelled, labelled_of
from tasktp_ros.vision.boxes import STRIDES, grid_anchors

CLASSES = 4
SIDE = 64
KNOWN = torch.tensor([True, True, False, False])
"""Of four categories 2 and 3 are unlabelled."""
ALL = torch.ones(CLASSES, dtype=torch.bool)
seeds = st.integers(0, 10_000)
few = settings(max_examples=25, deadline=None)


def truth_of(*objects: tuple[int, tuple[int, int, int, int]], crowd: tuple[int, ...] = (), **fields) -> Truth:
    boxes = torch.tensor([box for _, box in objects], dtype=torch.float32).reshape(-1, 4)
    masks = torch.zeros(len(objects), SIDE, SIDE, dtype=torch.bool)
    for mask, (_, (left, top, right, bottom)) in zip(masks, objects, strict=True):
        mask[top:bottom, left:right] = True
    labels = torch.tensor([label for label, _ in objects], dtype=torch.int64)
    crowds = torch.tensor([number in crowd for number in range(len(objects))], dtype=torch.bool)
    return Truth(boxes, labels, masks, crowds, **fields)


def moved_to_unlabelled(logits: torch.Tensor, rows: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """As if an object of category 2 or 3 were seen in `rows`: what background and those have together stays the same."""
    together = torch.cat((logits[..., 2:4], logits[..., -1:]), -1).logsumexp(-1, keepdim=True)
    shares = torch.rand(*logits.shape[:-1], 3, generator=random).log_softmax(-1) + together
    seen = torch.cat((logits[..., :2], shares), -1)
    return torch.where(rows[..., None], seen, logits)


@few
@given(seeds)
def test_an_unlabelled_object_where_background_is_labelled_changes_no_token_loss(seed):
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES + 1, (2, 30), generator=random)
    labels[0, (labels[0] == 2) | (labels[0] == 3)] = CLASSES
    labels[:, 0] = CLASSES
    logits = torch.randn(2, 30, CLASSES + 1, generator=random)
    labelled = torch.stack((KNOWN, ALL))
    rows = labels == CLASSES
    partly = rows & torch.tensor([[True], [False]])

    def even(logits, labelled):
        return even_cross_entropy(fold_unlabelled(logits, labels, labelled).mT, labels)

    seen = moved_to_unlabelled(logits, partly, random)
    torch.testing.assert_close(even(seen, labelled), even(logits, labelled))
    assert (even(seen, None) - even(logits, None)).abs() > 1e-5, "which it does where all is labelled"
    everywhere = moved_to_unlabelled(logits, rows, random)
    assert (even(everywhere, labelled) - even(logits, labelled)).abs() > 1e-5, "the second image is wholly labelled"


def test_the_background_of_a_partly_labelled_image_by_hand():
    logits = torch.randn(1, 4, CLASSES + 1)
    labels = torch.tensor([[CLASSES, 1, CLASSES, 2]])
    probabilities = logits.softmax(-1)[0]
    folded = fold_unlabelled(logits, labels, KNOWN[None])
    losses = F.cross_entropy(folded[0], labels[0], reduction="none")
    for token in (0, 2):
        torch.testing.assert_close(losses[token], -probabilities[token, 2:].sum().log())
    torch.testing.assert_close(losses[1], -probabilities[1, 1].log())
    torch.testing.assert_close(losses[3], -probabilities[3, 2].log(), msg="found, though not all of them are labelled")


@few
@given(seeds)
def test_folding_nothing_is_the_same_bits(seed):
    random = torch.Generator().manual_seed(seed)
    logits = 8 * torch.randn(2, 30, CLASSES + 1, generator=random)
    labels = torch.randint(CLASSES + 1, (2, 30), generator=random)
    assert torch.equal(fold_unlabelled(logits, labels, torch.stack((ALL, ALL))), logits)
    assert fold_unlabelled(logits, labels, None) is logits
    whole = truth_of()
    assert labelled_of([whole, whole], CLASSES) is None
    assert torch.equal(labelled_of([whole, truth_of(labelled=KNOWN)], CLASSES), torch.stack((ALL, KNOWN)))


def anchors_and_maps() -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    shapes = [(SIDE // s, SIDE // s) for s in STRIDES]
    anchors = torch.cat(
        [grid_anchors(*shape, s, torch.device("cpu")) for s, shape in zip(STRIDES, shapes, strict=True)]
    )
    scores = [torch.randn(1, 3, *shape, requires_grad=True) for shape in shapes]
    return anchors, scores, [torch.randn(1, 12, *shape, requires_grad=True) for shape in shapes]


def test_proposals_of_a_partly_labelled_image_learn_from_objects_alone():
    torch.manual_seed(0)
    anchors, scores, deltas = anchors_and_maps()
    truth = truth_of((0, (8, 8, 40, 40)), (1, (30, 40, 50, 60)))
    gradients = {}
    for labelled in (None, KNOWN):
        target = split_targets(replace(truth, labelled=labelled), None)
        loss = proposal_losses(anchors, scores, deltas, [target], 100_000)["loss_rpn_cls"]
        found = torch.autograd.grad(loss, scores, allow_unused=True)
        gradients[labelled] = torch.cat([g.flatten() for g in found if g is not None])
    assert (gradients[None] > 0).sum() > 100, "background is to score less"
    assert (gradients[KNOWN] <= 0).all() and (gradients[KNOWN] < 0).sum() == (gradients[None] < 0).sum() > 0
    empty = split_targets(truth_of(labelled=KNOWN), None)
    losses = proposal_losses(anchors, scores, deltas, [empty], 256)
    assert all(loss.item() == 0 for loss in losses.values())


@pytest.fixture(scope="module")
def head():
    torch.manual_seed(0)
    return build_detector("nano", "dense", CLASSES).roi_head


def class_loss_of(head, logits: torch.Tensor, target: Targets, monkeypatch) -> torch.Tensor:
    levels = [torch.zeros(1, 96, SIDE // s, SIDE // s) for s in (4, 8, 16, 32)]
    proposals = [torch.tensor([[0.0, 40, 20, 60], [44, 2, 60, 20]])]
    with monkeypatch.context() as changed:
        changed.setattr(
            head.bbox_head, "forward", lambda regions: (logits, regions.new_zeros(len(regions), 4 * CLASSES))
        )
        return region_losses(head, levels, proposals, [target], SampleCounts(regions=8))["loss_cls"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("relevant", [None, [True, False, True, False]])
def test_an_unlabelled_object_in_a_region_of_background_costs_nothing(relevant, seed, head, monkeypatch):
    """Also where the task's folding has put irrelevant categories into background before."""
    random = torch.Generator().manual_seed(seed)
    task = None if relevant is None else torch.tensor(relevant)
    truth = truth_of((0, (8, 8, 30, 30)), labelled=KNOWN)
    target = split_targets(truth, task)
    logits = torch.randn(3, CLASSES + 1, generator=random)
    background = torch.tensor([False, True, True])
    before = class_loss_of(head, logits, target, monkeypatch)
    seen = moved_to_unlabelled(logits, background, random)
    torch.testing.assert_close(class_loss_of(head, seen, target, monkeypatch), before)
    whole = split_targets(replace(truth, labelled=None), task)
    assert (class_loss_of(head, seen, whole, monkeypatch) - before).abs() > 1e-3
    probabilities = logits.softmax(-1)
    named = torch.tensor([label for label in range(CLASSES) if KNOWN[label] and (task is None or task[label])])
    by_hand = -probabilities[0, 0].log() - (1 - probabilities[1:, named].sum(1)).log().sum()
    torch.testing.assert_close(before, by_hand / 3)


def test_wholly_labelled_regions_have_the_losses_they_had(head, monkeypatch):
    logits = torch.randn(3, CLASSES + 1)
    target = split_targets(truth_of((0, (8, 8, 30, 30))), None)
    loss = class_loss_of(head, logits, target, monkeypatch)
    assert torch.equal(loss, F.cross_entropy(logits, torch.tensor([0, CLASSES, CLASSES]), reduction="sum") / 3)


def test_only_known_outlines_teach_masks(head):
    levels = [torch.randn(1, 96, SIDE // s, SIDE // s) for s in (4, 8, 16, 32)]
    truth = truth_of((0, (8, 8, 30, 30)), (1, (32, 32, 60, 60)))

    def mask_loss(**changes) -> torch.Tensor:
        torch.manual_seed(3)
        target = split_targets(replace(truth, **changes), None)
        return region_losses(head, levels, [torch.zeros(0, 4)], [target], SampleCounts(regions=8))["loss_mask"]

    both, first = mask_loss(), mask_loss(has_mask=torch.tensor([True, False]))
    assert torch.equal(both, mask_loss(has_mask=torch.tensor([True, True])))
    other = truth.masks.clone()
    other[1] = ~other[1]
    assert torch.equal(first, mask_loss(has_mask=torch.tensor([True, False]), masks=other))
    assert not torch.equal(both, mask_loss(masks=other))
    regions = head.pool(levels, [truth.boxes[:1]], head.config.mask_size)
    wanted = crop_masks(truth.masks, torch.tensor([0]), truth.boxes[:1])
    by_hand = F.binary_cross_entropy_with_logits(head.mask_head.of_class(regions, torch.tensor([0])), wanted)
    torch.testing.assert_close(first, by_hand)
    assert mask_loss(has_mask=torch.tensor([False, False])).item() == 0


def test_on_a_crowd_there_is_neither_an_object_nor_background():
    crowd, cup = (1, (0, 0, 32, 16)), (0, (16, 0, 32, 16))
    truth = truth_of(crowd, cup, crowd=(0,))
    rest = [CLASSES] * 14
    for labels in (
        token_labels(truth, CLASSES),
        front_token_labels(truth, CLASSES, 0.1),
        centre_token_labels(truth, CLASSES),
    ):
        assert labels.tolist() == [UNKNOWN, 0, *rest]
    cells = pixel_labels([truth], CLASSES, 8)[0]
    assert cells[:2, :2].eq(UNKNOWN).all() and cells[:2, 2:4].eq(0).all() and cells[2:].eq(CLASSES).all()


@few
@given(seeds)
def test_tokens_without_a_label_do_not_count(seed):
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES + 1, (1, 20), generator=random)
    logits = torch.randn(1, 20, CLASSES + 1, generator=random)
    more = torch.cat((labels, torch.full((1, 7), UNKNOWN)), 1)
    longer = torch.cat((logits, torch.randn(1, 7, CLASSES + 1, generator=random)), 1)
    weights = torch.rand(CLASSES + 1, generator=random)
    assert torch.equal(class_loss(logits, labels, weights), class_loss(longer, more, weights))
    torch.testing.assert_close(even_cross_entropy(longer.mT, more), even_cross_entropy(logits.mT, labels))
    balance = ClassBalance(CLASSES, 1.0)
    balance(more)
    assert balance.counts.sum() == 20 + CLASSES + 1
    keep, confidence = torch.rand(1, 27, generator=random) < 0.5, torch.rand(1, 27, generator=random)
    kept = torch.randn(1, 27, 2, generator=random)
    few = prune_loss(kept[:, :20], keep[:, :20], confidence[:, :20])
    torch.testing.assert_close(prune_loss(kept, keep, confidence, more != UNKNOWN), few)
    assert prune_loss(kept, keep, confidence, torch.zeros(1, 27, dtype=torch.bool)).item() == 0


@few
@given(seeds)
def test_where_every_token_has_a_label_the_losses_have_the_bits_they_had(seed):
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES + 1, (2, 20), generator=random)
    logits = torch.randn(2, 20, CLASSES + 1, generator=random)
    weights = torch.rand(CLASSES + 1, generator=random)
    chance = logits.softmax(-1).clamp(1e-3, 1 - 1e-3)
    target = F.one_hot(labels, CLASSES + 1).bool()
    hit = torch.where(target, chance, 1 - chance)
    focal = -torch.where(target, 0.25, 0.75) * (1 - hit) ** 2 * hit.log() * weights
    assert torch.equal(class_loss(logits, labels, weights), focal.sum(-1).mean())
    losses = F.cross_entropy(logits.mT, labels, reduction="none").flatten()
    counts = torch.bincount(labels.flatten(), minlength=CLASSES + 1)
    means = torch.zeros(CLASSES + 1).index_add(0, labels.flatten(), losses) / counts.clamp(min=1)
    even = 0.5 * means[-1] + 0.5 * (means[:-1].sum() / (counts[:-1] > 0).sum().clamp(min=1))
    assert torch.equal(even_cross_entropy(logits.mT, labels), even)
    keep, sure = torch.rand(2, 20, generator=random) < 0.5, torch.rand(2, 20, generator=random)
    kept = torch.randn(2, 20, 2, generator=random)
    everything = torch.ones(2, 20, dtype=torch.bool)
    assert torch.equal(prune_loss(kept, keep, sure, everything), prune_loss(kept, keep, sure))


@pytest.mark.parametrize("recipe", list(GATE_RECIPES))
def test_gates_do_not_learn_from_what_may_be_unlabelled(recipe):
    """A token of background has no pruning label while the task asks for something that nobody labelled there."""
    torch.manual_seed(0)
    labels = torch.tensor([[CLASSES, CLASSES, 0, 1], [CLASSES, CLASSES, 0, 1]])
    task = torch.tensor([[True, False, True, False], [True, False, False, False]])
    labelled = torch.stack((KNOWN, KNOWN))
    taught = taught_tokens(labels, task, labelled)
    assert taught.tolist() == [[False, False, True, True], [True] * 4], "the second task asks for labelled ones alone"
    assert taught_tokens(labels, task, None).all()
    known = torch.randn(2, 4, CLASSES + 1)
    keep_logits = torch.randn(2, 4, 2, requires_grad=True)
    on_relevant = F.pad(task, (0, 1)).gather(1, labels)
    weights = torch.ones(CLASSES + 1)
    losses = gate_losses([known], [keep_logits], labels, on_relevant, task, weights, GATE_RECIPES[recipe], labelled)
    losses["loss_prune"].backward()
    assert keep_logits.grad[0, :2].abs().sum() == 0 and (keep_logits.grad[0, 2:].abs().sum(-1) > 0).any()
    random = torch.Generator().manual_seed(1)
    seen = moved_to_unlabelled(known, labels == CLASSES, random)
    again = gate_losses([seen], [keep_logits], labels, on_relevant, task, weights, GATE_RECIPES[recipe], labelled)
    torch.testing.assert_close(again["loss_token_class"], losses["loss_token_class"])


def test_presence_learns_from_labelled_categories_and_from_what_is_found():
    presence = [torch.zeros(1, CLASSES, requires_grad=True)]
    truth = truth_of((0, (0, 0, 30, 30)), (2, (0, 0, 30, 30)), (1, (0, 0, 40, 40)), labelled=KNOWN, crowd=(2,))
    presence_loss(presence, [truth]).backward()
    assert (presence[0].grad[0] < 0).tolist() == [True, False, True, False], "to be raised: found, labelled or not"
    assert presence[0].grad[0, 3] == 0 and presence[0].grad[0, 1] == 0, "unlabelled; only a crowd"
    presence[0].grad = None
    presence_loss(presence, [replace(truth, labelled=None)]).backward()
    assert presence[0].grad[0, 3] > 0
