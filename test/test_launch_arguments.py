# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Arguments of launch files and parameter files, without launch: what is taken, what is refused and how."""

import os
from pathlib import Path

import fake_camera
import pytest
import yaml

from tasktp_ros.errors import DataError
from tasktp_ros.nodes.launching import arguments
from tasktp_ros.nodes.launching.arguments import Argument, read_arguments
from tasktp_ros.nodes.launching.parameter_files import parameter_file, parameter_of, write_parameters
from tasktp_ros.runtime.default import DEFAULT_MODEL, DEFAULT_VOCABULARY

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (arguments.switch, "yes", "true or false"),
        (arguments.rate, "fast", "number"),
        (arguments.rate, "nan", "number"),
        (arguments.rate, "-1", "0 or more"),
        (arguments.rate, "inf", "0 or more"),
        (arguments.log_level, "loud", "debug, info"),
        (arguments.one_of("a", "b"), "c", "one of a, b"),
        (arguments.required, " ", "not empty"),
        (arguments.path, "/nowhere/at/all", "does not exist"),
        (arguments.path, "", "not empty"),
        (arguments.path_or_camera, "", "not empty"),
        (arguments.path_or_camera, "/nowhere/at/all", "does not exist"),
        (arguments.path_or_camera, "camera:one", "expected camera, camera:1 or a device"),
        (arguments.path_or_camera, "/dev/video999999", "there is no camera /dev/video999999: expected"),
        (arguments.folder, __file__, "folder"),
        (arguments.file, str(ROOT), "file"),
        (arguments.file_to_write, str(ROOT), "folder"),
        (arguments.file_to_write, f"{__file__}/x.json", "cannot write"),
        (arguments.model, "nosuch", "shipped models are"),
        (arguments.model, "/nowhere/m.safetensors", "does not exist"),
        (arguments.model, "svit-dense-tiny", "type `tasktp fetch svit-dense-tiny`"),
        (arguments.topics, "[/front-cam/image]", "'/front-cam/image' cannot be the name of a topic"),
        (arguments.topics, "[", "[/front/image, /rear/image]"),
        (arguments.topics, "[]", "[/front/image, /rear/image]"),
        (arguments.topics, "[[a]]", "[/front/image, /rear/image]"),
        (arguments.topics, "[2024]", "'2024' cannot be"),
        (arguments.topics, "a,b", "cannot be the name of a topic"),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_with_what_was_expected(read, text: str, said: str) -> None:
    with pytest.raises(DataError) as refused:
        read_arguments([Argument("given", None, "", read)], {"given": text})
    assert said in str(refused.value) and str(refused.value).startswith(f"launch argument given is {text!r}: ")


def test_all_that_is_wrong_is_said_at_once() -> None:
    wanted = [Argument("rate", "0.0", "", arguments.rate), Argument("narrow", "true", "", arguments.switch)]
    with pytest.raises(DataError, match=r"rate is 'fast'.*; launch argument narrow is 'maybe'"):
        read_arguments(wanted, {"rate": "fast", "narrow": "maybe"})


def test_a_text_that_is_not_utf8_is_refused_in_words_that_can_be_printed() -> None:
    with pytest.raises(DataError) as refused:
        read_arguments([Argument("source", None, "")], {"source": os.fsdecode(b"/b\xe4ld")})
    assert r"/b\xe4ld" in str(refused.value) and "UTF-8" in str(refused.value)
    assert str(refused.value).encode()


def test_a_camera_that_is_there_is_passed_on_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "video0").touch()
    fake_camera.install(tmp_path, monkeypatch.setattr)
    assert arguments.path_or_camera("camera") == "camera"
    assert arguments.path_or_camera(str(ROOT)) == str(ROOT)


def test_values_have_their_kinds() -> None:
    assert arguments.switch("True") is True and arguments.switch("false") is False
    assert arguments.rate("15") == 15.0
    assert arguments.log_level("WARN") == "warn"
    assert arguments.optional(arguments.rate)("") == ""
    assert arguments.model("rooms-nano") == "rooms-nano" and arguments.model("nano-untrained") == "nano-untrained"
    assert arguments.topics("[/front/image, rear, rear]") == ["/front/image", "rear"]
    assert arguments.topics("on") == ["on"]


def test_a_tilde_is_the_home_folder_unless_something_is_named_so(tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    (home / "bag").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    assert arguments.path("~/bag") == str(home / "bag")
    (home / "own.safetensors").touch()
    assert arguments.model("~/own.safetensors") == str(home / "own.safetensors")
    (tmp_path / "~" / "bag").mkdir(parents=True)
    assert os.path.samefile(os.path.expanduser(arguments.path("~/bag")), tmp_path / "~" / "bag")


TEXTS = (
    "2024",
    "1e3",
    "y",
    "nan",
    "on",
    "~",
    "",
    " lead",
    "run #3",
    "walk: kitchen",
    'it\'s "x"\\',
    "é😀",
    "a\tb\nc\x7f",
    "{x",
)


def test_every_text_comes_out_of_a_parameter_file_as_it_went_in() -> None:
    written = write_parameters(
        {**{f"p{n}": text for n, text in enumerate(TEXTS)}, "many": list(TEXTS), "rate": 0.0, "on": True}
    )
    ((_, entry),) = yaml.safe_load(Path(written).read_text()).items()
    values = entry["ros__parameters"]
    assert [values[f"p{n}"] for n in range(len(TEXTS))] == list(TEXTS) == values["many"]
    assert isinstance(values["rate"], float) and values[True] is True


@pytest.mark.parametrize("key", ["/**", "/**/perception", "perception", "/perception", "/*", "/**/*"])
def test_what_a_parameter_file_says_of_a_node_is_found_under_every_kind_of_name(tmp_path: Path, key: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        f"task_manager: {{ros__parameters: {{cameras: [no]}}}}\n{key}:\n  ros__parameters:\n    cameras: [front]\n"
    )
    assert parameter_of(str(file), "/perception", "cameras", ["image"]) == ["front"]
    assert parameter_of(str(file), "/perception", "model", "default") == "default"


def test_names_in_a_parameter_file_can_be_nested_and_the_last_entry_counts(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "/**: {ros__parameters: {cameras: [image]}}\nrobot1:\n  perception:\n    ros__parameters: {cameras: [front]}\n"
    )
    assert parameter_of(str(file), "/robot1/perception", "cameras", None) == ["front"]
    assert parameter_of(str(file), "/robot2/perception", "cameras", None) == ["image"]


@pytest.mark.parametrize("content", [b"- a list\n", b"a: [\n", b"text", b"\xff\xfe", b""])
def test_what_is_no_parameter_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "own.yaml"
    file.write_bytes(content)
    with pytest.raises(DataError, match="YAML file of parameters"):
        parameter_file(str(file))


def test_the_shipped_parameter_file_is_one() -> None:
    shipped = parameter_file(str(ROOT / "config" / "perception.yaml"))
    assert parameter_of(shipped, "/robot1/perception", "cameras", None) == ["image"]
    assert parameter_of(shipped, "/task_manager", "vocabulary", None) == DEFAULT_VOCABULARY
    assert parameter_of(shipped, "/perception", "model", None) == DEFAULT_MODEL
