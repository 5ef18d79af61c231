# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Memory over many frames: what is told, and that a leak is seen."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasktp_ros.cli.main import main
from tasktp_ros.evaluation import memory
from tasktp_ros.evaluation.memory import measure_memory


@pytest.fixture
def images():
    return [np.random.default_rng(seed).integers(0, 255, (64, 96, 3), dtype=np.uint8) for seed in range(2)]


LEAKING = """
import json
import numpy as np
from tasktp_ros.evaluation.memory import measure_memory
leaked = []
image = np.zeros((48, 64, 3), np.uint8)
print(json.dumps(measure_memory(
    "nano", "tasktp", [image], [None, ("cup",)], 30, "cpu", "float32", on_frame=lambda: leaked.append(np.ones(250_000))
)))
"""


def test_a_leak_shows_as_growth():
    """In a process of its own: in one that has freed memory before, the leak would fill that first."""
    done = subprocess.run([sys.executable, "-c", LEAKING], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["frames"] == 30 and len(found["samples"]) == 30
    assert 40 < found["growth"] < 200, "2 MB a frame"
    assert found["allowed"] == pytest.approx(1.5 * found["weights"] + found["live"])
    assert found["weights"] > 20 and found["live"] > 0


def test_what_stays_the_same_does_not_grow(images, monkeypatch):
    monkeypatch.setattr(memory, "used", lambda device: 5.0)
    still = measure_memory("nano", "tasktp", images, [None], 3, "cpu", "float32")
    assert still["growth"] == still["running"] == 0


def test_the_command_tells_it(tmp_path, capsys):
    output = tmp_path / "memory.json"
    options = "--size nano-untrained --memory 3 --image 48x64 --input 64x96 --device cpu --precision float32"
    assert main(["bench", *options.split(), "--output", str(output)]) == 0
    assert "MB over 3 frames" in capsys.readouterr().out
    report = json.loads(Path(output).read_text())
    assert report["memory"]["model"] == "nano-untrained (untrained)" and "flags" in report["machine"]


def test_table_and_memory_are_two_things(capsys):
    assert main(["bench", "--table", "--memory", "3"]) == 2
    assert "not allowed with" in capsys.readouterr().err
