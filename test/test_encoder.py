# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The sentence encoder in numpy against torch's own transformer, on a tiny random one; and what is no encoder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.words.bert import SentenceEncoder
from tasktp_ros.tasks.words.encoder import EncoderResolver, find_encoder
from tasktp_ros.tasks.words.reading import read

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cup", "mug", "##s", "mu", "##gs", "sofa", "couch", ",", "e"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.TransformerEncoder, dict[str, torch.Tensor]]:
    torch.manual_seed(3)
    layer = torch.nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True)
    network = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    weights = {
        "embeddings.word_embeddings.weight": torch.randn(len(WORDS), 16),
        "embeddings.position_embeddings.weight": torch.randn(64, 16),
        "embeddings.token_type_embeddings.weight": torch.randn(2, 16),
        "embeddings.LayerNorm.weight": torch.rand(16) + 0.5,
        "embeddings.LayerNorm.bias": torch.randn(16),
    }
    for index, block in enumerate(network.layers):
        torch.nn.init.normal_(block.self_attn.in_proj_bias)
        parts = zip(
            ("query", "key", "value"),
            block.self_attn.in_proj_weight.chunk(3),
            block.self_attn.in_proj_bias.chunk(3),
            strict=True,
        )
        named = {f"attention.self.{part}": (weight, bias) for part, weight, bias in parts}
        for name, module in (
            ("attention.output.dense", block.self_attn.out_proj),
            ("attention.output.LayerNorm", block.norm1),
            ("intermediate.dense", block.linear1),
            ("output.dense", block.linear2),
            ("output.LayerNorm", block.norm2),
        ):
            named[name] = (module.weight, module.bias)
        for name, (weight, bias) in named.items():
            weights[f"encoder.layer.{index}.{name}.weight"] = weight.detach().clone()
            weights[f"encoder.layer.{index}.{name}.bias"] = bias.detach().clone()
    folder = tmp_path_factory.mktemp("encoder")
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 4, "num_hidden_layers": 2}))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder, network, weights


def test_it_computes_what_torch_computes(tiny) -> None:
    folder, network, weights = tiny
    encoder = SentenceEncoder(folder)
    tokens = encoder.tokens("mugs, cups")
    x = (
        weights["embeddings.word_embeddings.weight"][tokens]
        + weights["embeddings.position_embeddings.weight"][: len(tokens)]
    )
    x = x + weights["embeddings.token_type_embeddings.weight"][0]
    norm = (weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"])
    x = torch.nn.functional.layer_norm(x, (16,), *norm, eps=1e-12)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(network(x[None]).mean(dim=1))[0].numpy()
    np.testing.assert_allclose(encoder.encode("mugs, cups"), expected, atol=2e-6)


def test_words_become_the_longest_pieces(tiny) -> None:
    encoder = SentenceEncoder(tiny[0])
    assert [WORDS[number] for number in encoder.tokens("Mugs,CUPS xyz É")] == [
        *("[CLS]", "mug", "##s", ",", "cup", "##s", "[UNK]", "e", "[SEP]"),
    ]
    assert len(encoder.tokens("cup " * 1000)) == 64


def test_the_nearest_name_is_answered_and_what_is_far_is_passed(tiny) -> None:
    resolver = EncoderResolver(tiny[0], ("sofa", "cup"))
    (match,) = resolver.resolve(read("find a sofa"), (0, 1, 2))
    assert match.categories == {"sofa": 1.0} and match.span == (2, 3)
    assert resolver.resolve(read("杯"), (0,)) == [] and resolver.resolve(read("go there"), (0, 1)) == []


def test_what_is_no_encoder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="there is no sentence encoder in"):
        find_encoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    folder = find_encoder(str(tmp_path))
    assert folder is not None
    with pytest.raises(TaskError, match="cannot be read"):
        EncoderResolver(folder, ("cup",)).resolve(read("find a mug"), (2,))
