# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What must hold for every method of token reduction but the gated ones, which have a file of their own."""

import pytest
import torch
from torch import Tensor, nn

from tasktp_ros.reduction import REDUCERS, build_reducer, options_of
from tasktp_ros.reduction.atc import clusters
from tasktp_ros.reduction.ats import nearest, sample
from tasktp_ros.reduction.dynamicvit import Predictor
from tasktp_ros.reduction.masked_softmax import masked_softmax
from tasktp_ros.reduction.shortened import Shortened
from tasktp_ros.reduction.tome import match
from tasktp_ros.vision import attention
from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.stem_backbone import ConvStem, StemBackbone
from tasktp_ros.vision.vit import Block

MERGING = ["tome", "atc", "atc_single", "atc_average"]
REMOVING = ["dynamicvit_remove", "evit_remove", "ats_remove"]
METHODS = ["dynamicvit", "evit", "evovit", "ats", *REMOVING, *MERGING]
TOKENS = 48


def backbone(method: str, kind: type = Backbone, **options: object) -> Backbone | StemBackbone:
    """A small one with 48 tokens at 96 x 128 px; with weights large enough that tokens differ."""
    torch.manual_seed(3)
    reducer = build_reducer(method, 32, 6, options=options)
    made = Backbone(32, 4, 4, 8, reducer) if kind is Backbone else StemBackbone(32, 4, ConvStem(32, 8), 16, reducer)
    for layer in made.modules():
        if isinstance(layer, (Block, Predictor)):
            for linear in layer.modules():
                if isinstance(linear, nn.Linear):
                    nn.init.normal_(linear.weight, std=0.2)
    return made.eval()


def images(count: int, height: int = 96, width: int = 128) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("kind", [Backbone, StemBackbone])
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_equals_its_images(method, kind):
    network, batch = backbone(method, kind), images(3)
    state = network.reducer.begin()
    together = network.run(batch, state)
    assert len(state.keep) == len(network.reducer.gated_blocks())
    for index in range(3):
        own = network.reducer.begin()
        alone = network.run(batch[index : index + 1], own)
        assert torch.equal(torch.stack(own.keep)[:, 0], torch.stack(state.keep)[:, index])
        assert all(torch.equal(a[0], b[index]) for a, b in zip(own.groups, state.groups, strict=True))
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[index : index + 1], part, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("method", "options", "counts"),
    [
        ("dynamicvit", {}, [int(TOKENS * share) for share in (0.7, 0.49, 0.343)]),
        ("evit", {}, [34, 24, 17]),
        ("evovit", {}, [24, 24, 24]),
        ("tome", {}, [24, 12, 6]),
        ("atc", {}, [24, 12, 6]),
        ("atc_single", {"kept": 0.7}, [33, 23, 16]),
        ("tome", {"kept": 0.1}, [24, 12, 6]),
        ("atc", {"kept": 0.1}, [4, 1, 1]),
    ],
)
def test_how_many_are_kept(method, options, counts):
    network = backbone(method, **options)
    state = network.reducer.begin()
    network.run(images(2), state)
    keep = torch.stack(state.keep).sum(-1).tolist()
    assert keep == [[count, count] for count in counts for _ in range(3)][-len(keep) :]


def test_ats_keeps_what_the_image_asks_for_and_never_more_than_before():
    network = backbone("ats")
    state = network.reducer.begin()
    network.run(images(4), state)
    keep = torch.stack(state.keep)
    counts = keep.sum(-1)
    assert len(counts[0].unique()) > 1 and (counts > 0).all() and (counts[0] < TOKENS).all()
    assert not (keep[1:] & ~keep[:-1]).any()


@pytest.mark.parametrize("kept", [0.0, 1.0])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_and_everything_kept(method, kept):
    network = backbone(method, kept=kept)
    state = network.reducer.begin()
    maps = network.run(images(2), state)
    assert all(level.isfinite().all() for level in maps)
    keep = torch.stack(state.keep)
    if method in ("dynamicvit", "dynamicvit_remove", "evit", "evit_remove", "evovit"):
        assert keep.all() if kept else not keep.any()
    elif kept and method in MERGING:
        assert keep.all()
        dense = Backbone(32, 4, 4, 8, build_reducer("dense", 32, 6)).eval()
        dense.load_state_dict(network.state_dict())
        for level, expected in zip(maps, dense(images(2)), strict=True):
            torch.testing.assert_close(level, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(32, 32), (160, 64)])
