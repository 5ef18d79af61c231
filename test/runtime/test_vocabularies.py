# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

import pytest
import torch

from tasktp_ros.detectors import build_detector
from tasktp_ros.errors import TaskError
from tasktp_ros.runtime.checkpoints import ModelCard, save_model
from tasktp_ros.runtime.default import DEFAULT_DENSE, DEFAULT_MODEL, DEFAULT_VOCABULARY
from tasktp_ros.runtime.shipped import fetched_models, find_model
from tasktp_ros.runtime.vocabularies import find_vocabulary, name_of_vocabulary
from tasktp_ros.tasks.vocabulary import ROOMS


def test_a_models_file_brings_its_own_vocabulary_and_the_name_its_messages_carry(tmp_path):
    path = tmp_path / "my-cups.safetensors"
    card = ModelCard("my-cups", "nano", "dense", "own", ("cup", "mug"), True)
    save_model(path, build_detector("nano", "dense", 2), card, torch.float16)
    assert find_vocabulary(str(path)) == ("own", ("cup", "mug"))
    assert find_vocabulary("rooms") == ("rooms", ROOMS)
    assert name_of_vocabulary(str(path)) == str(path), "no other word leads to these categories"
    assert name_of_vocabulary("rooms-nano") == "rooms" and name_of_vocabulary("nano-untrained") == "coco"


def test_the_model_that_is_taken_where_none_is_named_ships_with_its_twin_and_its_vocabulary():
    assert find_vocabulary(str(find_model(DEFAULT_MODEL)))[0] == DEFAULT_VOCABULARY
    assert find_vocabulary(str(find_model(DEFAULT_DENSE)))[0] == DEFAULT_VOCABULARY


def test_a_fetched_model_brings_its_vocabulary_by_its_name_and_launch_hands_it_on(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fetched_models().mkdir(parents=True)
    card = ModelCard("cups", "nano", "dense", "own", ("cup", "mug"), True)
    save_model(fetched_models() / "cups.safetensors", build_detector("nano", "dense", 2), card, torch.float16)
    assert find_vocabulary("cups") == ("own", ("cup", "mug"))
    assert name_of_vocabulary("cups") == str(fetched_models() / "cups.safetensors")


def test_what_is_no_vocabulary_is_said_in_a_sentence(tmp_path):
    with pytest.raises(TaskError, match="there is no vocabulary 'room'; known are coco, rooms, and that of a model"):
        find_vocabulary("room")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    for name in ("broken", "missing"):
        with pytest.raises(TaskError, match=f"model file .*{name}.safetensors has no vocabulary that can be read"):
            find_vocabulary(str(tmp_path / f"{name}.safetensors"))
