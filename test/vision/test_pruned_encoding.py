# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Pruning in SAM's encoder: gathered tokens give what hidden ones give, whatever is kept, and stages decide as they say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktp_ros.errors import InputError
from tasktp_ros.vision.pruned_encoding import (
    PruneStage,
    WindowLayout,
    encode,
    keep_count,
    keep_highest,
    run_kept,
    run_masked,
)
from tasktp_ros.vision.sam_encoder import ImageEncoder
from tasktp_ros.vision.segmenter import SegmenterConfig, build_segmenter

GRID = 9
"""Not a multiple of the window: three windows per side, the last padded."""


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    torch.manual_seed(0)
    made = build_segmenter(SegmenterConfig(16 * GRID, 32, 4, 2, (1, 3), window=4, decoder_hidden=16)).image_encoder
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made.double().eval()


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.randn(2, GRID, GRID, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def chosen(scores: torch.Tensor) -> torch.Tensor:
    """Scores as a scorer that ignores the tokens."""
    return lambda tokens: scores.to(tokens.dtype)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, GRID * GRID), st.integers(0, 10_000))
def test_gathered_equals_hidden(encoder, tokens, count: int, seed: int):
    order = torch.stack(
        [torch.randperm(GRID * GRID, generator=torch.Generator().manual_seed(seed + b)) for b in (0, 1)]
    )
    index = order[:, :count].sort(dim=1).values
    keep = torch.zeros(2, GRID * GRID, dtype=torch.bool).scatter(1, index, True)
    fast, slow = run_kept(encoder.blocks, tokens, index), run_masked(encoder.blocks, tokens, keep)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
    frozen = ~keep.view(2, GRID, GRID)
    assert torch.equal(fast[frozen], tokens[frozen])
    if count:
        assert not torch.allclose(fast[~frozen], tokens[~frozen])


def test_one_crowded_window_and_an_empty_one(encoder, tokens):
    whole = [row * GRID + column for row in range(4) for column in range(4)]
    index = torch.tensor([[*whole, GRID * GRID - 1], [0, *range(GRID * GRID - 16, GRID * GRID)]])
    keep = torch.zeros(2, GRID * GRID, dtype=torch.bool).scatter(1, index, True)
    fast, slow = run_kept(encoder.blocks, tokens, index), run_masked(encoder.blocks, tokens, keep)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)


def test_windows_of_which_nothing_is_kept_are_not_computed():
    layout = WindowLayout.of(torch.tensor([[0, 1, 9], [0, 40, 80]]), GRID, GRID, 4)
    assert layout.filled.shape == (1 + 3, 16), "the corner's padding belongs to its window"
    assert layout.most == 3 and layout.filled.sum(1).tolist() == [3, 1, 1, 16]


def test_all_kept_is_the_published_encoder(encoder, tokens):
    every = torch.arange(GRID * GRID).expand(2, -1)
    expected = tokens
    for block in encoder.blocks:
        expected = block(expected)
    torch.testing.assert_close(run_kept(encoder.blocks, tokens, every), expected, rtol=0, atol=1e-10)


