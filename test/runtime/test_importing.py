# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Public checkpoints, written as others write them, come in exactly or are refused in one sentence; none of them is run."""

import argparse
import json
import os
import pickle
import zipfile
from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from foreign import NORMAL, SIZES, SMALL, config_text, mmcv_file, mmengine_file, random_state, small_sizes
from safetensors.torch import save_file

from tasktp_ros.cli.main import main
from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import ModelError
from tasktp_ros.runtime.checkpoints import load_model
from tasktp_ros.runtime.importing.container import read_checkpoint
from tasktp_ros.runtime.importing.convert import Wishes, import_model
from tasktp_ros.runtime.public_models import PublicModel, public_model, public_models
from tasktp_ros.tasks.vocabulary import COCO

FAMILIES = [
    ("deit_tiny", "dense"),
    ("deit_tiny", "svit"),
    ("deit_tiny", "tasktp"),
    ("vit_adapter_tiny", "dense"),
    ("vit_adapter_base", "dense"),
    ("vit_adapter_dinov2_small", "dense"),
    ("vit_adapter_dinov2_large", "dense"),
]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    small_sizes(monkeypatch)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.safetensors"


@cache
def made(size, method, classes):
    return random_state(build_detector(size, method, classes))


def state_of(size, method, classes=80):
    """Weights that a test may change."""
    return {name: tensor.clone() for name, tensor in made(size, method, classes).items()}


def same(path, state, dtype=torch.float32):
    detector, card = load_model(path)
    found = detector.state_dict()
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        expected = tensor.to(dtype).float() if tensor.is_floating_point() else tensor
        assert torch.equal(found[name], expected), name
    return card


@pytest.mark.parametrize(("size", "method"), FAMILIES)
def test_every_family_comes_in_to_the_bit(tmp_path, out, size, method):
    state = state_of(size, method)
    path = mmcv_file(tmp_path / "published.pth.tar", state, SIZES[size])
    imported = import_model(path, out, Wishes(name="mine"))
    card = same(out, state)
    assert (card.size, card.method, card.name, card.trained) == (size, method, "mine", True)
    assert card.vocabulary == COCO and card.vocabulary_name == "coco" and card.input_size is None
    assert imported.report.whole and imported.report.converted == len(state)
    assert [text[:26] for text in imported.report.assumed] == ["gates decide without noise"] * (method == "svit")
    assert imported.report.unused == ["optimizer"] and card.source["licence"] == "unknown"
    assert "published" not in card.source and len(card.source["sha256"]) == 64


def test_before_torch_1_6_with_prefix_and_in_half_precision(tmp_path, out):
    """Batch norms' statistics are cast up with the rest, and the model file loses nothing and gains no bytes."""
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in state_of("vit_adapter_tiny", "dense").items()
    }
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    path = mmcv_file(tmp_path / "old.pth", prefixed, SIZES["vit_adapter_tiny"], legacy=True)
    assert not zipfile.is_zipfile(path)
    report = import_model(path, out).report
    same(out, state)
    assert report.cast["float16"] > 300 and report.renamed == {"`module.` taken off": len(state)}
    assert out.stat().st_size < 1.2 * sum(t.nbytes for t in state.values())
    twice = mmcv_file(
        tmp_path / "twice.pth", {f"module.module.{n}": t.double() for n, t in state.items()}, SIZES["vit_adapter_tiny"]
    )
    assert "float64" in import_model(twice, out).report.cast
    same(out, state)


def test_metadata_of_any_kind_does_not_matter(tmp_path, out):
    state = state_of("deit_tiny", "dense")
    counted = defaultdict(list, {"losses": [1.0]})
    meta = {
        "best": np.float64(45.8),
        "when": np.arange(3),
        "args": argparse.Namespace(lr=1e-4),
        "log": counted,
        "kept": {1, 2},
    }
    import_model(mmcv_file(tmp_path / "a.pth", state, **meta), out)
    assert same(out, state).vocabulary == COCO
    import_model(mmcv_file(tmp_path / "b.pth", state, legacy=True, **meta), out)
    same(out, state)


def test_mmengine_with_its_message_hub(tmp_path, out):
    state = state_of("deit_tiny", "tasktp", 3)
    extra = {"data_preprocessor.mean": torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)}
    path = mmengine_file(tmp_path / "epoch_6.pth", {**state, **extra}, ("cup", "pan", "sink"))
    report = import_model(path, out).report
    assert same(out, state).vocabulary == ("cup", "pan", "sink")
    assert {"message_hub", "param_schedulers", "data_preprocessor.mean"} == set(report.unused)
    extra["data_preprocessor.mean"] += 4
    with pytest.raises(ModelError, match=r"data_preprocessor.mean is .* this package takes \[123.675"):
        import_model(mmengine_file(path, {**state, **extra}), out)


