# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What must hold for every gated method: pruned tokens cost nothing, keep their value, and masks equal gathering."""

from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

from tasktp_ros.reduction import REDUCERS, build_reducer
from tasktp_ros.reduction.gated import run_kept, run_masked
from tasktp_ros.reduction.tasktp import PresenceHead, TaskGate, TaskTP, top_of_row
from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.reducer import NothingRelevant
from tasktp_ros.vision.vit import Block

GATED = ["tasktp", "svit"]
PRESENT = [("tasktp", False), ("svit", False), ("tasktp", True)]
CLASSES = 6


def blocks(count: int = 3) -> list[nn.Module]:
    torch.manual_seed(0)
    return [Block(32, 4).eval() for _ in range(count)]


def tokens(batch: int = 1, count: int = 40) -> Tensor:
    return torch.randn(batch, count, 32, generator=torch.Generator().manual_seed(1))


def small_backbone(method: str, presence: bool = False) -> Backbone:
    """A backbone of 32 channels whose gates decide differently for different tokens."""
    torch.manual_seed(3)
    reducer = TaskTP(32, CLASSES, presence=True) if presence else build_reducer(method, 32, CLASSES)
    backbone = Backbone(32, 4, 4, 8, reducer).eval()
    for name, module in backbone.reducer.published_modules().items():
        assert name in ("selectors", "selective_modules", "presence")
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.5)
    return backbone


def test_keeping_everything_is_the_dense_run():
    dense = tokens()
    for block in blocks():
        dense = block(dense)
    everything = torch.ones(1, 40, dtype=torch.bool)
    torch.testing.assert_close(run_kept(blocks(), tokens(), everything), dense)
    torch.testing.assert_close(run_masked(blocks(), tokens(), everything), dense)


def test_keeping_nothing_runs_no_block():
    class Forbidden(nn.Module):
        def forward(self, *_: Tensor) -> Tensor:
            raise AssertionError("a block ran although no token was kept")

    for batch in (1, 2):
        nothing = torch.zeros(batch, 40, dtype=torch.bool)
        assert torch.equal(run_kept([Forbidden()], tokens(batch), nothing), tokens(batch))


def test_keeping_one_token_changes_only_that_token():
    one = torch.zeros(1, 40, dtype=torch.bool)
    one[0, 17] = True
    out = run_kept(blocks(), tokens(), one)
    changed = (out != tokens()).any(-1)
    assert torch.equal(changed, one)


def test_blocks_see_only_kept_tokens():
    seen = []
    block = blocks(1)[0]
    block.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    keep = torch.zeros(1, 40, dtype=torch.bool)
    keep[0, 5:18] = True
    run_kept([block], tokens(), keep)
    ((given, key_mask),) = seen
    assert given.shape[1] == 16 and key_mask.sum() == 13, "few shapes on a CPU; what fills them up is masked"
    assert torch.equal(given[key_mask], tokens()[keep])
    keep[:, :32] = True
    keep[:, 32:] = False
    run_kept([block], tokens(), keep)
    assert seen[-1][0].shape[1] == 32 and seen[-1][1] is None


@pytest.mark.parametrize("counts", [(40,), (7,), (40, 3), (0, 12), (0, 0, 1), (5, 5)])
def test_gathering_equals_masking(counts):
    keep = torch.zeros(len(counts), 40, dtype=torch.bool)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(5))
    for image, count in enumerate(counts):
        keep[image, order[:count]] = True
    gathered = run_kept(blocks(), tokens(len(counts)), keep)
    assert gathered.isfinite().all()
    torch.testing.assert_close(gathered, run_masked(blocks(), tokens(len(counts)), keep), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", GATED)
def test_a_batch_equals_its_images(method):
    backbone = small_backbone(method)
    images = torch.randn(3, 3, 96, 128, generator=torch.Generator().manual_seed(7))
    relevant = torch.zeros(3, CLASSES, dtype=torch.bool)
    relevant[0, 0] = relevant[1, 2] = True
    relevant[2] = True
    state = backbone.reducer.begin(relevant)
    together = backbone.run(images, state)
    counts = torch.stack(state.keep).sum(-1)
    assert len(counts.unique()) > 3, "the gates of this test must keep different numbers"
    for index in range(3):
        alone_state = backbone.reducer.begin(relevant[index])
        alone = backbone.run(images[index : index + 1], alone_state)
        assert torch.equal(torch.stack(alone_state.keep)[:, 0], torch.stack(state.keep)[:, index])
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[index : index + 1], part, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", GATED)
def test_fast_path_equals_its_slow_twin(method):
    backbone = small_backbone(method)
    image = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(7))
    fast_state, slow_state = backbone.reducer.begin(), backbone.reducer.begin()
    slow_state.mask_only = True
    fast, slow = backbone.run(image, fast_state), backbone.run(image, slow_state)
    assert all(torch.equal(a, b) for a, b in zip(fast_state.keep, slow_state.keep, strict=True))
    assert 0 < torch.stack(fast_state.keep).float().mean() < 1
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def entering(batch: int, share: float) -> Tensor:
    """Random tokens of images of 96 x 128 px."""
    return torch.rand(batch, 48, generator=torch.Generator().manual_seed(9)) < share


