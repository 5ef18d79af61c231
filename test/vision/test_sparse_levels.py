# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Around kept tokens: rows of the active cells give what dense arithmetic gives on maps that are zero elsewhere."""

from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tasktp_ros.reduction import build_reducer
from tasktp_ros.vision.backbone import Backbone
from tasktp_ros.vision.cells import Cells, SparseLevels, level_cells_around, masks_around
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.heads import RoIConfig, RoIHead
from tasktp_ros.vision.proposals import ProposalConfig, ProposalHead
from tasktp_ros.vision.pyramid import FeaturePyramid, with_fifth
from tasktp_ros.vision.reducer import ReductionState

TOKEN_SHAPE = (6, 10)
SHAPES = ((24, 40), (12, 20), (6, 10), (3, 5))
IMAGE = (96, 160)
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
SOME = [(1, 2), (1, 3), (4, 8)]


def kept_tokens(*places: tuple[int, int]) -> Tensor:
    kept = torch.zeros(TOKEN_SHAPE, dtype=torch.bool)
    for place in places:
        kept[place] = True
    return kept.flatten()[None]


def sparse_maps(channels: int, *places: tuple[int, int]) -> SparseLevels:
    """Random maps of strides 4 to 32 that are known around these tokens."""
    cells = level_cells_around(kept_tokens(*places), TOKEN_SHAPE)
    whole = torch.randn(sum(h * w for h, w in cells.shapes), channels, generator=torch.Generator().manual_seed(1))
    return SparseLevels(cells.gather(whole)[: sum(cells.counts[:4])], cells, 4)


def masks_of(levels: SparseLevels) -> list[Tensor]:
    return SparseLevels(torch.ones(len(levels.rows), 1), levels.cells, levels.maps).dense()


def test_levels_as_maps_and_back():
    levels = sparse_maps(3, *SOME)
    maps = levels.dense()
    assert [tuple(level.shape[2:]) for level in maps] == list(SHAPES)
    rows = torch.cat([level.flatten(2)[0].T for level in maps])
    torch.testing.assert_close(rows[levels.cells.index[: len(levels.rows)]], levels.rows)
    assert sum(int(mask.sum()) for mask in masks_of(levels)) == sum(levels.cells.distinct[:4]) < len(rows)
    assert levels.cells.share == pytest.approx(sum(levels.cells.distinct) / sum(h * w for h, w in levels.cells.shapes))