class Bomb:
    """Writes a file if anything of it is run."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("call", "arguments", "named"),
    [
        (os.system, ("touch {}",), "posix.system"),
        (eval, ("open('{}', 'w')",), "builtins.eval"),
        (exec, ("open('{}', 'w')",), "builtins.exec"),
        (open, ("{}", "w"), "open"),
        (torch.hub.load, ("{}", "x"), "torch.hub.load"),
        (torch.load, ("{}",), "torch.serialization.load"),
        (np.fromfile, ("{}",), "numpy.fromfile"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path, out, legacy, call, arguments, named):
    trace = tmp_path / "trace"
    bomb = Bomb(call, *(argument.format(trace) for argument in arguments))
    path = mmcv_file(tmp_path / "bomb.pth", {"backbone.x": torch.ones(2)}, legacy=legacy, note=bomb)
    with pytest.raises(ModelError, match=rf"bomb.pth is refused: it names \S*{named}"):
        import_model(path, out)
    assert not trace.exists() and not out.exists()


def test_names_of_functions_by_way_of_getattr_reach_nothing(tmp_path):
    """`getattr` itself is let through, since old pickles name methods by it; what it is given is a stand-in."""
    code = b"\x80\x02cbuiltins\ngetattr\ncargparse\nNamespace\nX\x08\x00\x00\x00__init__\x86RX\x01\x00\x00\x00x\x85R."
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", code)
    with pytest.raises(ModelError, match="expected a state dict"):
        read_checkpoint(path)


def damaged(path, how):
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "flipped":
        middle = content.index(b"data/3") + 4096
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    elif how == "page":
        path.write_text("<!doctype html><title>Google Drive - Quota exceeded</title>")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": {}}, protocol=2))
    return path


@pytest.mark.parametrize(
    ("how", "sentence"),
    [("cut", "damaged"), ("flipped", "damaged"), ("page", "is a web page"), ("empty", "no weights that can be read"),
     ("pickle", "none of torch.save")],
)  # fmt: skip
def test_damaged_files(tmp_path, out, how, sentence):
    path = damaged(mmcv_file(tmp_path / "file.pth", state_of("deit_tiny", "dense")), how)
    with pytest.raises(ModelError, match=sentence):
        import_model(path, out)
    assert not out.exists()


def test_a_tensor_may_not_reach_beyond_its_numbers(tmp_path, out):
    path = mmcv_file(tmp_path / "file.pth", {"backbone.x": torch.ones(3)}, optimizer=False)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content[:4] if "/data/" in name else content)
    with pytest.raises(ModelError, match="reaches beyond its numbers"):
        import_model(path, out)


def without(state, *names):
    return {name: tensor for name, tensor in state.items() if name not in names}


def test_what_does_not_fit_is_named_and_nothing_is_written(tmp_path, out, capsys):
    state = state_of("deit_tiny", "dense")
    state["neck.fpn_convs.0.conv.bias"] = torch.zeros(5)
    state["backbone.norm1.weight"][0] = float("nan")
    state["roi_head.third.weight"] = torch.zeros(2)
    path = mmcv_file(tmp_path / "file.pth", without(state, "backbone.up.bias", "backbone.norm2.num_batches_tracked"))
    assert main(["import", str(path), "--output", str(out)]) == 2
    told = capsys.readouterr().err
    for part in ("1 missing (backbone.up.bias)", "1 left over (roi_head.third.weight)", "1 not finite (backbone.norm1.weight)",
                 "of the wrong shape (neck.fpn_convs.0.conv.bias [5], needed [16])", "nothing was written"):  # fmt: skip
        assert part in told
    assert told.count("\n") == 1 and not out.exists()
    assert main(["import", str(path), "--output", str(out), "--partial"]) == 0
    told = capsys.readouterr().out
    assert "missing: backbone.up.bias" in told and "untrained" in told
    detector, card = load_model(out)
    assert not card.trained and "backbone.up.bias" in card.source["partial"]
    assert torch.equal(detector.state_dict()["neck.fpn_convs.1.conv.bias"], state["neck.fpn_convs.1.conv.bias"])


@pytest.mark.parametrize(
    ("meta", "sentence"),
    [
        ({"mmdet_version": "1.2.0"}, "puts background first"),
        ({"CLASSES": COCO[:79]}, "has 80 categories, but 79 different names"),
        ({"settings": config_text(SMALL, NORMAL[5:-1].replace("True", "False"))}, "was trained on images in BGR"),
        ({"settings": config_text(SMALL, "mean=[103.53, 116.28, 123.675], std=[1, 1, 1], to_rgb=True")}, "normalised with mean"),
        ({"settings": config_text(SMALL, NORMAL[5:-1].replace("58.395", "1.0"))}, "normalised with deviation"),
        ({"settings": "img_norm_cfg = dict(mean=[0, 0, 0], std=[1, 1, 1], to_rgb=True)"}, "normalised with mean"),
        ({"settings": "img_norm_cfg = dict(mean=[103.53, 116.28, 123.675], to_rgb=False)"}, "in BGR"),
        ({"settings": config_text(SMALL, windows=[True] * 12)}, "attends within windows in blocks where no published network"),
        ({"settings": config_text(SMALL, scaled=True)}, "disagree about layer scale"),
        ({"settings": config_text(SMALL).replace("num_heads=1", "num_heads=4")}, "has 4 attention heads"),
    ],
)  # fmt: skip
def test_what_would_change_scores_in_silence_is_refused(tmp_path, out, meta, sentence):
    with pytest.raises(ModelError, match=sentence):
        import_model(mmcv_file(tmp_path / "file.pth", state_of("deit_tiny", "dense"), **meta), out)
    assert not out.exists()


def test_the_order_of_categories_is_the_files_own(tmp_path, out):
    turned = COCO[::-1]
    import_model(mmcv_file(tmp_path / "file.pth", state_of("deit_tiny", "dense"), CLASSES=turned), out)
    card = load_model(out)[1]
    assert card.vocabulary == turned and card.vocabulary_name == "own"
    with pytest.raises(ModelError, match=r"says itself what its categories are \(toothbrush, "):
        import_model(tmp_path / "file.pth", out, Wishes(categories=COCO))


def test_what_a_bare_state_dict_leaves_open_is_assumed_aloud(tmp_path, out):
    state = state_of("vit_adapter_tiny", "dense")
    torch.save(state, tmp_path / "bare.pth")
    card = import_model(tmp_path / "bare.pth", out).card
    assert len(card.source["assumed"]) == 3 and "windows of 14" in " ".join(card.source["assumed"])
    few = state_of("deit_tiny", "dense", 2)
    torch.save({"state_dict": few}, tmp_path / "few.pth")
    with pytest.raises(ModelError, match="does not say what its 2 categories are: give them with --categories"):
        import_model(tmp_path / "few.pth", out)
    assert import_model(tmp_path / "few.pth", out, Wishes(categories=("cup", "pan"))).card.vocabulary == ("cup", "pan")


def test_the_test_images_normalisation_and_size_count_not_the_trainings(tmp_path, out):
    """The fake settings train with another mean, as those of DINOv2's large network do."""
    state = state_of("deit_tiny", "dense")
    import_model(mmcv_file(tmp_path / "file.pth", state, config=SMALL), out)
    assert load_model(out)[1].input_size is None
    shorter = mmcv_file(tmp_path / "file.pth", state, settings=config_text(SMALL, short=640))
    import_model(shorter, out)
    assert load_model(out)[1].input_size == (640, 1333)


