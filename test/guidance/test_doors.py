# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The doors to language models open onto tiny random ones that transformers itself builds; skipped where it is not installed."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tasktp_ros.errors import InputError
from tasktp_ros.guidance import MllmGuidance, SentenceGuidance

transformers = pytest.importorskip("transformers", reason="guidance by language models was not tried: no transformers")
WORDS = "<unk> <s> </s> <pad> USER: Please segment it. ASSISTANT: It is . ride the thing".split()


def tokenizer(special: list[str]):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    fast.add_special_tokens({"additional_special_tokens": special})
    return fast


def projection(folder) -> None:
    layers = {"0.0": (16, 16), "0.2": (256, 16)}
    tensors = {f"text_hidden_fcs.{name}.weight": torch.randn(shape) for name, shape in layers.items()}
    biases = {f"text_hidden_fcs.{name}.bias": torch.zeros(shape[0]) for name, shape in layers.items()}
    save_file(tensors | biases, folder / "projection.safetensors")


def test_sentence_encoder(tmp_path):
    tokenizer([]).save_pretrained(tmp_path)
    config = transformers.BertConfig(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                                     intermediate_size=16)  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path)
    projection(tmp_path)
    guidance = SentenceGuidance.open(tmp_path)
    assert torch.equal(guidance.vector("ride the thing"), guidance.vector(" ride the thing "))
    assert not torch.equal(guidance.vector("ride the thing"), guidance.vector("the thing"))


def llava(folder, special: list[str]) -> None:
    words = tokenizer(special)
    vision = transformers.CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=2, image_size=28,
                                           num_attention_heads=2, patch_size=14, projection_dim=16)  # fmt: skip
    text = transformers.LlamaConfig(vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                    num_attention_heads=2, num_key_value_heads=2)  # fmt: skip
    image_id = words.convert_tokens_to_ids("<image>")
    config = transformers.LlavaConfig(vision_config=vision, text_config=text, image_token_index=image_id)
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    transformers.LlavaProcessor(image_processor=pictures, tokenizer=words, patch_size=14, num_additional_image_tokens=1,
                                vision_feature_select_strategy="default").save_pretrained(folder)  # fmt: skip
    projection(folder)


def test_multimodal_language_model(tmp_path):
    llava(tmp_path, ["<image>", "[SEG]"])
    guidance = MllmGuidance.open(tmp_path, device="cpu")
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    first = guidance.vector("ride the thing", image)
    assert not torch.allclose(first, guidance.vector("the thing", image))
    assert not torch.allclose(first, guidance.vector("ride the thing", 255 - image))


def test_a_language_model_without_seg_is_refused(tmp_path):
    llava(tmp_path, ["<image>"])
    with pytest.raises(InputError, match=r"does not know the token \[SEG\]"):
        MllmGuidance.open(tmp_path, device="cpu")
