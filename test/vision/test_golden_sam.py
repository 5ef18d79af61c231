# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""SAM's encoder and mask decoder and VLTP's prune decoder meet the recorded numbers of the published code."""

import functools

import numpy as np
import pytest
import torch
from golden import Golden, fill, generator, image, normal
from torch import nn

from tasktp_ros.vision.prune_decoder import PruneDecoder
from tasktp_ros.vision.sam_encoder import Places, cut_windows, relative_rows
from tasktp_ros.vision.segmenter import Segmenter, SegmenterConfig, build_segmenter

SMALL = SegmenterConfig(320, dim=192, depth=6, heads=3, global_blocks=(2, 5))
SINGLE = {"atol": 2e-5, "rtol": 1e-5}
DOUBLE = {"atol": 1e-10, "rtol": 0.0}
PRECISIONS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])


def with_sam_rules(module: nn.Module, prefix: str = "") -> nn.Module:
    """Fill by the recipe and its two rules for SAM."""
    fill(module, prefix)
    for name, tensor in module.state_dict().items():
        scale = {"rel_pos_h": 0.1, "rel_pos_w": 0.1, "positional_encoding_gaussian_matrix": 1.0}
        if (leaf := name.rsplit(".", 1)[-1]) in scale:
            z = generator(prefix + name).standard_normal(tuple(tensor.shape))
            tensor.copy_(torch.from_numpy((scale[leaf] * z).astype(np.float32)))
    return module


@functools.cache
def segmenter(dtype: torch.dtype) -> Segmenter:
    """The small network; its encoder is filled by its own keys, the rest by the whole model's."""
    whole = build_segmenter(SMALL)
    with torch.no_grad():
        with_sam_rules(whole)
        with_sam_rules(whole.image_encoder)
    return whole.to(dtype)


def close(golden: Golden, actual, recorded, name: str, **tolerance) -> None:
    double = actual.dtype == torch.float64
    tolerance = tolerance or (DOUBLE if double else SINGLE)
    golden.close(actual, recorded[name + ("_f64" if double else "")], name, **tolerance)


@pytest.mark.parametrize(
    ("config", "name"),
    [(SMALL, "keys_sam_small"), ("sam_b", "keys_sam_vit_b"), ("sam_l", "keys_sam_vit_l"), ("sam_h", "keys_sam_vit_h")],
    ids=["small", "b", "l", "h"],
)
def test_keys_are_the_published_ones_and_then_the_prune_heads(golden: Golden, config, name: str):
    with torch.device("meta"):
        model = build_segmenter(config)
    found = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    published, head = golden.keys(name), golden.keys("keys_sam_small_prune_head")
    head["prune_head.input_neck.0.weight"][1] = model.config.dim
    assert found == published | head
    assert list(found)[: len(published)] == list(published)


def test_public_weights_load_strictly_and_leave_the_prune_head(golden: Golden):
    public = {key: torch.full(shape, 0.5) for key, shape in golden.keys("keys_sam_small").items()}
    model = build_segmenter(SMALL)
    before = model.prune_head.mask_tokens.weight.clone()
    model.load_state_dict(public)
    assert torch.equal(model.prune_head.mask_tokens.weight, before)
    assert "prune_head.mask_tokens.weight" not in public
    with pytest.raises(RuntimeError, match="neck"):
        model.load_state_dict({key: tensor for key, tensor in public.items() if "neck.3" not in key})


@PRECISIONS
@pytest.mark.parametrize("batch", [1, 2])
def test_encoder(golden: Golden, batch: int, dtype: torch.dtype):
    recorded = golden.arrays(f"sam_encoder_{batch}x3x320x320")
    encoder = segmenter(dtype).image_encoder
    tokens = encoder.embed(image((batch, 3, 320, 320)).to(dtype))
    close(golden, tokens[:, ::4, ::4, ::16], recorded, "mid_tokens_after_pos_embed")
    for number, block in enumerate(encoder.blocks, 1):
        if f"mid_attn_out_block{number}" in recorded:
            added = block.attention(tokens)
            close(golden, added[:, ::4, ::4, ::16], recorded, f"mid_attn_out_block{number}")
        if number == 1:
            close(golden, added[:, -1, ::2, ::16], recorded, "mid_attn_edge_block1")
            windows = block.attn(cut_windows(block.norm1(tokens), 14), Places.all(14, 14, tokens.device))
            windows = windows.view(4 * batch, 14, 14, 192)[:, ::4, ::4, ::16]
            close(golden, windows, recorded, "mid_attn_windows_block1")
        tokens = block(tokens)
        close(golden, tokens[:, ::4, ::4, ::16], recorded, f"mid_tokens_after_block{number}")
    maps = tokens.permute(0, 3, 1, 2)
    for number, layer in enumerate(encoder.neck):
        maps = layer(maps)
        if number < 3:
            close(golden, maps[:, ::16, ::4, ::4], recorded, f"mid_neck{number}")
    features = encoder(image((batch, 3, 320, 320)).to(dtype))
    assert list(features.shape) == recorded["neck_shape"].tolist()
    close(golden, features[:, ::16, ::2, ::2], recorded, "neck_slice")


