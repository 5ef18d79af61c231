# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Processes that share work end with it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasktp_ros.errors import DataError, ProcessError
from tasktp_ros.workers import children_ended, has_the_word, in_processes


def own_id(_job: int) -> int:
    time.sleep(0.2)
    return os.getpid()


def threads(_job: int) -> int:
    import torch

    return torch.get_num_threads()


def killed(job: int) -> int:
    if job == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    return job


def unreadable(job: int) -> int:
    if job == 0:
        raise DataError("flat 0 cannot be drawn")
    time.sleep(60)
    return job


def stubborn() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


def test_jobs_are_shared_and_processes_replaced():
    ids = list(in_processes(own_id, range(6), 2, most_each=2))
    assert os.getpid() not in ids and len(set(ids)) in (3, 4), "two, then two fresh ones"
    assert list(in_processes(own_id, [1], 2)) == list(in_processes(own_id, [1], 1)) == [os.getpid()]
    assert set(in_processes(threads, range(2), 2)) == {1}


@pytest.mark.parametrize(
    ("job", "error"), [(killed, pytest.raises(ProcessError, match="outside")), (unreadable, pytest.raises(DataError, match="flat 0"))]
)  # fmt: skip
def test_one_that_fails_ends_all_at_once(job, error):
    started = time.monotonic()
    with error:
        list(in_processes(job, range(4), 2))
    # Two threads wait for the dead; for a moment the one that came second takes a process for alive.
    while multiprocessing.active_children() and time.monotonic() - started < 20:
        time.sleep(0.01)
    assert time.monotonic() - started < 20 and not multiprocessing.active_children()


def test_processes_that_ignore_sigterm_end_as_well():
    child = multiprocessing.get_context("spawn").Process(target=stubborn, daemon=True)

    def fail() -> None:
        with children_ended():
            child.start()
            raise RuntimeError("trouble")

    with pytest.raises(RuntimeError, match="trouble"):
        fail()
    assert child.exitcode == -signal.SIGKILL


def test_no_worker_outlives_one_that_was_killed(tmp_path):
    code = "from test_workers import tell; from tasktp_ros.workers import in_processes\n" \
           "if __name__ == '__main__': list(in_processes(tell, [0, 1], 2))"  # fmt: skip
    program = tmp_path / "program.py"
    program.write_text(code)
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths}
    )
    ids = [int(process.stdout.readline()) for _ in range(2)]
    process.kill()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in ids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def tell(_job: int) -> None:
    os.write(1, f"{os.getpid()}\n".encode())
    time.sleep(60)


def test_of_several_processes_one_complains(tmp_path, monkeypatch):
    assert has_the_word() and has_the_word(), "alone"
    monkeypatch.setenv("TASKTP_FIRST_WORD", str(tmp_path / "said"))
    assert [has_the_word(), has_the_word()] == [True, False]
