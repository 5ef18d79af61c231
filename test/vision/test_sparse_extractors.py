# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Extractors that work around kept tokens only: equal to a slow twin, to the whole when all is kept, to nothing when none is."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.reduction import build_reducer
from tasktp_ros.vision.adapter import Extractor, Interaction, cells_around
from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.cells import cell_count

TOKEN_SHAPE = (4, 6)
TOKENS = (TOKEN_SHAPE,)
SCALES = ((8, 12), TOKEN_SHAPE, (2, 3))


def kept_tokens(*places: tuple[int, int]) -> Tensor:
    kept = torch.zeros(TOKEN_SHAPE, dtype=torch.bool)
    for place in places:
        kept[place] = True
    return kept.flatten()[None]


def interaction(last: bool = False) -> Interaction:
    torch.manual_seed(0)
    made = Interaction(32, 4, last).eval()
    for layer in made.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.2)
    return made


def features(batch: int = 1) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    return (torch.randn(batch, cell_count(SCALES), 32, generator=random),
            torch.randn(batch, cell_count(TOKENS), 32, generator=random))  # fmt: skip


def slow_twin(extractor: Extractor, prior: Tensor, tokens: Tensor, cells: Tensor) -> Tensor:
    """Everything computed everywhere, and hidden outside `cells`."""
    here = torch.zeros(prior.shape[1], 1, dtype=torch.bool)
    here[cells] = True
    updated = prior + extractor.attn(extractor.query_norm(prior), extractor.feat_norm(tokens), SCALES, TOKENS)
    hidden = extractor.ffn.fc1(extractor.ffn_norm(updated)) * here
    updated = updated + extractor.ffn.fc2(F.gelu(extractor.ffn.dwconv(hidden, SCALES)))
    return torch.where(here, updated, prior)


@pytest.mark.parametrize("places", [[(0, 0)], [(1, 2), (3, 5)], [(2, 3)]])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_fast_path_equals_its_slow_twin(places, batch):
    prior, tokens = features(batch)
    cells = cells_around(kept_tokens(*places), TOKEN_SHAPE)
    part = interaction(last=True)
    with torch.no_grad():
        expected = prior
        for extractor in (part.extractor, *part.extra_extractors):
            expected = slow_twin(extractor, expected, tokens, cells)
        found = part.extract(prior, tokens, TOKENS, SCALES, cells)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not torch.equal(found, prior)


def test_all_cells_are_the_whole_extractor_and_none_leave_the_prior_alone():
    prior, tokens = features()
    part = interaction()
    with torch.no_grad():
        whole = part.extract(prior, tokens, TOKENS, SCALES)
        everything = cells_around(torch.ones(1, 24, dtype=torch.bool), TOKEN_SHAPE)
        assert len(everything) == cell_count(SCALES)
        found = part.extract(prior, tokens, TOKENS, SCALES, everything)
        nothing = cells_around(kept_tokens(), TOKEN_SHAPE)
        torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-5)
        assert len(nothing) == 0
        assert torch.equal(part.extract(prior, tokens, TOKENS, SCALES, nothing), prior)


def test_cells_lie_on_kept_tokens_and_their_neighbours_on_every_scale():
    def maps(kept: Tensor, margin: int) -> list[Tensor]:
        here = torch.zeros(cell_count(SCALES), dtype=torch.int64)
        here[cells_around(kept, TOKEN_SHAPE, margin)] = 1
        return [part.view(shape) for part, shape in zip(here.split([96, 24, 6]), SCALES, strict=True)]

    stride8, stride16, stride32 = maps(kept_tokens((1, 2)), margin=0)
    assert stride16.nonzero().tolist() == [[1, 2]]
    assert stride8.nonzero().tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]]
    assert stride32.nonzero().tolist() == [[0, 1]]
    stride8, stride16, stride32 = maps(kept_tokens((0, 0)), margin=1)
    assert stride16[:2, :2].all() and stride16.sum() == 4
    assert stride8[:4, :4].all() and stride8.sum() == 16
    assert stride32.nonzero().tolist() == [[0, 0]]
    both = torch.cat([kept_tokens((0, 0)), kept_tokens((3, 5))])
    assert maps(both, margin=0)[1].nonzero().tolist() == [[0, 0], [3, 5]], "what any image of a batch keeps counts"


@pytest.mark.parametrize("method", ["tasktp", "svit"])
def test_the_backbone_narrows_its_extractors_only_after_a_gate_and_only_when_asked(method, monkeypatch):
    torch.manual_seed(3)
    backbone = Backbone(32, 4, 4, 8, build_reducer(method, 32, 6)).eval()
    image = torch.randn(1, 3, 64, 96)
    seen: list[int | None] = []
    extract = Interaction.extract

    def watched(self, prior, tokens, token_shapes, prior_shapes, cells=None):
        seen.append(None if cells is None else len(cells))
        return extract(self, prior, tokens, token_shapes, prior_shapes, cells)

    monkeypatch.setattr(Interaction, "extract", watched)
    with torch.no_grad():
        for reach in ("blocks", "network"):
            state = backbone.reducer.begin()
            state.forced_share, state.reach = 0.1, reach
            backbone.run(image, state)
    assert seen[:5] == [None] * 5
    assert all(count is not None and 0 < count < 126 for count in seen[5:]) and len(seen) == 8