def test_windows_are_kept_left_out_on_request_or_were_never_there(tmp_path, out):
    state, config = state_of("vit_adapter_tiny", "dense"), SIZES["vit_adapter_tiny"]
    path = mmcv_file(tmp_path / "file.pth", state, config)
    card = import_model(path, out, Wishes(global_attention=True)).card
    assert card.size == "vit_adapter_tiny_global" and "an approximation" in card.source["assumed"][0]
    load_model(out)
    never = mmcv_file(tmp_path / "never.pth", state, config, settings=config_text(config, windows=[False] * 12))
    card = import_model(never, out).card
    assert card.size == "vit_adapter_tiny_global" and card.source["assumed"] == []
    wide = mmcv_file(tmp_path / "wide.pth", state, config, settings=config_text(config).replace("14", "16"))
    with pytest.raises(ModelError, match=r"has windows of \[16\], expected 14"):
        import_model(wide, out)
    plain = mmcv_file(tmp_path / "plain.pth", state_of("deit_tiny", "dense"))
    with pytest.raises(ModelError, match="has no windows to leave out"):
        import_model(plain, out, Wishes(global_attention=True))


def test_gates_on_windows_are_refused_with_the_way_out(tmp_path, out):
    dense, gated = state_of("vit_adapter_tiny", "dense"), state_of("deit_tiny", "tasktp")
    both = dense | {name: tensor for name, tensor in gated.items() if name not in dense}
    path = mmcv_file(tmp_path / "file.pth", both, SIZES["vit_adapter_tiny"])
    with pytest.raises(
        ModelError, match=r"tasktp cannot prune .* vit_adapter_tiny_global is .* \(--attention global\)"
    ):
        import_model(path, out)
    assert import_model(path, out, Wishes(global_attention=True)).card.method == "tasktp"
    load_model(out)


