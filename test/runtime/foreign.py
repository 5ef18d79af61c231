# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Writes checkpoints as others write them, of networks of the same layout but a few channels."""

import sys
import types
from collections import OrderedDict
from dataclasses import replace

import torch

from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.vision.heads import RoIConfig
from tasktp_ros.vision.sizes import DetectorConfig

SMALL = DetectorConfig(dim=64, heads=1, deformable_heads=4, stem_width=8, pyramid_channels=16,
                       regions=RoIConfig(box_hidden=16))  # fmt: skip
RELEASED = replace(SMALL, layer_scale=True, windows=True)
SIZES = {
    "deit_tiny": SMALL,
    "vit_adapter_tiny": RELEASED,
    "vit_adapter_base": replace(RELEASED, deformable_heads=8, deformable_ratio=0.5),
    "vit_adapter_dinov2_small": replace(RELEASED, pretrained_grid=37),
    "vit_adapter_dinov2_large": replace(
        RELEASED, pretrained_grid=37, depth=24, deformable_heads=16, deformable_ratio=0.5
    ),
}
NORMAL = "dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)"
CONFIG = """
model = dict(
    type='MaskRCNN',
    backbone=dict(type='ViTAdapter', embed_dim={dim}, depth={depth}, num_heads=1, window_attn={windows},
                  window_size={sides}, layer_scale={scaled}))
img_norm_cfg = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True)
train_pipeline = [dict(type='Resize', img_scale=[(480, 1333), (800, 1333)]), dict(type='Normalize', **img_norm_cfg)]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(1333, {short}), transforms=[
        dict(type='Resize', keep_ratio=True), dict(type='Normalize', {norm}), dict(type='Pad', size_divisor=32)])]
data = dict(samples_per_gpu=2, test=dict(type='CocoDataset', pipeline=test_pipeline))
"""


def small_sizes(patch):
    """Give the published sizes a few channels for the time of a test."""
    from tasktp_ros.vision import sizes

    for name, config in SIZES.items():
        patch.setitem(sizes.SIZES, name, lambda config=config: config)


def random_state(detector, seed=0):
    """Weights of a detector, all different from what a fresh one has, and without infinities in half precision."""
    random = torch.Generator().manual_seed(seed)
    return OrderedDict(
        (
            name,
            torch.randint(0, 9, tensor.shape, generator=random)
            if not tensor.is_floating_point()
            else torch.rand(tensor.shape, generator=random) * 0.2 + 0.1,
        )
        for name, tensor in detector.state_dict().items()
    )


def config_text(config: DetectorConfig, norm=NORMAL[5:-1], short=800, windows=None, scaled=None):
    """What mmcv's `pretty_text` writes of a configuration."""
    period = config.depth // 4
    windows = [config.windows and bool(n % period) for n in range(1, config.depth + 1)] if windows is None else windows
    sides = [14 if window else None for window in windows]
    scaled = config.layer_scale if scaled is None else scaled
    return CONFIG.format(
        dim=config.dim, depth=config.depth, windows=windows, sides=sides, scaled=scaled, norm=norm, short=short
    )


def mmcv_file(path, state, config=SMALL, legacy=False, optimizer=True, settings=None, **meta):
    """As mmcv 1.x writes it: `meta`, `state_dict` with torch's own metadata, `optimizer`."""
    state = OrderedDict(state)
    state._metadata = OrderedDict({"": {"version": 1}})
    content = {
        "meta": {"env_info": "GPU 0", "config": settings or config_text(config), "seed": 7, "mmdet_version": "2.28.2",
                 "CLASSES": COCO, "epoch": 36, **meta},
        "state_dict": state,
    }  # fmt: skip
    content["meta"] = {key: value for key, value in content["meta"].items() if value is not None}
    if optimizer:
        first = next(iter(state.values()))
        content["optimizer"] = {
            "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros_like(first)}},
            "param_groups": [],
        }
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def mmengine_file(path, state, vocabulary=COCO):
    """As mmengine writes it: a message hub with a class of its own, whose methods an old pickle names by `getattr`."""
    import numpy as np

    module = types.ModuleType("mmengine.logging.history_buffer")
    exec(  # the class has to say that it comes from there
        "class HistoryBuffer:\n"
        "    def mean(self): return 0\n"
        "    def __init__(self, values):\n"
        "        self._log_history, self._methods = values, {'mean': HistoryBuffer.mean}\n",
        module.__dict__,
    )
    names = ("mmengine", "mmengine.logging", module.__name__)
    try:
        sys.modules.update({name: types.ModuleType(name) for name in names[:2]} | {names[2]: module})
        content = {
            "meta": {
                "cfg": "",
                "dataset_meta": {"classes": vocabulary},
                "mmengine_version": "0.10.4",
                "iter": np.int64(9),
            },
            "state_dict": OrderedDict(state),
            "message_hub": {"log_scalars": {"train/loss": module.HistoryBuffer(np.arange(3.0))}},
            "param_schedulers": [{"last_step": 4}],
        }
        torch.save(content, path)
    finally:
        for name in names:
            sys.modules.pop(name, None)
    return path
