# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Options and places to write to: checked before the first second of work, by one mechanism for all commands."""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasktp_ros.cli import bench, options
from tasktp_ros.cli.main import _parser, main
from tasktp_ros.errors import InputError
from tasktp_ros.evaluation import results
from tasktp_ros.files import check_file, check_folder, readable, replacing
from tasktp_ros.runtime.precision import PRECISIONS

TEXTS = {
    "recipe", "data", "split", "init", "gates", "model", "dense", "queries", "ros", "times", "source", "tasks", "image", "task",
    "size", "method", "topic", "categories", "models", "results", "file", "name", "of",
    "text", "vocabulary", "rules", "encoder", "llm", "llm_model", "half", "prune", "tuned",
    "teacher", "walks", "only", "table", "cts", "dtop", "svit",
}  # fmt: skip
"""What is looked up or read by those who know it: names, and places to read from."""


def actions(parser: argparse.ArgumentParser):
    """Every option and argument of every command, with the words that lead to it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)
        elif action.nargs != 0:
            yield f"{parser.prog} {action.dest}", action


ALL = dict(actions(_parser()))
CHECKED = {name: action for name, action in ALL.items() if action.type not in (None, Path)}


@pytest.mark.parametrize("name", sorted(set(ALL) - set(CHECKED)))
def test_an_option_is_checked_or_a_name(name):
    assert ALL[name].choices or ALL[name].dest in TEXTS


@pytest.mark.parametrize("name", sorted(CHECKED))
def test_no_option_takes_what_cannot_be(name):
    place = CHECKED[name].type in (options.file, options.folder, options.new_place)
    for text in ["", "9" * 5000] + ["nan", "-inf", "1e999", "-1", " ", "0x10"] * (not place):
        with pytest.raises(argparse.ArgumentTypeError) as refusal:
            CHECKED[name].type(text)
        assert place or len(str(refusal.value)) < 250


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train r --data d --device foo", "--device must be auto, cpu, cuda or cuda:N, got 'foo'"),
        ("train r --data d --device cuda:1", "--device must be auto, cpu or cuda, got 'cuda:1'"),
        ("train r --data d --precision fp8", "--precision: invalid choice: 'fp8'"),
        ("train r --data d --workers -1", "--workers must be a whole number of at least 0"),
        ("train r --data d --rate nan", "--rate must be a number between 0 and 100 (both excluded), got 'nan'"),
        ("train r --data d --rate 0", "--rate must be a number between 0 and 100 (both excluded), got '0'"),
        ("train r --data d --batch 0", "--batch must be a whole number of at least 1"),
        ("train r --data d --resume --overwrite", "not allowed with"),
        ("train r --data d --seed 99999999999", "--seed must be a whole number"),
        ("detect x.png --score nan", "--score must be a number between 0 and 1, got 'nan'"),
        ("detect x.png --draw out.xyz", "--draw must be a file that ends in .jpg"),
        ("detect x.png --draw out", "--draw must be a file that ends in .jpg"),
        ("eval --model m --data d --sweep 0.5 inf", "--sweep must be a number between 0 and 1 (both excluded)"),
        ("search d --plot x.bmp", "--plot must be a file that ends in"),
        ("rooms images {new} --size 480", "--size must be two sides in px"),
        ("rooms images {new} --size 99999x10", "--size must be two sides in px of at most 16384"),
        ("convert a {new} --rate 0", "--rate must be a number between"),
        ("convert a .", ". exists already"),
        ("bench --threads 5000", "--threads must be a whole number of at least 0 and at most 1024"),
        ("bench --output .", "it is a folder, expected a file"),
        ("demo --frames -1", "--frames must be a whole number of at least 0"),
        ("plot training a.csv", "arguments are required: output"),
        ("bench --rouns 3", "unrecognized arguments: --rouns"),
        ("nothing", "invalid choice: 'nothing'"),
    ],
)
def test_what_cannot_be_is_one_sentence_that_names_the_option(words, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words.format(new=tmp_path / "new").split()) == 2
    errors = capsys.readouterr().err
    assert sentence in errors and errors.startswith("tasktp") and len(errors.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing was begun"


def test_a_device_this_machine_lacks_is_refused():
    with pytest.raises(argparse.ArgumentTypeError, match="this machine has"):
        options.device("cuda:99")
    assert options.device("cpu") == "cpu" and options.device("auto") == "auto"


def test_precisions_are_those_that_detectors_know():
    assert list(options.PRECISIONS) == ["auto", *PRECISIONS]


def refused(*_arguments, **_keywords):
    raise OSError(28, "No space left on device")


def test_there_must_be_room_and_right_to_write(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"below/deep.json: Not a directory \(.*file"):
        check_file(tmp_path / "file" / "below" / "deep.json")
    with pytest.raises(InputError, match="is a folder, expected a file"):
        check_file(tmp_path)
    with pytest.raises(InputError, match=r"folder .*new does not exist"):
        check_file(tmp_path / "new" / "x.png", make_folders=False)
    with pytest.raises(InputError, match=r"file: Not a directory"):
        check_folder(tmp_path / "file")
    check_file(tmp_path / "new" / "deeper" / "x.json")
    check_file(Path("/dev/null"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "looking leaves nothing behind"
    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    for check in (check_file, check_folder):
        with pytest.raises(InputError, match=r"cannot write to .*new: No space left on device \("):
            check(tmp_path / "new")


def test_a_measurement_that_cannot_be_written_is_printed(tmp_path, capsys, monkeypatch):
    from tasktp_ros.cli.output import hand_over

    monkeypatch.setattr(results, "replacing", refused)
    with pytest.raises(OSError, match="No space left"):
        hand_over({"rows": [1, 2]}, lambda: "a table", as_json=False, files=(None, tmp_path / "a.json"))
    assert json.loads(capsys.readouterr().out) == {"rows": [1, 2]}


def test_a_refusal_of_the_system_is_one_sentence_and_status_one(tmp_path, capsys, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device", str(tmp_path / "x"))

    monkeypatch.setattr(bench, "run", full)
    assert main(["bench"]) == 1
    errors = capsys.readouterr().err
    assert errors == f"tasktp bench: stopped by the system: No space left on device ({tmp_path / 'x'})\n"


def test_what_is_replaced_is_whole_or_as_it_was(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    link.symlink_to(real)
    with pytest.raises(OSError, match="No space left") as refusal, replacing(link):
        refused()
    assert refusal.value.filename == str(real) and real.read_text() == "old"
    with replacing(link) as beside:
        beside.write_text("new")
    assert link.is_symlink() and real.read_text() == "new"
    with replacing(Path("/dev/null")) as beside:
        beside.write_text("nothing")
    assert Path("/dev/null").is_char_device()
    longest = tmp_path / ("ü" * 120 + ".json")
    with replacing(longest) as beside:
        beside.write_text("there")
    assert longest.read_text() == "there" and len(list(tmp_path.iterdir())) == 3


def test_names_that_are_not_utf8_can_be_told():
    assert readable(os.fsdecode(b"walk\xff")) == "walk\\xff" and readable(Path("Küche")) == "Küche"
    assert readable("half \ud800") == "half \\ud800"


@pytest.mark.parametrize("stream", ["utf-8", "ascii"])
def test_a_name_that_is_not_utf8_is_refused_without_a_traceback(tmp_path, stream):
    missing = os.fsdecode(b"caf\xe9\xff.csv")
    words = ["plot", "training", missing, str(tmp_path / "x.png")]
    done = subprocess.run([sys.executable, "-m", "tasktp_ros.cli.main", *words], capture_output=True,
                          env=os.environ | {"PYTHONIOENCODING": stream}, cwd=Path(__file__).parents[1])  # fmt: skip
    assert done.returncode == 2 and b"Traceback" not in done.stderr and b"caf\\xe9\\xff.csv" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_without_a_traceback(number):
    code = "from tasktp_ros.cli import bench, main; import time; bench.run = lambda _: print('ready', flush=True) or time.sleep(60); " \
           "raise SystemExit(main.main(['bench']))"  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               cwd=Path(__file__).parents[1])  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(20) == 130 and not process.stderr.read()


def test_detect_draws_after_it_has_printed(tmp_path, capsys, monkeypatch):
    import cv2

    cv2.imwrite(str(tmp_path / "p.png"), np.zeros((60, 80, 3), np.uint8))
    monkeypatch.setattr("tasktp_ros.datasets.pictures.replacing", refused)
    words = ["detect", str(tmp_path / "p.png"), "--model", "nano-untrained", "--draw", str(tmp_path / "out.jpg")]
    assert main(words) == 1
    told = capsys.readouterr()
    assert "found" in told.out and "No space left" in told.err
