# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""ViT-Adapter as it was released meets the recorded numbers of its code: windows, layer scale, the large position grid, narrow values."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from golden import Golden, fill, image

from tasktp_ros.detectors import build_detector
from tasktp_ros.vision import sizes
from tasktp_ros.vision.vit import attend, attend_in_windows

RECORDED = {
    "windows": ["vitadapter_windows_1x3x224x320", "vitadapter_windows_2x3x256x256"],
    "pos37": ["vitadapter_pos37_1x3x224x320"],
    "ratio": ["vitadapter_ratio_1x3x224x320"],
}
CHANGES = {
    "windows": {},
    "pos37": {"pretrained_grid": 37},
    "ratio": {"deformable_heads": 12, "deformable_ratio": 0.5},
}


@pytest.fixture(scope="module", params=CHANGES)
def released(request):
    """The tiny network with what a release changed, and that release's name."""
    changed = replace(sizes.vit_adapter_tiny(), pyramid_channels=16, **CHANGES[request.param])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sizes.SIZES, "released", lambda: changed)
        return request.param, fill(build_detector("released", "dense", 1).backbone)


def note(seen, key, _module, _inputs, output):
    seen[key] = output


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_maps_and_intermediate_values(golden: Golden, released, dtype):
    variant, backbone = released
    backbone.to(dtype)
    suffix = "_f64" if dtype == torch.float64 else ""
    # In double the first input is enough to see every eps; the second has windows padded on both sides alike.
    for name in RECORDED[variant][: 1 if suffix else None]:
        recorded = golden.arrays(name)
        seen: dict[str, torch.Tensor] = {}
        watched = {"attn_out_block1": backbone.blocks[0].attn, "attn_out_block3": backbone.blocks[2].attn}
        watched |= {f"tokens_after_block{number}": block for number, block in enumerate(backbone.blocks, start=1)}
        handles = [module.register_forward_hook(partial(note, seen, key)) for key, module in watched.items()]
        maps = backbone(image(tuple(int(side) for side in name.split("_")[-1].split("x"))).to(dtype))
        for handle in handles:
            handle.remove()
        for level, (found, step) in enumerate(zip(maps, (4, 4, 2, 1), strict=True)):
            assert list(found.shape) == recorded[f"level{level}_shape"].tolist()
            golden.close(found[:, ::12, ::step, ::step], recorded[f"level{level}_slice{suffix}"], f"{name} {level}")
        if dtype == torch.float32:
            assert len(seen) == 14
            for key, value in seen.items():
                golden.close(value[:, ::9, ::16], recorded[f"mid_{key}"], f"{name} {key}")


def test_published_names_come_in_the_published_order(golden: Golden, released):
    variant, backbone = released
    shapes = {name: list(tensor.shape) for name, tensor in backbone.state_dict().items()}
    assert list(shapes.items()) == list(golden.keys(f"keys_backbone_vitadapter_{variant}").items())


@pytest.mark.parametrize(("height", "width"), [(14, 14), (3, 5), (14, 20), (16, 28), (28, 13)])
def test_windows_against_a_loop_over_windows(height, width):
    """Padded positions are keys and values of zeros that take part; nothing is shifted."""
    packed = torch.randn(2, height * width, 3 * 8)
    found = attend_in_windows(packed, 2, (height, width)).unflatten(1, (height, width))
    maps = packed.unflatten(1, (height, width))
    for top in range(0, height, 14):
        for left in range(0, width, 14):
            window = torch.zeros(2, 14, 14, 24)
            part = maps[:, top : top + 14, left : left + 14]
            window[:, : part.shape[1], : part.shape[2]] = part
            expected = attend(window.flatten(1, 2), 2, None).unflatten(1, (14, 14))
            expected = expected[:, : part.shape[1], : part.shape[2]]
            torch.testing.assert_close(found[:, top : top + 14, left : left + 14], expected, atol=1e-6, rtol=1e-5)


def test_names_of_networks_that_are_otherwise():
    config = sizes.size_config("vit_adapter_tiny[pretrained_grid=37,deformable_ratio=0.5]_global")
    assert (config.pretrained_grid, config.deformable_ratio, config.windows, config.dim) == (37, 0.5, False, 192)
    assert sizes.varied_size("vit_adapter_tiny", sizes.vit_adapter_tiny()) == "vit_adapter_tiny"
    for name in ("deit_tiny_global", "huge[depth=4]", "deit_tiny[dim=4]", "deit_tiny[depth]", "deit_tiny[depth=x]", ""):
        with pytest.raises(ValueError, match="unknown size"):
            sizes.size_config(name)


def test_gates_on_windows_are_refused_in_a_sentence_that_names_the_way_out():
    with pytest.raises(ValueError, match="attend within windows; vit_adapter_tiny_global is the same weights"):
        build_detector("vit_adapter_tiny", "tasktp", 3)
    with pytest.raises(ValueError, match="has blocks of its own, without the layer scale"):
        build_detector("vit_adapter_tiny_global", "svit", 3)
    with torch.device("meta"):
        with pytest.raises(ValueError, match="published for 12 blocks, and vit_adapter_dinov2_large_global has 24"):
            build_detector("vit_adapter_dinov2_large_global", "tasktp", 3)
        assert build_detector("vit_adapter_tiny_global", "tasktp", 3).backbone.selectors
    with pytest.raises(ValueError, match="unknown size 'deit_tiny_global'"):
        build_detector("deit_tiny_global", "dense", 3)


@pytest.mark.parametrize(
    ("size", "parameters", "blocks"),
    [
        ("vit_adapter_base", 120, [1, 2, 4, 5, 7, 8, 10, 11]),
        ("vit_adapter_dinov2_large", 348, [n for n in range(1, 24) if n % 6]),
    ],
)
def test_the_large_sizes_without_their_memory(size, parameters, blocks):
    with torch.device("meta"):
        detector = build_detector(size, "dense", 80)
        seen = []
        for number, block in enumerate(detector.backbone.blocks, start=1):
            block.register_forward_hook(
                lambda *call, n=number: seen.append(n) if call[2]["windows"] else None, with_kwargs=True
            )
        assert sum(p.numel() for p in detector.parameters()) / 1e6 == pytest.approx(parameters, rel=0.01)
    for index, number in enumerate(range(0, len(detector.backbone.blocks), detector.backbone.blocks_per_interaction)):
        group = list(detector.backbone.blocks[number : number + detector.backbone.blocks_per_interaction])
        state = detector.backbone.reducer.begin()
        state.token_shape = (4, 6)
        detector.backbone.reducer(
            group, number, torch.zeros(1, 24, detector.backbone.pos_embed.shape[2], device="meta"), state
        )
        assert index < 4
    assert seen == blocks