@pytest.mark.parametrize(("method", "presence"), PRESENT)
@pytest.mark.parametrize("reach", ["blocks", "network"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
def test_gates_that_see_entering_tokens_only_equal_gates_that_see_all(method, presence, reach, share):
    backbone = small_backbone(method, presence)
    image = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(7))
    states, maps = [], []
    for mask_only in (False, True):
        state = backbone.reducer.begin()
        state.entering, state.reach, state.mask_only = entering(1, share), reach, mask_only
        with suppress(NothingRelevant):
            maps.append(backbone.run(image, state))
        states.append(state)
    fast, slow = states
    assert all(torch.equal(a, b) for a, b in zip(fast.keep, slow.keep, strict=True))
    assert not (torch.stack(fast.keep) & ~entering(1, share)).any(), "what did not enter never comes back"
    assert torch.stack(fast.keep).any() or share == 0
    if share:
        assert len(fast.presence) == 3 * presence
        torch.testing.assert_close(fast.presence, slow.presence, atol=1e-4, rtol=1e-4)
    if reach == "blocks":  # else they come as cells here and as maps there, which other tests compare
        torch.testing.assert_close(*maps, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("method", "presence"), PRESENT)
def test_all_tokens_entering_changes_nothing(method, presence):
    backbone = small_backbone(method, presence)
    image = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(7))
    without, state = backbone.reducer.begin(), backbone.reducer.begin()
    state.entering = entering(1, 1.0)
    for a, b in zip(backbone.run(image, without), backbone.run(image, state), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert torch.equal(torch.stack(without.keep), torch.stack(state.keep))


def test_images_of_a_batch_enter_for_themselves():
    backbone = small_backbone("tasktp", presence=True)
    images = torch.randn(3, 3, 96, 128, generator=torch.Generator().manual_seed(7))
    state = backbone.reducer.begin()
    state.entering = entering(3, 0.5)
    state.entering[1, 5:] = False
    together = backbone.run(images, state)
    for index in range(3):
        alone_state = backbone.reducer.begin()
        alone_state.entering = state.entering[index : index + 1]
        alone = backbone.run(images[index : index + 1], alone_state)
        assert torch.equal(torch.stack(alone_state.keep)[:, 0], torch.stack(state.keep)[:, index])
        for whole, part in zip(state.presence, alone_state.presence, strict=True):
            torch.testing.assert_close(whole[index : index + 1], part, atol=1e-4, rtol=1e-4)
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[index : index + 1], part, atol=1e-4, rtol=1e-4)


def test_a_token_that_does_not_enter_keeps_its_value_from_the_first_block_on():
    backbone = small_backbone("tasktp")
    state = backbone.reducer.begin()
    state.entering = torch.zeros(1, 40, dtype=torch.bool)
    state.entering[0, 17] = True
    out = backbone.reducer(blocks(), 0, tokens(), state)
    assert torch.equal((out != tokens()).any(-1), state.entering)