def test_plain_transformers_are_the_start_of_a_training(tmp_path, out):
    detector = state_of("deit_tiny", "dense")
    published = {name.removeprefix("backbone."): tensor for name, tensor in detector.items()
                 if name.startswith(("backbone.blocks.", "backbone.patch_embed.", "backbone.pos_embed"))}  # fmt: skip
    published |= {"cls_token": torch.ones(1, 1, 64), "norm.weight": torch.ones(64), "head.weight": torch.ones(9, 64)}
    torch.save({"model": published, "args": argparse.Namespace(lr=1)}, tmp_path / "deit.pth")
    save_file(published, tmp_path / "deit.safetensors")
    for name in ("deit.pth", "deit.safetensors"):
        imported = import_model(tmp_path / name, out)
        network, card = load_model(out)
        assert not card.trained and card.size == "deit_tiny" and "cls_token" in imported.report.unused
        for key in published.keys() - {"cls_token", "norm.weight", "head.weight"}:
            assert torch.equal(network.state_dict()[f"backbone.{key}"], published[key])
    short = without(published, "blocks.11.mlp.fc2.bias")
    save_file(short, tmp_path / "short.safetensors")
    with pytest.raises(ModelError, match=r"1 missing \(backbone.blocks.11.mlp.fc2.bias\)"):
        import_model(tmp_path / "short.safetensors", out)
    save_file(published | {"blocks.0.ls1.gamma": torch.ones(64)}, tmp_path / "scaled.safetensors")
    with pytest.raises(ModelError, match="has layer scale"):
        import_model(tmp_path / "scaled.safetensors", out)


def test_other_networks_are_refused_by_what_they_are(tmp_path, out):
    state = state_of("deit_tiny", "dense")
    cases = [
        ({n: t for n, t in state.items() if ".interactions." not in n}, "have no adapter"),
        ({n: t for n, t in state.items() if not n.startswith("roi_head")}, "have no Mask R-CNN head"),
        ({"layer1.0.conv1.weight": torch.ones(1)}, "no weights of a ViT-Adapter detector"),
        (
            {**state, "backbone.patch_embed.proj.weight": torch.zeros(48, 3, 16, 16)},
            "no network of this size is known: 48 channels, 12 blocks",
        ),
    ]
    for content, sentence in cases:
        torch.save({"state_dict": content}, tmp_path / "file.pth")
        with pytest.raises(ModelError, match=sentence):
            import_model(tmp_path / "file.pth", out)


def test_licence_and_scores_come_from_the_list_and_only_for_the_same_network(tmp_path, out, capsys):
    path = mmcv_file(tmp_path / "file.pth", state_of("deit_tiny", "dense"))
    assert main(["import", str(path), "--of", "svit-dense-tiny", "--output", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["source"]["published"] == {"box_AP": 45.8, "mask_AP": 40.9} and told["model"] == "svit-dense-tiny"
    assert load_model(out)[1].source == told["source"] and told["report"]["missing"] == []
    assert main(["import", str(path), "--of", "vit-adapter-tiny", "--output", str(out)]) == 2
    assert "is not vit-adapter-tiny: expected vit_adapter_tiny dense" in capsys.readouterr().err
    assert main(["import", str(path), "--of", "nothing", "--output", str(out)]) == 2
    assert main(["import", str(path), "--name", "a b", "--output", str(out)]) == 2
    assert main(["import", str(path), "--output", str(tmp_path / "x.pth")]) == 2
    assert main(["import", str(tmp_path / "none.pth"), "--output", str(out)]) == 2
    assert "none.pth does not exist" in capsys.readouterr().err


def test_the_list_of_public_models_names_networks_that_can_be_built():
    assert len(public_models()) >= 14
    for model in public_models().values():
        with torch.device("meta"):
            build_detector(model.size, model.method, 80)
        assert model.address.startswith("https://") and model.licence and model.page
    assert public_model("svit-tiny") == replace(public_model("svit-tiny")) and isinstance(
        public_model("svit-tiny"), PublicModel
    )
