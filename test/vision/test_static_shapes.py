# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Blocks and heads in static shapes equal those on lists of what there is, and tell when something does not fit."""

import pytest
import torch
from torch import Tensor

from tasktp_ros.reduction import build_reducer
from tasktp_ros.reduction.gated import run_kept, run_masked
from tasktp_ros.reduction.static import run_padded
from tasktp_ros.vision import static_heads
from tasktp_ros.vision.adapter import Interaction, cell_count, cells_around, to_sequence, tokens_around
from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.cells import Levels, SparseLevels, cells_of, level_masks_around
from tasktp_ros.vision.heads import RoIConfig, RoIHead
from tasktp_ros.vision.order import kept_first
from tasktp_ros.vision.proposals import ProposalConfig, ProposalHead
from tasktp_ros.vision.static_adapter import extract_around, inject_around
from tasktp_ros.vision.vit import Block

CLASSES = 5
SHAPE = (120, 156)


def masks_of(batch: int, tokens: int, share: float, seed: int = 0) -> Tensor:
    return torch.rand(batch, tokens, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_kept_come_first_in_their_order_as_a_stable_sort_has_it(share):
    keep = masks_of(3, 50, share)
    assert torch.equal(kept_first(keep), (~keep).to(torch.uint8).argsort(dim=1, stable=True))


@pytest.mark.parametrize("more", [0, 1, 9])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.4, 1.0])
@pytest.mark.parametrize("batch", [1, 2])
def test_blocks_on_a_capacity_equal_blocks_on_the_kept_tokens(batch, share, more):
    torch.manual_seed(0)
    blocks = [Block(32, 4).eval() for _ in range(3)]
    tokens, keep = torch.randn(batch, 60, 32), masks_of(batch, 60, share)
    capacity = min(60, max(1, int(keep.sum(1).max())) + more)
    found = run_padded(blocks, tokens, keep, capacity)
    torch.testing.assert_close(found, run_kept(blocks, tokens, keep), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, run_masked(blocks, tokens, keep), atol=1e-5, rtol=1e-5)
    assert torch.equal(found[~keep], tokens[~keep])


@pytest.mark.parametrize("places", [(), (0,), (8, 23), range(24)])
@pytest.mark.parametrize("last", [False, True])
def test_what_is_hidden_equals_working_around_kept_tokens(places, last):
    torch.manual_seed(0)
    tokens_shape, scales = ((4, 6),), ((8, 12), (4, 6), (2, 3))
    part = Interaction(32, 4, last).eval()
    for layer in part.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.2)
    prior, tokens = torch.randn(1, cell_count(scales), 32), torch.randn(1, 24, 32)
    kept = torch.zeros(1, 24, dtype=torch.bool)
    kept[0, list(places)] = True
    cells = cells_around(kept, tokens_shape[0])
    expected = part.extract(prior, tokens, tokens_shape, scales, cells)
    found = extract_around(part, prior, tokens, kept, tokens_shape, scales)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.nn.init.normal_(part.injector.gamma)
    expected = part.inject(tokens, prior, tokens_shape, scales, tokens_around(kept, tokens_shape[0]))
    found = inject_around(part, tokens, prior, kept, tokens_shape, scales)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reach", ["blocks", "network", "frame"])
@pytest.mark.parametrize("method", ["dense", "tasktp", "svit"])
def test_the_backbone_gives_the_same_maps_with_a_capacity(method, reach):
    torch.manual_seed(3)
    backbone = Backbone(32, 4, 4, 8, build_reducer(method, 32, CLASSES)).eval()
    image = torch.randn(1, 3, 64, 96)
    states = [backbone.reducer.begin(torch.arange(CLASSES) == 1) for _ in range(2)]
    for state in states:
        state.reach, state.forced_share = reach, 0.4
    states[1].capacity = 12
    expected, found = (backbone.run(image, state) for state in states)
    if isinstance(expected, SparseLevels):
        masks = level_masks_around(states[0].keep[-1], (4, 6))[:4]
        expected, found = expected.dense(), [level * mask[:, None] for level, mask in zip(found, masks, strict=True)]
    for here, there in zip(found, expected, strict=True):
        torch.testing.assert_close(here, there, atol=2e-5, rtol=2e-5)
    assert len(states[1].keep) == len(backbone.reducer.gated_blocks())
    assert all(map(torch.equal, states[1].keep, states[0].keep))
    assert len(states[1].left) == (len(states[1].masks) if reach == "frame" else 0)


