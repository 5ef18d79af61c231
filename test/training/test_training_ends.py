# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A training that cannot go on ends within seconds, in one sentence, and leaves no process behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_set import write_set

from tasktp_ros.cli.main import main
from tasktp_ros.training.progress import CHECKPOINT

pytest.importorskip("lightning_fabric", reason="nothing was trained: Lightning Fabric is not installed")
RECIPE = "rooms-nano-dense"
TOGETHER = ["--processes", "2", "--batch", "4"]


def family(root: int) -> set[int]:
    """Process ids of everything below a process, itself included."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = re.search(r"^PPid:\s+(\d+)", status.read_text(), re.MULTILINE)
        except OSError:
            continue
        if parent:
            children.setdefault(int(parent[1]), []).append(int(status.parent.name))
    found, waiting = set(), [root]
    while waiting:
        found.add(waiting[-1])
        waiting += children.get(waiting.pop(), [])
    return found


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


class Training:
    """`tasktp train` as a process, without a GPU."""

    def __init__(self, data: Path, folder: Path, *more: str) -> None:
        words = [sys.executable, "-m", "tasktp_ros.cli.main", "train", RECIPE, "--data", str(data), "--output", str(folder),
                 "--device", "cpu", "--init", "none", "--check-images", "0", *more]  # fmt: skip
        self.folder, self.seen = folder, set[int]()
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, holds) -> None:
        deadline = time.monotonic() + 120
        while not holds():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        self.seen |= family(self.process.pid)

    def begun(self) -> None:
        """Wait until images have been trained on."""
        self.until(lambda: (self.folder / CHECKPOINT).is_file())

    def complaint(self) -> str:
        """What it says in the end, which must be one sentence; nothing that it started may be left."""
        errors = self.process.communicate(timeout=60)[1]
        told = [line for line in errors.splitlines() if line.startswith("tasktp train: ")]
        assert "Traceback" not in errors and len(told) == 1, errors
        deadline = time.monotonic() + 5
        while left := [pid for pid in self.seen if alive(pid)]:
            assert time.monotonic() < deadline, f"still running: {left}"
            time.sleep(0.05)
        return told[0]


@pytest.fixture
def train() -> Iterator:
    running: list[Training] = []

    def start(*words) -> Training:
        running.append(Training(*words))
        return running[-1]

    yield start
    for one in running:
        for pid in family(one.process.pid) if one.process.poll() is None else ():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def own_set(tmp_path) -> Path:
    """A data set that may be spoilt."""
    write_set(tmp_path / "data", "train", 4)
    return tmp_path / "data"


def spoil_picture(root: Path) -> None:
    picture = root / "train" / "3.jpg"
    picture.write_bytes(picture.read_bytes()[:500])


def spoil_outline(root: Path) -> None:
    path = root / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[1, 2, 3]]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("more", [[], ["--workers", "0"], TOGETHER], ids=["worker", "no worker", "two processes"])
def test_a_picture_that_cannot_be_read_ends_the_training(train, own_set, tmp_path, more):
    spoil_picture(own_set)
    training = train(own_set, tmp_path / "run", "--steps", "2", "--batch", "4", *more)
    assert re.search(r"image 3: .*3\.jpg is truncated", training.complaint())
    assert training.process.returncode == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: (root / "train" / "3.jpg").unlink(), "3.jpg does not exist"),
        (spoil_outline, "unreadable segmentation"),
    ],
)
def test_what_is_wrong_with_a_data_set_survives_its_way_out_of_a_worker(train, own_set, tmp_path, spoil, said):
    spoil(own_set)
    training = train(own_set, tmp_path / "run", "--steps", "2", "--batch", "4")
    assert said in training.complaint() and training.process.returncode == 2


def test_a_data_loading_process_that_is_killed_ends_the_training(train, tiny_set, tmp_path):
    training = train(tiny_set, tmp_path / "run", "--batch", "2", "--checkpoint-every", "1")
    training.begun()
    loader = max(training.seen - {training.process.pid})
    os.kill(loader, signal.SIGKILL)
    said = training.complaint()
    assert "data loading process was ended" in said and "--resume" in said and training.process.returncode == 1


def test_training_processes_end_together(train, tiny_set, tmp_path):
    training = train(tiny_set, tmp_path / "run", *TOGETHER, "--checkpoint-every", "1")
    training.begun()
    members = sorted(pid for pid in training.seen if b"LOCAL_RANK=" in Path(f"/proc/{pid}/environ").read_bytes())
    os.kill(members[1], signal.SIGKILL)
    said = training.complaint()
    assert "ended by SIGKILL" in said and "--resume" in said and training.process.returncode == 1


def test_a_stop_reaches_all_training_processes_and_is_saved(train, tiny_set, tmp_path):
    training = train(tiny_set, tmp_path / "run", *TOGETHER, "--checkpoint-every", "1")
    training.begun()
    training.process.send_signal(signal.SIGTERM)
    said = re.search(r"stopped in stage 'labels' after step (\d+) of 250; continue with --resume", training.complaint())
    assert said and training.process.returncode == 1
    assert torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"] == int(said[1])


def test_no_training_process_outlives_the_one_that_started_it(train, tiny_set, tmp_path):
    training = train(tiny_set, tmp_path / "run", *TOGETHER, "--checkpoint-every", "1")
    training.begun()
    training.process.kill()
    assert "stopped in stage 'labels' after step" in training.complaint(), "with a checkpoint"


def test_an_earlier_training_is_not_replaced_unless_asked(tiny_set, tmp_path, capsys):
    words = ["train", RECIPE, "--data", str(tiny_set), "--output", str(tmp_path), "--device", "cpu", "--batch", "2",
             "--steps", "1", "--check-images", "0", "--workers", "0"]  # fmt: skip
    assert main(words) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert all(way in said for way in ("--resume", "--output", "--overwrite"))
    assert before == {path: path.read_bytes() for path in before}
    assert main([*words, "--seed", "1", "--overwrite"]) == 0
    assert all(before[path] != path.read_bytes() for path in before)


def test_a_folder_that_no_model_can_be_named_in_is_refused_first(tmp_path, capsys):
    words = ["train", RECIPE, "--data", str(tmp_path), "--output", os.fsdecode(os.fsencode(tmp_path) + b"/\xff")]
    assert main(words) == 2 and "\\xff is not UTF-8" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_training_that_never_got_anywhere_may_begin_again(own_set, tmp_path, capsys):
    words = ["train", RECIPE, "--data", str(own_set), "--output", str(tmp_path / "run"), "--device", "cpu", "--batch", "4",
             "--steps", "1", "--check-images", "0", "--workers", "0"]  # fmt: skip
    picture = own_set / "train" / "3.jpg"
    whole = picture.read_bytes()
    spoil_picture(own_set)
    assert main(words) == 2 and "is truncated" in capsys.readouterr().err
    picture.write_bytes(whole)
    assert main(words) == 0


def test_a_full_disk_ends_the_training_and_says_how_to_go_on(tiny_set, tmp_path, monkeypatch, capsys):
    from tasktp_ros.training import progress

    def full(*_arguments) -> None:
        raise OSError(28, "No space left on device")

    words = ["train", RECIPE, "--data", str(tiny_set), "--output", str(tmp_path), "--device", "cpu", "--batch", "2",
             "--steps", "2", "--check-images", "0"]  # fmt: skip
    monkeypatch.setattr(progress.torch, "save", full)
    assert main(words) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "No space left on device" in said and str(tmp_path) in said and "begin again" in said
    assert not list(tmp_path.glob(".part-*"))