def test_any_grid_with_even_sides_in_bfloat16(method, size):
    network = backbone(method).bfloat16()
    maps = network.run(images(2, *size).bfloat16(), network.reducer.begin())
    assert [tuple(level.shape[2:]) for level in maps] == [(size[0] // s, size[1] // s) for s in (4, 8, 16, 32)]
    assert all(level.isfinite().all() and level.dtype == torch.bfloat16 for level in maps)


@pytest.mark.parametrize("method", ["dynamicvit", "evit", "ats", "dynamicvit_remove", "evit_remove", "ats_remove"])
def test_tokens_left_out_are_zero_or_keep_their_last_value(method):
    network = backbone(method)
    reducer, tokens = network.reducer, torch.randn(2, TOKENS, 32)
    state = reducer.begin()
    reducer.enter(network, tokens, state)
    out = reducer([network.blocks[3]], 3, tokens, state)
    pruned = ~state.keep[-1]
    assert pruned.any()
    if method.endswith("_remove"):
        assert not out[pruned].any() and out[~pruned].any(-1).all()
        later = reducer([network.blocks[4]], 4, out + 1.0, state)
        assert not later[~state.keep[-1]].any(), "what an injector writes there is left out as well"
    elif method == "evit":
        assert (out[pruned] != tokens[pruned]).any(), "these have been through the attention"
    else:
        assert torch.equal(out[pruned], tokens[pruned])
    assert (out[~pruned] != tokens[~pruned]).any(-1).all()


def test_evits_fused_token_runs_on_and_lies_nowhere():
    plain, fused = backbone("evit"), backbone("evit", fuse=True)
    states = [network.reducer.begin() for network in (plain, fused)]
    maps = [network.run(images(2), state) for network, state in zip((plain, fused), states, strict=True)]
    assert torch.equal(states[0].keep[0], states[1].keep[0]), "the first choice is made before there is one"
    assert (maps[0][2] != maps[1][2]).any()
    lengths = [state.memory.rows.shape[1] for state in states]
    # 48 -> 34 + 1 -> 25 + 1 -> 19 + 1, of which one each is the newest fused one; and the class token
    assert lengths == [1 + 17, 1 + 20]
    assert (states[1].memory.index == TOKENS).any(1).all()
    assert torch.equal(states[1].keep[-1].sum(1), (states[1].memory.index < TOKENS).sum(1))


def test_evovit_selects_anew_in_every_block_and_forgets_no_token():
    network = backbone("evovit")
    reducer, tokens = network.reducer, torch.randn(2, TOKENS, 32)
    state = reducer.begin()
    reducer.enter(network, tokens, state)
    tokens = reducer(list(network.blocks[:4]), 0, tokens, state)
    assert not state.keep
    before = state.memory.scores
    out = reducer([network.blocks[4]], 4, tokens, state)
    pruned = ~state.keep[0]
    assert torch.equal(out[pruned], tokens[pruned]) and torch.equal(state.memory.scores[pruned], before[pruned])
    best = before.topk(TOKENS // 2).indices
    assert torch.equal(state.keep[0], torch.zeros_like(pruned).scatter(1, best, True))
    assert (state.memory.scores[~pruned] != before[~pruned]).any()


@pytest.mark.parametrize("method", MERGING)
def test_merged_places_have_the_same_value_and_look_everywhere(method):
    network = backbone(method)
    reducer, tokens = network.reducer, torch.randn(2, TOKENS, 32)
    state = reducer.begin()
    state.reach = "network"
    out = reducer([network.blocks[3]], 3, tokens, state)
    groups = state.groups[0]
    for image in range(2):
        for group in groups[image].unique():
            members = out[image][groups[image] == group]
            assert torch.equal(members, members[:1].expand_as(members))
    first = [[row.index(group) for group in range(max(row) + 1)] for row in groups.tolist()]
    assert all(order == sorted(order) for order in first), "numbered by first appearance"
    assert torch.equal(state.keep[0].nonzero()[:, 1], torch.tensor([place for order in first for place in order]))
    assert state.followed is None and not state.around_kept


def test_equal_scores_go_by_the_lower_index():
    place = match(torch.ones(1, 8, 4), 2)
    assert place.tolist() == [[2, 2, 2, 3, 0, 4, 1, 5]]
    with_class = match(torch.ones(1, 8, 4), 2, class_token=True)
    assert with_class[0, 0] == 0 and with_class[0, 2] == with_class[0, 4] == with_class[0, 1]
    torch.manual_seed(0)
    network = backbone("evit")
    reducer, tokens = network.reducer, torch.zeros(1, TOKENS, 32)
    state = reducer.begin()
    reducer.enter(network, tokens, state)
    reducer([network.blocks[3]], 3, tokens, state)
    assert state.keep[0].nonzero()[:, 1].tolist() == list(range(34))


def test_the_nearest_entry_and_the_first_one_among_equals():
    ascending = torch.tensor([[0.0, 0.25, 0.25, 0.5, 1.0, 1.0]])
    values = torch.tensor([[-1.0, 0.1, 0.125, 0.3, 0.375, 0.8, 1.0, 2.0]])
    expected = (values[..., None] - ascending[:, None]).abs().argmin(-1)
    assert torch.equal(nearest(ascending, values), expected)


def test_a_single_token_and_equal_scores_are_sampled():
    assert sample(torch.ones(1, 1), None, 1.0).all()
    assert sample(torch.full((1, 30), 1 / 30), None, 1.0).sum() == 30 - 1, (
        "of the smallest entry above 0 and later ones"
    )
    valid = torch.tensor([[True] * 12, [True] * 5 + [False] * 7])
    picked = sample(torch.rand(2, 12, generator=torch.Generator().manual_seed(0)) * valid, valid, 1.0)
    assert not (picked & ~valid).any() and picked.any(1).all()


def test_clusters_are_what_the_linkage_says():
    line = torch.tensor([0.0, 1.0, 2.1, 3.3, 9.0, 9.2]).double()
    distances = (line[:, None] - line[None]).abs().numpy()
    assert clusters(distances, 2, "single").tolist() == [0, 0, 0, 0, 1, 1]
    assert clusters(distances, 3, "complete").tolist() == [0, 0, 1, 1, 2, 2]
    assert clusters(distances, 6, "complete").tolist() == list(range(6))
    assert clusters(distances, 1, "average").tolist() == [0] * 6


def test_the_masked_softmax_sees_kept_keys_and_itself():
    logits, policy = torch.randn(1, 2, 5, 5), torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0]])
    weights = masked_softmax(logits, policy)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 5))
    seen = weights > 1e-5
    assert torch.equal(seen[0, 0], policy.bool() | torch.eye(5, dtype=torch.bool))
    everything = masked_softmax(logits, torch.ones(1, 5))
    torch.testing.assert_close(everything, logits.softmax(-1), atol=2e-6, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_reach_every_weight_that_a_method_brings_in_mixed_precision(method):
    network = backbone(method).train()
    with torch.enable_grad():
        state = network.reducer.begin()
        state.mask_only = state.straight_through = state.sample_noise = True
        with torch.autocast("cpu", torch.bfloat16):
            levels = network.run(images(2), state)
        sum(level.float().square().sum() for level in levels).backward()
    brought = [
        parameter for name, parameter in network.named_parameters() if name.startswith(network.reducer.learned_names())
    ]
    assert bool(brought) == (method not in MERGING)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in brought)
    assert any(parameter.grad.any() for parameter in brought) or not brought
    assert network.blocks[10].mlp.fc1.weight.grad.any()


