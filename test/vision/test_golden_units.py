# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""SViT's training-time block, gate and ratio loss meet the recorded numbers of the published code."""

import numpy as np
import torch
from golden import Golden, fill, normal

from tasktp_ros.detectors import build_detector
from tasktp_ros.reduction.gated import run_masked
from tasktp_ros.reduction.svit import ratio_loss


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
