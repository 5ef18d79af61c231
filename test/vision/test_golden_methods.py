# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Backbones with the other papers' methods meet the recorded numbers of the published code: maps, masks and groups."""

import pytest
import torch
from golden import Golden, fill, image

from tasktp_ros.detectors import build_detector

RECORDED = {
    "evovit": "evovit_1x3x224x320",
    "tome": "tome_1x3x224x320",
    "atc": "atc_complete_1x3x224x320",
    "atc_average": "atc_average_1x3x224x320",
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("method", RECORDED)
def test_maps_masks_and_groups(golden: Golden, method, dtype):
    name = RECORDED[method]
    recorded = golden.arrays(name)
    backbone = fill(build_detector("deit_tiny", method, 80).backbone).to(dtype)
    shape = tuple(int(side) for side in name.split("_")[-1].split("x"))
    state = backbone.reducer.begin()
    maps = backbone.run(image(shape).to(dtype), state)
    keep = torch.stack(state.keep)
    if "kept_masks" in recorded:
        golden.equal(keep.to(torch.uint8), recorded["kept_masks"], f"{name} masks")
        golden.equal(keep.sum(-1), recorded["kept_counts"], f"{name} counts")
        golden.equal(torch.tensor(backbone.reducer.gated_blocks()) + 1, recorded["pruned_layers_1based"], "blocks")
    else:
        golden.equal(torch.stack(state.groups), recorded["group_of_token"], f"{name} groups")
        golden.equal(keep[::3].sum(-1)[:, 0], recorded["tokens_after"], f"{name} counts")
    suffix = "_f64" if dtype == torch.float64 else ""
    for level, (found, step) in enumerate(zip(maps, (4, 4, 2, 1), strict=True)):
        key = f"level{level}"
        golden.close(found[:, ::12, ::step, ::step], recorded[f"{key}_slice{suffix}"], f"{name} {key}")
        tolerance = {"atol": 1e-5, "rtol": 1e-5}
        golden.close(found.double().mean(), recorded[f"{key}_mean{suffix}"], f"{name} {key} mean", **tolerance)
        spread = found.double().std(correction=0)
        golden.close(spread, recorded[f"{key}_std{suffix}"], f"{name} {key} std", **tolerance)