def test_a_shortened_sequence_comes_back_to_its_places():
    tokens = torch.randn(2, 10, 4)
    left = Shortened.whole(torch.zeros(2, 1, 4), tokens)
    left.choose(torch.tensor([[7, 2, 5], [0, 9, 1]]))
    left.index[1, 2] = 10  # no place
    assert torch.equal(left.written(torch.zeros_like(tokens))[0, [2, 5, 7]], tokens[0, [2, 5, 7]])
    assert left.kept().nonzero().tolist() == [[0, 2], [0, 5], [0, 7], [1, 0], [1, 9]]
    left.in_order()
    assert left.index.tolist() == [[2, 5, 7], [0, 9, 10]]
    left.read(tokens + 1.0)
    torch.testing.assert_close(left.rows[1, 1:], torch.stack((tokens[1, 0] + 1, tokens[1, 9] + 1, tokens[1, 1])))


@pytest.mark.parametrize(
    ("method", "options", "sentence"),
    [
        ("evit", {"kept": 1.5}, "kept must be a number from 0 to 1, got 1.5"),
        ("evit", {"kept": True}, "kept must be a number from 0 to 1, got True"),
        ("evit", {"fuse": 1}, "fuse must be true or false, got 1"),
        ("atc", {"linkage": "ward"}, "linkage must be one of complete, average, single, got 'ward'"),
        ("tome", {"fuse": True}, "method 'tome' has no option 'fuse'; it has kept"),
        ("dense", {"kept": 0.5}, "method 'dense' has no option 'kept'; it has none"),
        ("evit", {"dim": 3}, "method 'evit' has no option 'dim'"),
    ],
)
def test_options_that_a_method_does_not_take(method, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_reducer(method, 32, 6, options=options)


def test_names_stand_for_options():
    assert {"dense", "svit", "tasktp", *METHODS} <= REDUCERS.keys()
    assert options_of("evit_remove") == {"kept": 0.7, "fuse": False, "remove": True}
    assert options_of("atc_single") == {"kept": 0.5, "linkage": "single"}
    assert [options_of(name)["kept"] for name in ("tome", "atc", "evovit", "dynamicvit", "evit")] == [
        0.5,
        0.5,
        0.5,
        0.7,
        0.7,
    ]


@pytest.mark.parametrize("mask", ["none", "bool", "float"])
def test_attention_in_parts_of_some_queries_equals_torchs_own(mask, monkeypatch):
    query, key, value = torch.randn(2, 3, 50, 8), torch.randn(2, 3, 70, 8), torch.randn(2, 3, 70, 8)
    bias = {"none": None, "bool": torch.rand(2, 1, 1, 70) < 0.7, "float": torch.randn(2, 1, 1, 70)}[mask]
    monkeypatch.setattr(attention, "SCORES", 2000)
    parts, whole = attention.attend_in_parts(query, key, value, bias), attention.attend_fused(query, key, value, bias)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["dynamicvit", "evit", "evovit", "ats", "atc"])
def test_benchmarks_force_a_share(method):
    network = backbone(method)
    state = network.reducer.begin()
    state.forced_share = 0.3
    network.run(images(2), state)
    assert (torch.stack(state.keep).sum(-1) == 15).all()