def maps(seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(1, 8, -(-128 // s), -(-160 // s), generator=random) for s in (4, 8, 16, 32, 64)]


def proposal_head(per_level: int, total: int) -> ProposalHead:
    torch.manual_seed(1)
    head = ProposalHead(8, ProposalConfig(per_level, total)).eval()
    for layer in (head.rpn_conv, head.rpn_cls, head.rpn_reg):
        torch.nn.init.normal_(layer.weight, std=0.2)
    return head


@pytest.mark.parametrize(("per_level", "total"), [(40, 30), (40, 1000), (1000, 300)])
@pytest.mark.parametrize("share", [None, 0.02, 0.2, 1.0])
def test_proposals_in_slots_equal_the_list_of_proposals(share, per_level, total):
    head, levels, active = proposal_head(per_level, total), maps(), None
    given: Levels = levels
    if share is not None:
        active = [masks_of(1, level[0, 0].numel(), share).view(1, *level.shape[2:]) for level in levels]
        levels = [level * mask[:, None] for level, mask in zip(levels, active, strict=True)]
        cells = cells_of(torch.cat([mask.flatten() for mask in active]), tuple(m.shape[1:] for m in active))
        given = SparseLevels(cells.gather(torch.cat([to_sequence(level)[0] for level in levels])), cells)
    expected = head.propose(given, [SHAPE])[0]
    found = static_heads.propose(head, levels, SHAPE, active, rounds=40)
    assert found.settled and int(found.exists.sum()) == len(expected)
    assert found.exists[: len(expected)].all(), "empty slots come last"
    torch.testing.assert_close(found.boxes[found.exists], expected, atol=1e-3, rtol=1e-4)


def test_too_few_rounds_for_the_proposals_are_told_and_no_cell_gives_no_proposal():
    head, levels = proposal_head(40, 30), maps()
    assert not static_heads.propose(head, levels, SHAPE, rounds=1).settled
    none = [torch.zeros(1, *level.shape[2:], dtype=torch.bool) for level in levels]
    found = static_heads.propose(head, levels, SHAPE, none)
    assert found.settled and not found.exists.any()


def roi_head(samples: int = 2) -> RoIHead:
    torch.manual_seed(0)
    head = RoIHead(8, CLASSES, RoIConfig(box_hidden=16, mask_channels=8, mask_convs=2, samples=samples)).eval()
    torch.nn.init.normal_(head.bbox_head.fc_cls.weight, std=1.0)
    return head


def regions(count: int = 60, largest: float = 90.0) -> Tensor:
    random = torch.Generator().manual_seed(2)
    corner = torch.rand(count, 2, generator=random) * 40
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=random) * largest), dim=1)


@pytest.mark.parametrize("size", [7, 14])
@pytest.mark.parametrize("samples", [0, 2])
def test_regions_are_read_as_ever(samples, size):
    head = roi_head(samples)
    boxes = torch.cat((regions(40), torch.tensor([[0.0, 0, 155, 119], [3, 3, 3, 3]])))
    expected = head.pool(maps(), [boxes], size)
    torch.testing.assert_close(static_heads.pool(head, maps(), boxes, size), expected)


def slots_of(boxes: Tensor, more: int = 0) -> static_heads.Proposals:
    """These proposals, then `more` empty slots that hold boxes which would be found."""
    exists = torch.arange(len(boxes) + more) < len(boxes)
    return static_heads.Proposals(torch.cat((boxes, regions(more, 30.0))), exists, torch.tensor(True))


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.99])
@pytest.mark.parametrize("task", [range(CLASSES), (1,), (0, 3)])
def test_detections_in_slots_equal_the_list_of_detections(task, threshold):
    head = roi_head()
    relevant = torch.isin(torch.arange(CLASSES), torch.tensor(list(task)))
    boxes, scores, labels = head.boxes(maps(), [regions()], [SHAPE], relevant, threshold, 20)[0]
    found = static_heads.find(head, maps(), slots_of(regions(), 7), SHAPE, relevant, torch.tensor(threshold), 20, 40)
    count = int(found.count)
    assert found.complete and count == len(boxes) <= 20
    assert count > 0 or threshold > 0.05
    torch.testing.assert_close(found.scores[:count], scores)
    torch.testing.assert_close(found.boxes[:count], boxes)
    assert torch.equal(found.labels[:count], labels)
    expected = head.masks(maps(), [boxes], [labels])[0]
    torch.testing.assert_close(static_heads.masks(head, maps(), found)[:count], expected)


def test_more_candidates_than_slots_for_them_are_told(monkeypatch):
    head, relevant = roi_head(), torch.ones(CLASSES, dtype=torch.bool)
    given = (head, maps(), slots_of(regions()), SHAPE, relevant)
    candidates = len(head.boxes(maps(), [regions()], [SHAPE], relevant, 0.2, 1000)[0][0])
    assert static_heads.find(*given, torch.tensor(0.2), 100, 40).complete
    assert not static_heads.find(*given, torch.tensor(0.01), 100, 1).complete, "one round of suppression is not enough"
    monkeypatch.setattr(static_heads, "CANDIDATES", candidates - 1)
    assert not static_heads.find(*given, torch.tensor(0.2), 100, 40).complete
