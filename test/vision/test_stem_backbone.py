# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Nano around kept tokens only: its cells equal a slow twin, which computes everything everywhere and hides what lies outside."""

import pytest
import torch
from torch import Tensor

from tasktp_ros.detectors import build_detector
from tasktp_ros.vision.cells import SparseLevels
from tasktp_ros.vision.detector import Detector
from tasktp_ros.vision.reducer import NothingRelevant, ReductionState
from tasktp_ros.vision.vit import Positions

CLASSES = 7
SIDES = (96, 128)


@pytest.fixture(scope="module", params=["nano", "nano_csp"])
def nano(request) -> Detector:
    torch.manual_seed(0)
    network = build_detector(request.param, "tasktp", CLASSES).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.1)
    return network


def run(network: Detector, image: Tensor, share: float, **settings) -> tuple[ReductionState, Tensor]:
    state = network.backbone.reducer.begin()
    state.forced_share = share
    for name, value in settings.items():
        setattr(state, name, value)
    return state, network.backbone.run(image, state)


@pytest.mark.parametrize("share", [0.02, 0.2, 1.0])
@torch.no_grad()
def test_cells_equal_masked_maps(nano, share):
    image = torch.randn(1, 3, *SIDES)
    state, sparse = run(nano, image, share, reach="network")
    twin, maps = run(nano, image, share, reach="network", mask_only=True)
    assert isinstance(sparse, SparseLevels)
    active = nano.worked_on(SIDES, twin)
    for here, there in zip(state.keep, twin.keep, strict=True):
        assert torch.equal(here, there)
    for fast, slow, mask in zip(sparse.dense(), maps, active, strict=False):
        torch.testing.assert_close(fast, slow * mask[:, None], atol=1e-4, rtol=1e-4)
    levels, slow_levels = nano.neck(sparse), nano.neck.on_maps(maps, active)
    for fast, slow in zip(levels.dense(), slow_levels, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_all_tokens_kept_is_the_published_way_and_none_is_nothing(nano):
    image = torch.randn(1, 3, *SIDES)
    _, sparse = run(nano, image, 1.0, reach="network")
    _, maps = run(nano, image, 1.0)
    for fast, slow in zip(sparse.dense(), maps, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)
    with pytest.raises(NothingRelevant):
        run(nano, image, 0.0, reach="network")
    assert len(nano(image, [SIDES], run(nano, image, 1.0)[0])) == 1


@torch.no_grad()
def test_a_batch_keeps_whole_maps(nano):
    _, maps = run(nano, torch.randn(2, 3, *SIDES), 0.2, reach="network")
    assert [tuple(level.shape) for level in maps] == [
        (2, 96, 24, 32), (2, 96, 12, 16), (2, 96, 6, 8), (2, 96, 3, 4)
    ]  # fmt: skip


@pytest.mark.parametrize("size", ["nano", "nano_csp"])
def test_nano_is_small(size):
    assert sum(parameter.numel() for parameter in build_detector(size, "tasktp", 80).parameters()) < 8e6


def test_a_position_embedding_is_resized_once_per_grid():
    backbone = build_detector("nano", "dense", 3).backbone
    positions = Positions(backbone)
    grids = [(4, 6), (6, 4), *((2, width) for width in range(2, 2 + Positions.most))]
    for _ in range(2):
        for grid in grids:
            assert torch.equal(positions(*grid), backbone.positions(*grid))
        assert positions(*grids[-1]) is positions(*grids[-1])
