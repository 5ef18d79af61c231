# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Every source of guidance gives 256 finite numbers for a sentence, or says in one sentence why not."""

import builtins

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tasktp_ros.errors import InputError, TaskError
from tasktp_ros.guidance import CachedGuidance, CategoryTable, MllmGuidance, SentenceGuidance, TableGuidance
from tasktp_ros.guidance.cached import write_embedding
from tasktp_ros.guidance.mllm import before_seg
from tasktp_ros.guidance.named import open_named
from tasktp_ros.guidance.projection import read_projection
from tasktp_ros.guidance.sentence import mean_of_words
from tasktp_ros.tasks.rules import GoalRules

NAMES = ("cup", "sink", "bed")


def rules(sentence: str):
    return GoalRules({"wash": {"words": ["wash the dishes"], "categories": ["cup", "sink"]}}, NAMES).resolve(
        "", sentence, ()
    )


def test_table_gives_the_mean_of_the_categories_a_sentence_asks_for():
    table = CategoryTable(3)
    rows = table.category_embed.weight.detach()
    guidance = TableGuidance(table, NAMES, rules)
    torch.testing.assert_close(guidance.vector("Wash the dishes!"), rows[:2].mean(0))
    torch.testing.assert_close(guidance.of_categories(None), rows.mean(0))
    torch.testing.assert_close(table(torch.tensor([[True, True, False], [False, False, True]]))[1], rows[2])
    with pytest.raises(TaskError, match="no known task"):
        guidance.vector("sing a song")
    with pytest.raises(InputError, match="no category 'spoon'"):
        guidance.of_categories(["spoon"])
    with pytest.raises(InputError, match="needs a sentence"):
        guidance.vector("  ")
    with pytest.raises(InputError, match="3 rows"):
        TableGuidance(table, NAMES[:2], rules)


def test_cached_embeddings_as_vltp_keeps_them(tmp_path):
    torch.save(torch.arange(256.0).view(1, 1, 256).half(), tmp_path / "seg_7.pt")
    guidance = CachedGuidance(tmp_path, {"You can drink from the thing": 7})
    assert guidance.vector(" you can DRINK from  the thing ").tolist() == list(range(256))
    guidance.of_task(7).zero_()
    assert guidance.of_task(7).any(), "what was handed out is a copy"
    write_embedding(tmp_path, "stir", torch.ones(256))
    assert torch.equal(guidance.vector("stir"), torch.ones(256))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (torch.zeros(255), "256 numbers, got shape \\(255,\\)"),
        (torch.zeros(2, 256), "256 numbers"),
        (torch.full((256,), float("nan")), "not finite"),
        (torch.full((1, 256), float("inf")), "not finite"),
        (torch.zeros(256, dtype=torch.int64), "floating point"),
        ([0.0] * 256, "floating point numbers, got list"),
    ],
)
def test_cached_embeddings_that_cannot_be(tmp_path, values, said: str):
    torch.save(values, tmp_path / "seg_1.pt")
    with pytest.raises(InputError, match=said):
        CachedGuidance(tmp_path).of_task(1)
    with pytest.raises(InputError):
        write_embedding(tmp_path, 2, values)
    assert not (tmp_path / "seg_2.pt").exists()


def test_cached_files_that_cannot_be(tmp_path):
    (tmp_path / "seg_3.pt").write_bytes(b"PK not a tensor")
    guidance = CachedGuidance(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        guidance.of_task(3)
    with pytest.raises(InputError, match="does not exist"):
        guidance.of_task(4)
    with pytest.raises(InputError, match="no cached guidance for"):
        guidance.of_task("../seg_3")
    with pytest.raises(InputError, match="folder"):
        CachedGuidance(tmp_path / "nowhere")


def test_sentence_encoder_behind_its_projection():
    layer = nn.Linear(4, 256)
    guidance = SentenceGuidance(lambda sentence: torch.full((4,), float(len(sentence))), layer)
    torch.testing.assert_close(guidance.vector("abc"), layer(torch.full((4,), 3.0)).detach())
    with pytest.raises(InputError, match="256 numbers"):
        SentenceGuidance(lambda sentence: torch.zeros(4), nn.Linear(4, 255)).vector("abc")
    hidden = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]]])
    torch.testing.assert_close(mean_of_words(hidden, torch.tensor([[1, 1, 0]])), torch.tensor([[0.6, 0.8]]))


def test_language_model_is_read_where_it_predicts_seg():
    states = torch.eye(6)
    asked = []

    def read(image, text):
        asked.append((image.shape, text))
        return torch.tensor([1, 5, 2, 3, 9, 4]), states

    projection = nn.Linear(6, 256)
    guidance = MllmGuidance(read, seg_id=9, projection=projection)
    image = np.zeros((4, 6, 3), np.uint8)
    expected = projection(states[3]).detach()
    torch.testing.assert_close(guidance.vector("ride it {to} town [SEG]", image), expected)
    assert asked[0][0] == (4, 6, 3) and asked[0][1].count("[SEG]") == 1 and "{to} town" in asked[0][1]
    with pytest.raises(InputError, match="needs the image"):
        guidance.vector("ride it")
    with pytest.raises(InputError, match="tokenizer splits it"):
        before_seg(torch.tensor([1, 2]), 9)
    with pytest.raises(InputError, match="prompt must hold"):
        MllmGuidance(read, 9, projection, prompt="[SEG]")


def test_projection_from_a_file(tmp_path):
    first, second = nn.Linear(8, 16), nn.Linear(16, 256)
    path = tmp_path / "projection.safetensors"
    named = {"0.0": first, "0.2": second}
    save_file(
        {f"text_hidden_fcs.{k}.{n}": t for k, layer in named.items() for n, t in layer.state_dict().items()}, path
    )
    values = torch.randn(8)
    torch.testing.assert_close(read_projection(path)(values), second(first(values).relu()).detach())
    save_file({"0.weight": torch.zeros(255, 8), "0.bias": torch.zeros(255)}, path)
    with pytest.raises(InputError, match="end in 256"):
        read_projection(path)
    save_file({"0.weight": torch.full((256, 8), float("nan")), "0.bias": torch.zeros(256)}, path)
    with pytest.raises(InputError, match="not finite"):
        read_projection(path)
    path.write_bytes(b"half")
    with pytest.raises(InputError, match="not a whole"):
        read_projection(path)


def test_without_transformers_the_doors_say_so(monkeypatch, tmp_path):
    found = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "transformers":
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for door in (SentenceGuidance.open, MllmGuidance.open):
        with pytest.raises(InputError, match="pip install transformers"):
            door(tmp_path)


def test_a_source_is_named_by_a_text(tmp_path):
    assert open_named("table") is None
    write_embedding(tmp_path, "7", torch.ones(256))
    with pytest.raises(InputError):
        open_named(f"cached:{tmp_path}").vector("Wash the cups")
    (tmp_path / "tasks.json").write_text('{"wash the cups": 7}')
    assert open_named(f"cached:{tmp_path}").vector("Wash the  cups").sum() == 256
    for text in ("", "cached", "cached:", "gpt:folder", f"table:{tmp_path}"):
        with pytest.raises(InputError, match="guidance must be table, or cached:FOLDER"):
            open_named(text)
    for broken in ("[1]", '{"wash": null}', '{"wash": 7'):
        (tmp_path / "tasks.json").write_text(broken)
        with pytest.raises(InputError, match=r"tasks of cached guidance .*(must be an object|cannot be read)"):
            open_named(f"cached:{tmp_path}")
