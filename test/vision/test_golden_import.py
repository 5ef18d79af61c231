# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A file in the foreign layout, filled as the recorded networks were, gives the recorded maps once it is imported."""

from dataclasses import replace

import pytest
import torch
from foreign import config_text, mmcv_file
from golden import Golden, filled, image

from tasktp_ros.detectors import build_detector
from tasktp_ros.runtime.checkpoints import load_model
from tasktp_ros.runtime.importing.convert import import_model
from tasktp_ros.vision import sizes
from tasktp_ros.vision.heads import RoIConfig

FILES = {
    "dense_1x3x224x320": ("deit_tiny", "dense", "dense"),
    "svit_1x3x224x320": ("deit_tiny", "svit", "svit"),
    "vitadapter_windows_1x3x224x320": ("vit_adapter_tiny", "dense", "vitadapter_windows"),
    "vitadapter_pos37_1x3x224x320": ("vit_adapter_tiny[pretrained_grid=37]", "dense", "vitadapter_pos37"),
    "vitadapter_ratio_1x3x224x320": (
        "vit_adapter_tiny[deformable_heads=12,deformable_ratio=0.5]",
        "dense",
        "vitadapter_ratio",
    ),
}


@pytest.fixture(autouse=True)
def small_heads(monkeypatch):
    """The heads are of no matter here."""
    for name in ("deit_tiny", "vit_adapter_tiny"):
        config = replace(sizes.SIZES[name](), pyramid_channels=8, regions=RoIConfig(box_hidden=8))
        monkeypatch.setitem(sizes.SIZES, name, lambda config=config: config)


@pytest.mark.parametrize("name", FILES)
def test_imported_weights_give_the_recorded_maps(golden: Golden, tmp_path, name):
    size, method, keys = FILES[name]
    with torch.device("meta"):
        heads = build_detector(size, method, 80).state_dict()
    state = {
        f"backbone.{key}": filled(key, tuple(shape)) for key, shape in golden.keys(f"keys_backbone_{keys}").items()
    }
    state |= {key: torch.zeros_like(tensor, device="cpu") for key, tensor in heads.items() if key not in state}
    config = sizes.size_config(size)
    settings = config_text(config).replace("num_heads=1", f"num_heads={config.heads}")
    path = mmcv_file(tmp_path / "published.pth", state, config, optimizer=False, settings=settings)
    out = tmp_path / "ours.safetensors"
    assert import_model(path, out).card.size == size
    backbone = load_model(out)[0].backbone
    recorded = golden.arrays(name)
    for level, (found, step) in enumerate(zip(backbone(image((1, 3, 224, 320))), (4, 4, 2, 1), strict=True)):
        golden.close(found[:, ::12, ::step, ::step], recorded[f"level{level}_slice"], f"{name} {level}")