def test_the_cell_under_which_a_cell_lies():
    cells = sparse_maps(3, *SOME).cells
    for number in range(3):
        place, above = cells.of_map(number), cells.rows_under(number)
        assert (above < cells.counts[number + 1]).all()
        width, coarser = SHAPES[number][1], cells.of_map(number + 1)[above]
        assert torch.equal(coarser // SHAPES[number + 1][1], place // width // 2)
        assert torch.equal(coarser % SHAPES[number + 1][1], place % width // 2)


def test_of_a_fifth_map_the_cells_whose_pixel_of_the_fourth_is_known():
    levels = sparse_maps(3, *SOME)
    extended = with_fifth(levels.cells, levels.rows).dense()
    assert len(extended) == len(levels.dense()) + 1
    for found, expected in zip(extended, levels.dense(), strict=False):
        assert torch.equal(found, expected)
    assert torch.equal(extended[4], F.max_pool2d(levels.dense()[3], 1, stride=2))
    assert extended[4].any()


def test_a_fifth_map_without_any_cell():
    cells = level_cells_around((torch.arange(64) == 63)[None], (8, 8))
    levels = with_fifth(cells, torch.ones(len(cells), 1))
    assert cells.counts[4] == 0 and [int(level.sum()) for level in levels.dense()] == [*cells.distinct[:4], 0]
    head = ProposalHead(1, ProposalConfig(10, 10)).eval()
    assert len(head.propose(levels, [(128, 128)])[0]) > 0


@torch.no_grad()
def masked_pyramid(pyramid: FeaturePyramid, levels: SparseLevels) -> list[Tensor]:
    """Slow twin of the pyramid on cells: everything computed everywhere, and hidden where no cell is known."""
    masks = masks_of(levels)
    laterals = [
        conv(level) * here for conv, level, here in zip(pyramid.lateral_convs, levels.dense(), masks, strict=True)
    ]
    for upper in (3, 2, 1):
        above = F.interpolate(laterals[upper], size=laterals[upper - 1].shape[-2:], mode="nearest")
        laterals[upper - 1] = laterals[upper - 1] + above * masks[upper - 1]
    smooth = [conv(level) * here for conv, level, here in zip(pyramid.fpn_convs, laterals, masks, strict=True)]
    return [*smooth, F.max_pool2d(smooth[-1], 1, stride=2)]


def pyramid_levels() -> tuple[SparseLevels, list[Tensor]]:
    torch.manual_seed(0)
    pyramid = FeaturePyramid(12, 16).eval()
    for conv in (*pyramid.lateral_convs, *pyramid.fpn_convs):
        torch.nn.init.normal_(conv.conv.bias)
    maps = sparse_maps(12, *SOME)
    with torch.no_grad():
        return cast(SparseLevels, pyramid(maps)), masked_pyramid(pyramid, maps)


def test_the_pyramid_on_cells_equals_its_slow_twin():
    found, expected = pyramid_levels()
    for number, (level, twin) in enumerate(zip(found.dense(), expected, strict=True)):
        assert twin.any(), number
        torch.testing.assert_close(level, twin, **CLOSE)


@pytest.mark.parametrize("first", [0, 1])
def test_maps_of_which_most_cells_are_known_are_convolved_whole_with_the_same_result(first, monkeypatch):
    levels = sparse_maps(5, *[(line, column) for line in range(6) for column in range(10) if (line, column) != (5, 9)])
    cells, calls = sparse_maps(5, *SOME, *[(line, column) for line in range(6) for column in range(7)]).cells, []
    assert levels.cells.distinct[0] == 24 * 40 and 0.7 < cells.distinct[2] / 60 < 1.0
    convs = [torch.nn.Conv2d(5, 7, 3, padding=1) for _ in range(4 - first)]
    whole = Cells._convolve_whole
    monkeypatch.setattr(Cells, "_convolve_whole", lambda *some: calls.append(some) or whole(*some))
    with torch.no_grad():
        for known in (levels.cells, cells):
            rows = torch.randn(sum(known.counts[:4]), 5)
            found = []
            for threshold in (2.0, 0.0):
                monkeypatch.setattr("tasktp_ros.vision.cells.WHOLE_FROM", threshold)
                found.append(known.convolve(rows, convs, first))
            assert len(calls) == 4 - first and found[0].shape == (sum(known.counts[first:4]), 7)
            torch.testing.assert_close(found[1], found[0], **CLOSE)
            calls.clear()


def test_what_is_measured_to_be_faster_is_done(monkeypatch):
    calls: list[int] = []
    whole = Cells._convolve_whole
    monkeypatch.setattr(Cells, "_convolve_whole", lambda *some: calls.append(some[-1]) or whole(*some))
    conv = torch.nn.Conv2d(5, 7, 3, padding=1)
    most = [(line, column) for line in range(6) for column in range(0, 8, 2)]
    for places, expected in ((SOME, []), (most, [0, 1, 2, 3])):
        levels = sparse_maps(5, *places)
        levels.cells.convolve(levels.rows, [conv] * 4)
        assert calls == expected


def proposal_head() -> ProposalHead:
    torch.manual_seed(2)
    head = ProposalHead(16, ProposalConfig(per_level=40, total=200)).eval()
    for layer in (head.rpn_conv, head.rpn_cls, head.rpn_reg):
        torch.nn.init.normal_(layer.weight, std=0.1)
        torch.nn.init.normal_(layer.bias, std=0.1)
    return head


def test_proposals_of_maps_equal_those_of_all_logits_and_deltas():
    _, maps = pyramid_levels()
    head, images = proposal_head(), [IMAGE, (80, 150)]
    maps = [torch.cat((level, level.flip(-1))) for level in maps]
    with torch.no_grad():
        expected, found = head.select(*head(maps), images), head.propose(maps, images)
    for boxes, twin in zip(found, expected, strict=True):
        assert len(twin) > 20
        torch.testing.assert_close(boxes, twin, atol=1e-3, rtol=1e-4)


def test_proposals_from_cells_equal_those_of_maps_that_are_impossible_elsewhere():
    levels, maps = pyramid_levels()
    head, masks = proposal_head(), masks_of(levels)
    with torch.no_grad():
        scores, deltas = head(maps)
        scores = [score.masked_fill(here == 0, -1e4) for score, here in zip(scores, masks, strict=True)]
        twin = ProposalHead(16, head.config.of_share(levels.cells.share))
        expected = twin.select(scores, deltas, [IMAGE])[0]
        found = head.propose(levels, [IMAGE])[0]
    assert twin.config.per_level == 16 and twin.config.total < 100, "fewer cells propose fewer boxes"
    # The twin's smaller levels fill up with impossible boxes, which rank last.
    assert 16 < len(found) <= len(expected)
    torch.testing.assert_close(found, expected[: len(found)], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("share", "per_level", "total"), [(1.0, 40, 200), (0.5, 20, 100), (0.011, 16, 16), (0.0, 16, 16)]
)
def test_proposals_shrink_with_the_share_of_cells(share, per_level, total):
    config = ProposalConfig(per_level=40, total=200).of_share(share)
    assert (config.per_level, config.total) == (per_level, total)
    assert ProposalConfig(per_level=5).of_share(0.1).per_level == 5, "never more than without"


@pytest.mark.parametrize("samples", [0, 2])
def test_heads_on_cells_equal_heads_on_maps_that_are_zero_elsewhere(samples):
    levels, _ = pyramid_levels()
    torch.manual_seed(3)
    head = RoIHead(16, 4, RoIConfig(box_hidden=16, mask_channels=8, mask_convs=2, samples=samples)).eval()
    torch.nn.init.normal_(head.bbox_head.fc_cls.weight, std=1.0)
    corner = torch.rand(30, 2) * torch.tensor([100.0, 60.0])
    boxes = [torch.cat((corner, corner + 5 + torch.rand(30, 2) ** 2 * torch.tensor([140.0, 90.0])), dim=1)]
    with torch.no_grad():
        for size in (7, 14):
            torch.testing.assert_close(head.pool(levels, boxes, size), head.pool(levels.dense(), boxes, size), **CLOSE)
        found, expected = (head.boxes(some, boxes, [IMAGE], None, 0.1, 20)[0] for some in (levels, levels.dense()))
        assert len(found[0]) > 5
        for part, twin in zip(found, expected, strict=True):
            torch.testing.assert_close(part, twin, atol=1e-3, rtol=1e-4)
        (masks,) = head.masks(levels, [found[0]], [found[2]])
        torch.testing.assert_close(masks, head.masks(levels.dense(), [found[0]], [found[2]])[0], atol=1e-4, rtol=1e-4)
        assert head.pool(levels, [torch.zeros(0, 4)], 7).shape == (0, 16, 7, 7)


def small_detector(method: str = "tasktp") -> Detector:
    torch.manual_seed(3)
    backbone = Backbone(32, 4, 4, 8, build_reducer(method, 32, 6))
    detector = Detector(
        backbone, FeaturePyramid(32, 16), 6, ProposalConfig(100, 100), RoIConfig(32, 16, 1, samples=2)
    ).eval()
    torch.nn.init.normal_(detector.roi_head.bbox_head.fc_cls.weight, std=1.0)
    for interaction in backbone.interactions:
        torch.nn.init.normal_(interaction.injector.gamma)
    for norm in (backbone.norm1, backbone.norm2, backbone.norm3, backbone.norm4):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    return detector


def state_of(detector: Detector, reach: str, share: float | None) -> ReductionState:
    state = detector.backbone.reducer.begin()
    state.reach, state.forced_share = reach, share
    return state


@pytest.mark.parametrize("method", ["tasktp", "svit"])
def test_maps_around_kept_tokens_are_those_of_the_dense_assembly(method):
    """Injectors and extractors are the same for one image and for two equal ones, which come as whole maps."""
    detector = small_detector(method)
    image = torch.randn(1, 3, *IMAGE)
    with torch.no_grad():
        found = detector.backbone.run(image, state_of(detector, "network", 0.05))
        whole = detector.backbone.run(image.expand(2, -1, -1, -1), state_of(detector, "network", 0.05))
    assert isinstance(found, SparseLevels) and 0 < found.cells.share < 0.6
    for level, twin, here in zip(found.dense(), whole, masks_of(found), strict=True):
        torch.testing.assert_close(level, twin[:1] * here, atol=1e-4, rtol=1e-4)
        assert here.any() and not here.all()


@pytest.mark.parametrize("method", ["tasktp", "svit"])
def test_with_every_token_kept_all_reaches_agree(method):
    detector = small_detector(method)
    image = torch.randn(1, 3, *IMAGE)
    with torch.no_grad():
        expected, *others = (
            detector(image, [IMAGE], state_of(detector, reach, 1.0), 0.3, 20)[0]
            for reach in ("blocks", "network", "frame")
        )
    assert len(expected.boxes) > 3
    for found in others:
        torch.testing.assert_close(found.boxes, expected.boxes, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(found.scores, expected.scores, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.masks, expected.masks, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("reach", ["network", "frame"])
def test_nothing_kept_is_no_detection(reach):
    detector = small_detector()
    found = detector(torch.randn(1, 3, *IMAGE), [IMAGE], state_of(detector, reach, 0.0))[0]
    assert found.boxes.shape == (0, 4) and found.masks.shape == (0, 28, 28)


def test_an_injector_writes_into_the_kept_tokens_and_those_around_them_only(monkeypatch):
    detector = small_detector()
    backbone = detector.backbone
    inject = type(backbone.interactions[0]).inject
    changed: list[int] = []

    def watched(self, tokens, *arguments):
        after = inject(self, tokens, *arguments)
        changed.append(int((after != tokens).any(-1).sum()))
        return after

    monkeypatch.setattr(type(backbone.interactions[0]), "inject", watched)
    state = state_of(detector, "network", 0.05)
    with torch.no_grad():
        backbone.run(torch.randn(1, 3, *IMAGE), state)
    around = [int(masks_around(keep, TOKEN_SHAPE, (16,))[0].sum()) for keep in state.keep[::3]]
    assert changed == [60, 60, *around[:2]]
    assert max(around) < 60