def test_images_of_a_batch_do_not_see_each_other(encoder, tokens):
    index = torch.stack([torch.arange(0, 40), torch.arange(41, 81)])
    together = run_kept(encoder.blocks, tokens, index)
    alone = torch.cat([run_kept(encoder.blocks, tokens[row : row + 1], index[row : row + 1]) for row in (0, 1)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("masked", [False, True], ids=["gathered", "hidden"])
def test_stages_score_all_tokens_again(encoder, masked: bool):
    seen = []

    def scorer(tokens):
        seen.append(tokens)
        scores = torch.arange(GRID * GRID, dtype=torch.float64).expand(len(tokens), -1)
        return scores if len(seen) == 1 else -scores

    image = torch.randn(1, 3, 16 * GRID, 16 * GRID, dtype=torch.float64)
    found = encode(encoder, image, (PruneStage(1, 0.5), PruneStage(2, 0.8)), scorer, masked)
    assert [int(keep.sum()) for keep in found.keep] == [41, 17]
    assert found.keep[1][0, :17].all(), "tokens frozen by the first stage come back in the second"
    half = GRID * GRID // 2
    first, second = (part.flatten(1, 2)[0] for part in seen)
    assert torch.equal(first[:half], second[:half]) and not torch.isclose(first[half:], second[half:]).all(1).any()
    assert found.features.shape == (1, 256, GRID, GRID)


def test_nothing_pruned_and_everything_pruned(encoder):
    image = torch.randn(1, 3, 16 * GRID, 16 * GRID, dtype=torch.float64)
    scores = torch.rand(1, GRID * GRID)
    none = encode(encoder, image, (PruneStage(2, 0.0),), chosen(scores))
    torch.testing.assert_close(none.features, encoder(image), rtol=0, atol=1e-10)
    every = encode(encoder, image, (PruneStage(2, 1.0),), chosen(scores))
    tokens = encoder.blocks[1](encoder.blocks[0](encoder.embed(image)))
    assert torch.equal(every.features, encoder.features(tokens)) and every.kept == [0.0]


@pytest.mark.parametrize(
    ("tokens", "rate", "kept"), [(400, 0.5, 200), (400, 0.7, 120), (100, 0.29, 71), (9, 0.5, 5), (4096, 0.9, 410)]
)
def test_how_many_are_kept(tokens: int, rate: float, kept: int):
    assert keep_count(tokens, rate) == kept


def test_ties_go_to_the_lower_index_and_images_decide_alone():
    scores = torch.tensor([[1.0, 5.0, 5.0, 5.0, 0.0, 2.0], [9.0, 0.0, 0.0, 0.0, 0.0, 9.0]])
    assert keep_highest(scores, 0.5).tolist() == [[1, 2, 3], [0, 1, 5]]
    assert keep_highest(scores, 4 / 6).tolist() == [[1, 2], [0, 5]]


@pytest.mark.parametrize("channels", [256, 32], ids=["as published", "slim"])
def test_each_image_has_its_own_goal(channels: int):
    torch.manual_seed(0)
    config = SegmenterConfig(96, 32, 4, 2, (1, 3), window=4, decoder_hidden=16, prune_channels=channels)
    model = build_segmenter(config).eval()
    image, stages = torch.randn(2, 3, 96, 96), (PruneStage(2, 0.5),)
    guidance = torch.randn(2, 256)
    with torch.no_grad():
        together = model(image, guidance, stages)
        for row in (0, 1):
            alone = model(image[row : row + 1], guidance[row], stages)
            torch.testing.assert_close(together.logits[row], alone.logits[0], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(
                together.encoding.scores[0][row], alone.encoding.scores[0][0], rtol=1e-4, atol=1e-4
            )
        swapped = model(image, guidance.flip(0), stages)
    assert not torch.allclose(together.encoding.scores[0], swapped.encoding.scores[0], atol=1e-3)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ((PruneStage(0, 0.5),), "after blocks 1 to 3"),
        ((PruneStage(4, 0.5),), "after blocks 1 to 3"),
        ((PruneStage(2, 0.5), PruneStage(1, 0.5)), "in order"),
        ((PruneStage(2, 0.5), PruneStage(2, 0.5)), "in order"),
        ((PruneStage(2, 1.5),), "from 0 to 1"),
        ((PruneStage(2, float("nan")),), "from 0 to 1"),
    ],
)
def test_stages_that_cannot_be(encoder, stages, said: str):
    image = torch.zeros(1, 3, 16 * GRID, 16 * GRID, dtype=torch.float64)
    with pytest.raises(InputError, match=said):
        encode(encoder, image, stages, chosen(torch.zeros(1, GRID * GRID)))


@pytest.mark.parametrize(
    ("guidance", "said"),
    [
        (torch.zeros(255), "256 numbers"),
        (torch.zeros(3, 256), "one vector for each of 2 images"),
        (torch.full((256,), float("nan")), "not finite"),
        (torch.zeros(1, 1, 256), "256 numbers"),
    ],
)
def test_guidance_that_cannot_be(guidance: torch.Tensor, said: str):
    model = build_segmenter(SegmenterConfig(32, 8, 1, 1, (), decoder_hidden=8))
    with pytest.raises(InputError, match=said):
        model(torch.zeros(2, 3, 32, 32), guidance)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_size": 100}, "multiple of 16"),
        ({"heads": 3}, "multiple of heads"),
        ({"depth": 0}, "at least 1"),
        ({"prune_channels": 60}, "multiple of 16"),
    ],
)
def test_sizes_that_cannot_be(change: dict, said: str):
    numbers = {"image_size": 96, "dim": 32, "depth": 4, "heads": 2, "global_blocks": (1, 3)} | change
    with pytest.raises(InputError, match=said):
        SegmenterConfig(**numbers)
    with pytest.raises(InputError, match="unknown segmenter 'sam_x'"):
        build_segmenter("sam_x")


def test_images_of_another_size_are_refused(encoder):
    with pytest.raises(InputError, match=r"\(B, 3, 144, 144\)"):
        encoder(torch.zeros(1, 3, 144, 160, dtype=torch.float64))


def test_nano_is_small():
    model = build_segmenter("sam_nano")
    assert sum(parameter.numel() for parameter in model.parameters()) <= 8_000_000
