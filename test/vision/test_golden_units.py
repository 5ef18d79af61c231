# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The parts that methods are made of meet the recorded numbers of the published code."""

import numpy as np
import pytest
import torch
from golden import Golden, fill, normal
from torch import Tensor, nn

from tasktp_ros.detectors import build_detector
from tasktp_ros.reduction import atc, ats, dynamicvit, evit, merging, tome
from tasktp_ros.reduction.gated import run_masked
from tasktp_ros.reduction.inside import add_mlp, rows_of
from tasktp_ros.reduction.masked_softmax import masked_softmax
from tasktp_ros.reduction.shortened import Shortened
from tasktp_ros.reduction.svit import ratio_loss
from tasktp_ros.vision.vit import Block


def test_svit_in_training(golden: Golden):
    recorded = golden.arrays("units")
    backbone = fill(build_detector("deit_tiny", "svit", 80).backbone)
    tokens = normal("unit/tokens", (2, 40, 192))
    keep = normal("unit/mask", (2, 40)) > 0
    golden.equal(keep.to(torch.uint8), recorded["svit_train_keep"], "mask")
    out = run_masked([backbone.blocks[3]], tokens, keep.float())
    golden.close(out[:, ::3, ::8], recorded["svit_train_block4_out"], "block 4 under a mask")
    golden.close(backbone.selective_modules[0](tokens), recorded["svit_gate1_logprob"], "first gate")
    for name, per_image in (("batch", False), ("per_image", True)):
        loss = ratio_loss([keep.float()], targets=[0.7], per_image=per_image)
        golden.close(loss, recorded[f"svit_ratio_loss_{name}_0.7"], f"ratio loss {name}", atol=1e-7)
    assert not np.isclose(recorded["svit_ratio_loss_batch_0.7"], recorded["svit_ratio_loss_per_image_0.7"])


@pytest.fixture(scope="module")
def block() -> nn.Module:
    """The plain block of the recorded units, 192 channels and 3 heads."""
    return fill(Block(192, 3), "unit/block.")


def unit_tokens() -> tuple[Tensor, Tensor]:
    """Tokens (2, 40, 192), and with a class token in front."""
    tokens = normal("unit/tokens", (2, 40, 192))
    return tokens, torch.cat((normal("unit/cls", (2, 1, 192)), tokens), dim=1)


def test_evit(golden: Golden, block):
    recorded = golden.arrays("units")
    rows, attention = evit.attend(block, unit_tokens()[1])
    golden.close(attention, recorded["evit_cls_attn"], "class attention")
    for name, fuse in (("fuse", True), ("nofuse", False)):
        short, chosen = evit.shorten(rows, attention, 28, fuse)
        golden.equal(chosen, recorded["evit_idx"], "kept tokens")
        golden.close(add_mlp(block, short)[:, :, ::8], recorded[f"evit_{name}_out"], f"block {name}")


def test_dynamicvit(golden: Golden, block):
    recorded = golden.arrays("units")
    tokens, with_class = unit_tokens()
    keep = normal("unit/mask", (2, 40)) > 0
    predictor = fill(dynamicvit.Predictor(192), "unit/score_predictor.")
    golden.close(predictor(tokens, keep), recorded["dyvit_predictor_logprob"], "predictor under a policy")
    golden.close(predictor(tokens), recorded["dyvit_predictor_logprob_allkept"], "predictor")
    with_class_keep = torch.nn.functional.pad(keep.float(), (1, 0), value=1.0)
    out = dynamicvit.policy_block(block, with_class, with_class_keep)
    golden.close(out[:, :, ::8], recorded["dyvit_block_policy_out"], "block with a class token")
    out = dynamicvit.policy_block(block, tokens, keep)
    golden.close(out[:, :, ::8], recorded["dyvit_block_nocls_policy_out"], "block")
    logits, policy = (torch.from_numpy(recorded[f"dyvit_softmax_{part}"]) for part in ("in", "policy"))
    golden.close(masked_softmax(logits, policy[..., 0]), recorded["dyvit_softmax_out"], "softmax", atol=1e-7)


@pytest.mark.parametrize("share", [1.0, 25 / 41])
def test_ats(golden: Golden, block, share):
    recorded = {
        name.removeprefix(f"ats_n{round(41 * share)}_"): array for name, array in golden.arrays("units").items()
    }
    tokens, with_class = unit_tokens()
    left = Shortened.whole(with_class[:, :1], tokens)
    scores, _ = ats.sample_in_block(block, left, share)
    order = scores.argsort(dim=1, stable=True)
    golden.equal(order, recorded["sorted_indices"], "order of scores")
    golden.close(scores.gather(1, order), recorded["sorted_scores"], "scores", atol=1e-7)
    golden.equal(left.kept().to(torch.uint8), recorded["kept_patch_mask"], "kept tokens")
    golden.equal(1.0 + left.valid.sum(1), recorded["policy_count"], "counts")
    sums = left.rows[:, 0] + (left.rows[:, 1:] * left.valid[..., None]).sum(1)
    golden.close(sums[:, ::8], recorded["out_token_sum"], "sum of what leaves the block", atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("class_token", [False, True])
def test_tome(golden: Golden, class_token):
    recorded, prefix = golden.arrays("units"), f"tome_{'cls' if class_token else 'nocls'}"
    tokens, metric = unit_tokens()[0], normal("unit/metric", (2, 40, 64))
    place = tome.match(metric, 12, class_token)
    merged, sizes = merging.merge(tokens, place, 28)
    golden.close(merged[:, :, ::8], recorded[f"{prefix}_out"], "merged")
    golden.equal(sizes, recorded[f"{prefix}_size"], "sizes")
    golden.close(rows_of(merged, place)[:, :, ::8], recorded[f"{prefix}_unmerged"], "copied back")
    further = tome.match(normal("unit/metric2", (2, 28, 64)), 9, class_token)
    merged, sizes = merging.merge(merged, further, 19, sizes)
    golden.close(merged[:, :, ::8], recorded[f"{prefix}_second_out"], "merged again")
    golden.equal(sizes, recorded[f"{prefix}_second_size"], "sizes after that")
    whole = further.gather(1, place)
    golden.close(rows_of(merged, whole)[:, :, ::8], recorded[f"{prefix}_second_unmerged"], "copied back from there")


@pytest.mark.parametrize("linkage", atc.LINKAGES)
def test_atc(golden: Golden, linkage):
    recorded = golden.arrays("units")
    tokens, metric = unit_tokens()[0], normal("unit/metric", (2, 40, 64))
    groups = atc.ATC(linkage=linkage).group(metric, 28)
    golden.equal(groups, recorded[f"atc_{linkage}_groups"], "groups")
    merged, _ = merging.merge(tokens, groups, 28)
    golden.close(rows_of(merged, groups)[:, :, ::8], recorded[f"atc_{linkage}_unmerged"], "copied back")
