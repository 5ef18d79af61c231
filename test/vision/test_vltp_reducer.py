# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""VLTP's guidance as a detector's method: a fixed number of tokens, chosen by the task, from all of them each time."""

import pytest
import torch

from tasktp_ros.detectors import build_detector
from tasktp_ros.reduction.vltp import VLTP
from tasktp_ros.training.batch import Batch, Truth
from tasktp_ros.training.detection_losses import SampleCounts
from tasktp_ros.training.gate_losses import GateRecipe
from tasktp_ros.training.objectives import DetectionObjective
from tasktp_ros.vision.backbone import Backbone

CLASSES = 5
CUP, BED = torch.eye(CLASSES, dtype=torch.bool)[:2]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(3)
    return Backbone(32, 4, 4, 8, VLTP(32, CLASSES)).eval()


def images(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 96, 128, generator=torch.Generator().manual_seed(7))


def test_a_fixed_number_is_kept_and_the_task_chooses_which(backbone):
    states = {}
    for name, task in (("cup", CUP), ("bed", BED), ("all", None)):
        state = states[name] = backbone.reducer.begin(task)
        backbone.run(images(), state)
        assert [int(keep.sum()) for keep in state.keep] == [2 * 24] * 9
    assert not torch.equal(states["cup"].keep[0], states["bed"].keep[0])
    assert any(
        bool((late & ~early).any()) for early, late in zip(states["cup"].keep[:3], states["cup"].keep[3:6], strict=True)
    )


def test_ranked_by_logits(backbone):
    """Where the sigmoid of all is exactly 1, their order still counts."""
    state = backbone.reducer.begin(CUP)
    state.grid = (6, 8)
    tokens = torch.randn(1, 48, 32)
    plain = backbone.reducer.select(0, tokens, state)
    decoder = backbone.reducer.decoder
    forward = type(decoder).forward
    decoder.forward = lambda *given: forward(decoder, *given) + 1e3  # type: ignore[method-assign]
    try:
        shifted = backbone.reducer.select(0, tokens, state)
    finally:
        del decoder.forward
    assert bool((state.scores[-1].sigmoid() == 1).all()) and torch.equal(plain, shifted)


def test_gathered_hidden_and_padded_to_a_capacity_are_the_same(backbone):
    runs = {}
    with torch.no_grad():
        for kind in ("gathered", "hidden", "capacity"):
            state = backbone.reducer.begin(torch.stack((CUP, BED)))
            state.mask_only = kind == "hidden"
            state.capacity = 30 if kind == "capacity" else None
            runs[kind] = backbone.run(images(), state)
    for kind in ("hidden", "capacity"):
        for one, other in zip(runs["gathered"], runs[kind], strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_each_image_of_a_batch_has_its_own_task(backbone):
    together = backbone.reducer.begin(torch.stack((CUP, BED)))
    with torch.no_grad():
        backbone.run(images(), together)
        for row, task in enumerate((CUP, BED)):
            alone = backbone.reducer.begin(task)
            backbone.run(images()[row : row + 1], alone)
            assert torch.equal(alone.keep[0][0], together.keep[0][row])


def test_tokens_that_did_not_enter_are_not_kept(backbone):
    state = backbone.reducer.begin(CUP)
    state.entering = torch.zeros(1, 48, dtype=torch.bool)
    state.entering[0, 5:15] = True
    with torch.no_grad():
        backbone.run(images(1), state)
    for keep in state.keep:
        assert torch.equal(keep, state.entering), "fewer enter than would be kept"


def test_one_step_teaches_the_decoder_and_the_categories():
    torch.manual_seed(0)
    detector = build_detector("nano", "vltp", CLASSES)
    masks = torch.zeros(1, 64, 96, dtype=torch.bool)
    masks[0, 10:40, 20:60] = True
    truth = Truth(torch.tensor([[20.0, 10.0, 60.0, 40.0]]), torch.tensor([1]), masks, torch.zeros(1, dtype=torch.bool))
    batch = Batch(torch.randint(0, 255, (2, 64, 96, 3), dtype=torch.uint8), [truth, truth])
    objective = DetectionObjective(
        detector, CLASSES, SampleCounts(anchors=32, regions=16, masks=2), GateRecipe()
    ).train()
    with torch.enable_grad():
        losses = objective(batch)
        losses["loss_prune"].backward()
    assert losses["kept"] == pytest.approx(0.5) and "loss_prune" in losses
    decoder = detector.backbone.prune_decoder
    assert decoder.category_embed.weight.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in decoder.input_neck.parameters())
    assert all(parameter.grad is None for parameter in detector.backbone.blocks.parameters())
