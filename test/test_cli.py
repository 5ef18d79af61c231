# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The `tasktp` command: help everywhere, bad input is one sentence and status 2, numbers also come as JSON."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tasktp_ros.cli.main import COMMANDS, main
from tasktp_ros.evaluation.results import provenance, write_results


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    coarse = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(path), np.kron(coarse, np.ones((20, 20, 1), dtype=np.uint8)))
    return path


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and f"tasktp {command}" in text and "--help" in text


def test_help_is_light():
    """`tasktp --help` loads neither torch nor ROS."""
    code = (
        "import sys; from tasktp_ros.cli.main import _parser; _parser();"
        "print([name for name in ('torch', 'rclpy', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_detect_prints_draws_and_gives_json(photo, tmp_path, capsys):
    drawn = tmp_path / "drawn.png"
    assert (
        main(["detect", str(photo), "--model", "nano-untrained", "--precision", "float32", "--draw", str(drawn)]) == 0
    )
    told = capsys.readouterr().out
    assert "untrained" in told and "reach blocks" in told
    assert cv2.imread(str(drawn)).shape == (120, 160, 3)
    words = ["--task", "cup", "--reach", "frame", "--execution", "static", "--json"]
    assert main(["detect", str(photo), "--model", "nano-untrained", *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (
        {row["name"] for row in report["objects"]} <= {"cup"}
        and len(report["kept"]) == 9
        and report["reach"] == "frame"
        and report["execution"] == "static"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["detect", "{photo}", "--task", "unicorn"], "unknown categories 'unicorn'"),
        (["detect", "{photo}", "--model", "none"], "unknown model 'none'"),
        (["detect", "{photo}", "--threshold", "7"], "between 0 and 1"),
        (["detect", "{photo}", "--reach", "far"], "--reach must be one of blocks, network, frame, got 'far'"),
        (["detect", "{photo}", "--device", "cpu", "--execution", "graphs"], "execution 'graphs' needs a CUDA device"),
        (["detect", "{photo}", "--draw", "/nowhere/x.png"], "cannot write"),
        (["detect", "missing.jpg"], "missing.jpg does not exist"),
        (["bench", "--image", "big"], "--image must be two sides in px"),
        (["bench", "--input", "0x5"], "--input must be two sides in px"),
        (["bench", "--keep", "2"], "between 0 and 1"),
        (["bench", "--size", "huge", "--no-peer"], "unknown model 'huge'"),
        (["bench", "--size", "huge", "--no-peer"], "sizes with random weights are nano, nano_csp, deit_tiny"),
        (["bench", "--method", "magic", "--no-peer"], "unknown reducer 'magic'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_two(arguments, sentence, photo, capsys):
    assert main([word.format(photo=photo) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.startswith(f"tasktp {arguments[0]}: ") and len(error.strip().splitlines()) == 1


def test_bench_counts_less_work_for_fewer_tokens(tmp_path, capsys):
    output = tmp_path / "bench.json"
    options = [
        "--image",
        "192x256",
        "--input",
        "96x128",
        "--rounds",
        "1",
        "--keep",
        "1",
        "0.25",
        "--no-peer",
        "--output",
        str(output),
    ]
    assert main(["bench", *options]) == 0
    table = capsys.readouterr().out
    assert "tasktp, 25% kept" in table and "GFLOPs" in table
    report = json.loads(output.read_text())
    dense, whole, quarter = report["rows"]
    assert report["setting"]["input"] == [96, 128]
    assert dense["gflops"]["blocks"] < 0.5, "48 tokens, not 192"
    assert report["machine"]["cores"] == os.cpu_count() and report["command"] and report["versions"]["torch"]
    assert whole["gflops"]["blocks"] == pytest.approx(dense["gflops"]["blocks"])
    assert quarter["kept"] == pytest.approx(0.25) and quarter["gflops"]["blocks"] < 0.6 * dense["gflops"]["blocks"]
    assert set(dense["stages"]) >= {"stem", "blocks", "pyramid", "proposals"}


def test_bench_times_several_methods_in_one_run(tmp_path):
    output = tmp_path / "bench.json"
    small = [
        "--image",
        "96x128",
        "--input",
        "96x128",
        "--rounds",
        "1",
        "--keep",
        "0.5",
        "--no-peer",
        "--output",
        str(output),
    ]
    assert main(["bench", "--method", "tasktp", "tome", "svit", *small]) == 0
    report = json.loads(output.read_text())
    assert [row["name"] for row in report["rows"]] == ["dense", "tasktp, 50% kept", "tome, 50% kept", "svit, 50% kept"]
    assert main(["bench", "--memory", "3", "--method", "tasktp", "tome"]) == 2


def test_results_are_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "result.json"
    write_results(path, provenance())
    before = path.read_text()
    with pytest.raises(TypeError):
        write_results(path, {"not json": object()})
    assert path.read_text() == before and [p.name for p in path.parent.iterdir()] == ["result.json"]