@PRECISIONS
def test_relative_positions_of_other_sizes(golden: Golden, dtype: torch.dtype):
    recorded = golden.arrays("sam_encoder_1x3x320x320")
    encoder = segmenter(dtype).image_encoder
    wide, narrow = encoder.blocks[2].attn.rel_pos_h, encoder.blocks[0].attn.rel_pos_h
    for name, table, queries, keys in (
        ("global_q20_k20", wide, 20, 20),
        ("shrink_q9_k9", wide, 9, 9),
        ("grow_q20_k20", narrow, 20, 20),
        ("q10_k20", narrow, 10, 20),
        ("q20_k10", narrow, 20, 10),
    ):
        close(golden, relative_rows(table, queries, keys)[::3, ::3, ::8], recorded, f"unit_relpos_{name}")


@PRECISIONS
def test_mask_decoder(golden: Golden, dtype: torch.dtype):
    recorded = golden.arrays("sam_decoder")
    model = segmenter(dtype)
    features = normal("sam/image_embedding", (1, 256, 20, 20)).to(dtype)
    seg = normal("sam/seg", (1, 1, 256)).to(dtype)[:, 0]
    positions = model.prompt_encoder.positions(20, 20)
    close(golden, positions[:, ::16, ::2, ::2], recorded, "image_pe_slice")
    no_mask = model.prompt_encoder.no_mask()
    close(golden, no_mask.expand(1, 256, 20, 20)[:, ::16, ::8, ::8], recorded, "dense_slice")
    masks, quality = model.mask_decoder.all_masks(features, positions, no_mask, seg)
    close(golden, masks[:, :, ::8, ::8], recorded, "all_masks_slice")
    close(golden, quality, recorded, "all_iou_predictions")
    logits, quality = model.decode(features, seg)
    close(golden, logits[:, None, ::4, ::4], recorded, "low_res_masks_slice")
    close(golden, quality[:, None], recorded, "iou_predictions")
    full = model.masks_at(logits, tuple(recorded["post_input_size"]), tuple(recorded["post_original_size"]))
    assert full.shape == (1, 375, 500)
    golden.close(full[:, None, ::15, ::20], recorded["post_mask_slice"], "post_mask_slice", **SINGLE)


@PRECISIONS
def test_whole_model_and_its_prune_decoder(golden: Golden, dtype: torch.dtype):
    recorded = golden.arrays("sam_prune_1x3x320x320")
    model = segmenter(dtype)
    pixels, seg = image((1, 3, 320, 320)).to(dtype), normal("sam/seg", (1, 1, 256)).to(dtype)[:, 0]
    found = model(pixels, seg)
    close(golden, found.logits[:, None, ::4, ::4], recorded, "whole_low_res_masks_slice")
    close(golden, found.quality[:, None], recorded, "whole_iou_predictions")
    tokens = model.image_encoder.embed(pixels)
    close_logits = DOUBLE if dtype == torch.float64 else {"atol": 2e-4, "rtol": 1e-5}
    for number, block in enumerate(model.image_encoder.blocks, 1):
        tokens = block(tokens)
        if number in (3, 6):
            logits = model.scorer(seg)(tokens)
            close(golden, logits, recorded, f"prune_logits_block{number}", **close_logits)
            close(golden, logits.sigmoid(), recorded, f"prune_scores_block{number}")
            order = logits[0].argsort(descending=True, stable=True).numpy()
            expected = np.argsort(-recorded[f"prune_logits_block{number}"][0], kind="stable")
            np.testing.assert_array_equal(order, expected)
        if number == 3:
            maps = model.prune_head.input_neck(tokens.permute(0, 3, 1, 2))
            close(golden, maps[:, ::16, ::4, ::4], recorded, "mid_prune_neck")
            prompts = model.prompt_encoder
            query, keys = model.prune_head.look(tokens, prompts.positions(20, 20), prompts.no_mask(), seg)
            close(golden, keys[:, ::9, ::16], recorded, "mid_prune_keys_out")
            golden.close(query[:, ::8], recorded["mid_prune_tokens_out"][:, 0], "query out", **SINGLE)


def test_prune_decoder_alone(golden: Golden):
    head = with_sam_rules(PruneDecoder(192, channels=64, hidden=128), "unit/prune_decoder.")
    assert {k: list(t.shape) for k, t in head.state_dict().items()} == golden.keys("keys_unit_vltp_prune_decoder")
    tokens, positions = normal("unit/vltp_image", (1, 5, 8, 192)), normal("unit/vltp_pe", (1, 64, 5, 8))
    seg = normal("unit/vltp_seg", (1, 1, 64))[:, 0]
    logits = head(tokens, positions, torch.zeros(1, 64, 1, 1), seg)
    golden.close(logits.sigmoid(), golden.arrays("units")["vltp_scores"], "vltp_scores", **SINGLE)
