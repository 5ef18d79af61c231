# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Baselines of VLTP's table 7: whole networks stay whole, counts are kept, and each chooses by its paper's rule."""

import pytest
import torch

from tasktp_ros.errors import InputError
from tasktp_ros.vision.pruned_encoding import PruneStage, keep_count
from tasktp_ros.vision.sam_encoder import ImageEncoder
from tasktp_ros.vision.segment_pruners import PRUNERS, build_pruner, first_gated, spread, unsure_first

DIM, DEPTH, GRID = 16, 8, 8


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    torch.manual_seed(0)
    found = ImageEncoder(GRID * 16, DIM, DEPTH, 2, (1, 3, 5, 7), window=4)
    for parameter in found.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return found.eval()


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, GRID * 16, GRID * 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", list(PRUNERS))
@torch.no_grad()
def test_nothing_pruned_is_the_encoder(name: str, encoder: ImageEncoder):
    pruner = build_pruner(name, DIM, DEPTH, 20)
    whole = encoder(images())
    for stages in ((), pruner.stages_for(DEPTH, 0.0)):
        torch.testing.assert_close(pruner.encode(encoder, images(), stages).features, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", list(PRUNERS))
@torch.no_grad()
def test_as_many_are_kept_as_asked_for_and_images_do_not_meet(name: str, encoder: ImageEncoder):
    torch.manual_seed(2)
    pruner = build_pruner(name, DIM, DEPTH, 20)
    stages = pruner.stages_for(DEPTH, 0.3)
    found = pruner.encode(encoder, images(), stages)
    assert len(found.keep) == len(stages)
    for keep, stage in zip(found.keep, stages, strict=True):
        wanted = keep_count(GRID**2, stage.rate)
        assert ((keep.sum(1) - wanted).abs() <= (2 if name == "cts" else 0)).all()
    if name != "random":
        alone = pruner.encode(encoder, images()[1:], stages)
        torch.testing.assert_close(found.features[1:], alone.features, rtol=1e-4, atol=1e-4)


def test_dtop_goes_on_with_the_unsure_and_the_surest_of_each_category():
    sure = torch.tensor([0.95, 0.9, 0.6, 0.99, 0.7, 0.97])
    category = torch.tensor([0, 0, 0, 1, 1, 0])
    logits = torch.full((1, 6, 3), -20.0)
    rest = torch.log(1 - sure)
    for token in range(6):
        logits[0, token, category[token]] = torch.log(sure[token])
        logits[0, token, 2] = rest[token]
    going = torch.tensor([[True, True, True, True, True, False]])
    order = unsure_first(logits, going, context=1)[0].argsort(descending=True, stable=True).tolist()
    assert order == [0, 3, 2, 4, 1, 5], "the surest of both, then from the least sure on, and last what is done"


@torch.no_grad()
def test_dtop_brings_nothing_back(encoder: ImageEncoder):
    torch.manual_seed(3)
    pruner = build_pruner("dtop", DIM, DEPTH, 20)
    found = pruner.encode(encoder, images(), pruner.stages_for(DEPTH, 0.4))
    assert not (found.keep[1] & ~found.keep[0]).any() and (found.keep[1] != found.keep[0]).any()
    with pytest.raises(InputError, match="never brings tokens back"):
        pruner.encode(encoder, images(), (PruneStage(4, 0.5), PruneStage(6, 0.4)))


@torch.no_grad()
def test_svit_brings_tokens_back_and_leaves_the_first_blocks_alone(encoder: ImageEncoder):
    torch.manual_seed(4)
    pruner = build_pruner("svit", DIM, DEPTH, 20)
    stages = pruner.stages_for(DEPTH, 0.3)
    assert [stage.after for stage in stages] == [2, 3, 4, 5, 6, 7] and first_gated(12) == 3
    assert [round(1 - stage.rate, 3) for stage in stages] == [0.7, 0.7, 0.49, 0.49, 0.343, 0.343]
    found = pruner.encode(encoder, images(), stages)
    assert any((later & ~before).any() for before, later in zip(found.keep, found.keep[1:], strict=False))


@torch.no_grad()
def test_cts_gives_the_four_of_a_square_what_their_one_token_became(encoder: ImageEncoder):
    """A square of one colour loses nothing by it: with equal positions its four tokens were the same anyway."""
    pruner = build_pruner("cts", DIM, DEPTH, 20)
    flat = torch.nn.functional.interpolate(torch.randn(1, 3, GRID // 2, GRID // 2), scale_factor=32)
    kept = encoder.pos_embed.data.clone()
    encoder.pos_embed.zero_()
    tables = [table for block in encoder.blocks for table in (block.attn.rel_pos_h, block.attn.rel_pos_w)]
    before = [table.data.clone() for table in tables]
    for table in tables:
        table.zero_()
    blocks = encoder.blocks
    try:
        encoder.blocks = torch.nn.ModuleList()  # embedding and neck alone
        whole, joined = encoder(flat), pruner.encode(encoder, flat, (PruneStage(0, 0.75),))
    finally:
        encoder.blocks = blocks
        encoder.pos_embed.copy_(kept)
        for table, values in zip(tables, before, strict=True):
            table.copy_(values)
    torch.testing.assert_close(joined.features, whole, rtol=1e-4, atol=1e-4)
    assert int(joined.keep[0].sum()) == GRID**2 // 4
    assert spread(torch.arange(4).view(1, 2, 2, 1))[0, ..., 0].tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2
    for stages in ((PruneStage(1, 0.2),), (PruneStage(0, 0.9),)):
        with pytest.raises(InputError, match="CTS has one stage"):
            pruner.encode(encoder, flat, stages)


def test_an_unknown_pruner_is_named():
    with pytest.raises(InputError, match="unknown pruner 'tome'; expected vltp or one of random, cts, dtop, svit"):
        build_pruner("tome", DIM, DEPTH, 20)