@pytest.mark.parametrize("method", GATED)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_forced_share_is_met(method, share):
    backbone = small_backbone(method)
    state = backbone.reducer.begin()
    state.forced_share = share
    backbone.run(torch.randn(1, 3, 96, 128), state)
    assert len(state.keep) == len(backbone.reducer.gated_blocks()) == 9
    assert {int(keep.sum()) for keep in state.keep} == {-(-int(share * 480) // 10)}


def test_tasktp_with_all_tokens_kept_is_dense():
    backbone = small_backbone("tasktp")
    dense = Backbone(32, 4, 4, 8, build_reducer("dense", 32, CLASSES)).eval()
    dense.load_state_dict({k: v for k, v in backbone.state_dict().items() if not k.startswith("selectors")})
    image = torch.randn(1, 3, 96, 128)
    state = backbone.reducer.begin(threshold=1e-9)
    for kept, whole in zip(backbone.run(image, state), dense(image), strict=True):
        torch.testing.assert_close(kept, whole, atol=1e-5, rtol=1e-5)
    assert all(keep.all() for keep in state.keep)


def test_the_task_changes_what_is_kept_and_a_higher_threshold_keeps_less():
    backbone = small_backbone("tasktp")
    image = torch.randn(1, 3, 96, 128)
    kept = {}
    for category in range(CLASSES):
        state = backbone.reducer.begin(torch.arange(CLASSES) == category)
        backbone.run(image, state)
        kept[category] = torch.stack(state.keep)
    assert len({mask.numpy().tobytes() for mask in kept.values()}) == CLASSES
    shares = []
    for threshold in (0.1, 0.5, 0.9):
        state = backbone.reducer.begin(threshold=threshold)
        backbone.run(image, state)
        shares.append(int(state.keep[0].sum()))
    assert shares[0] > shares[1] > shares[2]


def test_nothing_is_relevant_where_no_image_keeps_a_token_or_shows_the_task():
    reducer = build_reducer("svit", 32, CLASSES)
    state = reducer.begin()
    state.masks = [torch.zeros(2, 40, dtype=torch.bool)]
    assert reducer.nothing_relevant(state), "nothing is kept"
    state.masks[0][1, 7] = True
    assert not reducer.nothing_relevant(state)
    state.stop_below = (0.3,)
    assert not reducer.nothing_relevant(state), "a method that estimates no presence goes by its tokens alone"
    state.presence = [torch.tensor([[0.29, 0.1], [0.2, 0.29]]).logit()]
    assert reducer.nothing_relevant(state)
    state.presence = [torch.tensor([[0.29, 0.1], [0.2, 0.31]]).logit()]
    assert not reducer.nothing_relevant(state), "one image of the batch shows it"
    state.relevant = torch.tensor([True, False])
    assert reducer.nothing_relevant(state), "what it shows is not asked for"
    state.presence.append(torch.full((2, 2), 0.01).logit())
    assert not reducer.nothing_relevant(state), "of gates beyond the list nothing is asked"
    state.stop_below = ()
    state.presence = [torch.full((2, 2), -99.0)]
    assert not reducer.nothing_relevant(state)


@pytest.mark.parametrize(("reach", "gates"), [("blocks", 3), ("network", 3), ("frame", 2)])
def test_only_reach_frame_leaves_at_the_first_gate_without_the_task(reach, gates):
    backbone = small_backbone("tasktp", presence=True)
    state = backbone.reducer.begin(threshold=1e-9)
    state.reach, state.stop_below = reach, (0.0, 1.0, 1.0)
    with suppress(NothingRelevant):
        backbone.run(torch.randn(1, 3, 96, 128), state)
    assert len(state.presence) == len(state.masks) == gates


def test_presence_grows_with_the_tokens_that_seem_to_be_of_a_category():
    torch.manual_seed(0)
    head = PresenceHead(32, CLASSES)
    tokens, logits = torch.randn(1, 40, 32), torch.zeros(1, 40, CLASSES + 1)
    before = head(tokens, logits)
    assert before.shape == (1, CLASSES) and before.dtype == torch.float32
    logits[0, :10, 2] = 9.0
    more = head(tokens, logits) - before
    assert more[0, 2] > 0.5 and (more[0, [0, 1, 3]] <= 0).all()
    with torch.no_grad():
        torch.testing.assert_close(head(tokens, logits), more + before)
    assert head.bfloat16()(tokens.bfloat16(), logits).dtype == torch.float32
    backbone = small_backbone("tasktp", presence=True)
    state = backbone.reducer.begin()
    backbone.run(torch.randn(2, 3, 96, 128), state)
    assert [estimate.shape for estimate in state.presence] == [(2, CLASSES)] * 3


@pytest.mark.parametrize("trust", [0.0, 0.5])
@torch.no_grad()
def test_what_seems_to_be_there_makes_its_tokens_easier_to_keep(trust):
    backbone = small_backbone("tasktp", presence=True).eval()
    reducer, tokens = backbone.reducer, torch.randn(2, 12, 32)
    head = reducer.presence[0]
    head.trust.fill_(trust)
    head.place.bias[:2] = torch.tensor([4.0, -4.0])
    tasks = [torch.arange(CLASSES) == category for category in (0, 1)]
    states = [reducer.begin(torch.stack([task, tasks[1]])) for task in tasks]
    for state in states:
        reducer.select(0, tokens, state)
    (likely, unlikely), keep = [state.presence[0] for state in states], [state.keep_logits[0] for state in states]
    assert torch.equal(likely, unlikely) and torch.equal(keep[0][1], keep[1][1])
    hints = [head.hint(likely, torch.stack([task, tasks[1]])) for task in tasks]
    assert ((hints[0] - hints[1])[0] > 2).all() if trust else not any(hint.any() for hint in hints)
    assert head.hint(likely, None).shape == (2, 1) and head.hint(likely, tasks[0] & tasks[1]).abs().max() <= 10 * trust


@torch.no_grad()
def test_a_token_is_judged_by_what_its_image_seems_to_hold():
    backbone = small_backbone("tasktp", presence=True).eval()
    head, gate = backbone.reducer.presence[0], backbone.reducer.gates[0]
    logits, task = torch.randn(1, 12, CLASSES + 1), torch.arange(CLASSES + 1)[None, None] == 1
    presence = torch.zeros(1, CLASSES)
    seen = []
    for presence[0, 1] in (-50.0, 0.0, 3.0):
        moved = head.in_context(logits, presence)
        assert torch.equal(moved[..., [0, 2, -1]], logits[..., [0, 2, -1]])
        seen.append(gate.describe(moved, task)[..., 2 * gate.category_embed.embedding_dim])
    assert (seen[0] < seen[1]).all() and (seen[1] < seen[2]).all() and (seen[0] > 0).all(), "bounded, never zero"
    head.context.zero_()
    assert torch.equal(head.in_context(logits, presence), logits)


def test_a_method_without_presence_has_its_published_parameters_alone():
    plain, more = small_backbone("tasktp").state_dict(), small_backbone("tasktp", presence=True).state_dict()
    assert {name.split(".")[0] for name in more.keys() - plain.keys()} == {"presence"}


def test_a_half_with_fewer_members_than_k_is_padded_with_zeros():
    gate = TaskGate(32, CLASSES, top=2)
    logits = torch.randn(1, 5, CLASSES + 1)
    relevant = torch.zeros(1, 1, CLASSES + 1, dtype=torch.bool)
    relevant[..., 3] = True
    features = gate.describe(logits, relevant)
    embeddings, probabilities = features[..., :16].unflatten(-1, (2, 8)), features[..., 16:18]
    torch.testing.assert_close(embeddings[:, :, 0], gate.category_embed.weight[3].expand(1, 5, 8))
    torch.testing.assert_close(probabilities[..., 0], logits.softmax(-1)[..., 3])
    assert not embeddings[:, :, 1].any() and not probabilities[..., 1].any()


def test_background_is_never_relevant():
    gate = TaskGate(32, CLASSES)
    logits = torch.zeros(1, 1, CLASSES + 1)
    logits[..., -1] = 50.0
    everything = build_reducer("tasktp", 32, CLASSES).split(None, logits)
    features = gate.describe(logits, everything)
    half = features.shape[-1] // 2
    assert features[0, 0, half - 2] < 1e-6, "background's probability must not be among the relevant ones"
    torch.testing.assert_close(features[0, 0, -2], torch.tensor(1.0))


def test_gates_learn_without_reaching_the_backbone():
    backbone = small_backbone("tasktp")
    with torch.enable_grad():
        image = torch.randn(1, 3, 96, 128)
        state = backbone.reducer.begin()
        state.mask_only = state.sample_noise = True
        sum(level.sum() for level in backbone.run(image, state)).backward()
    judge = backbone.selectors[0].score_shift[0].weight.grad
    assert judge is not None and judge.abs().sum() > 0, "the blend must carry a gradient to the gate"
    assert backbone.selectors[0].mlp.fc1.weight.grad is None, "the pruning decision must not train the class head"


def test_the_top_of_a_row_with_the_lower_index_first():
    values = torch.tensor([[0.2, 0.5, 0.5, -1.0], [0.1, 0.1, 0.1, 0.1], [-1.0, -1.0, 0.3, -1.0]])
    best, index = top_of_row(values, 2)
    assert index.tolist() == [[1, 2], [0, 1], [2, 0]]
    torch.testing.assert_close(best, torch.tensor([[0.5, 0.5], [0.1, 0.1], [0.3, -1.0]]))
    random = torch.rand(50, 81)
    expected = random.topk(3)
    assert torch.equal(top_of_row(random, 3)[1], expected.indices)
    assert (top_of_row(torch.rand(4, 1), 3)[0][:, 1:] == -2.0).all()


def test_unknown_method():
    with pytest.raises(ValueError, match="unknown reducer 'magic'; expected one of dense"):
        build_reducer("magic", 32, CLASSES)
    assert set(REDUCERS) >= {"dense", "tasktp", "svit"}
