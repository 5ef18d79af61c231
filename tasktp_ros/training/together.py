# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Several training processes on one machine: started together, and none outlives the death of another.

The process that starts them does not train itself, so it is never caught in a call that waits for the others.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from tasktp_ros.errors import TrainingError
from tasktp_ros.workers import FIRST_WORD, end_with_parent

LOOK_SECONDS = 0.1


def started_together() -> bool:
    """Whether this process was started by :func:`train_together`."""
    return FIRST_WORD in os.environ


def train_together(words: Sequence[str], count: int) -> int:
    """Run `tasktp` in several processes, which find each other by the environment that Lightning Fabric reads.

    Args:
        words: its arguments.

    Returns:
        The exit status: 0, or that of the first process that failed, which has said why.

    Raises:
        TrainingError: a process was ended from outside.
    """
    with tempfile.TemporaryDirectory() as folder, _put_away([]) as running, _passed_on(running):
        environment = os.environ | {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "NODE_RANK": "0", "WORLD_SIZE": str(count),
            FIRST_WORD: str(Path(folder) / "said"),
        }  # fmt: skip
        for rank in range(count):
            command = [sys.executable, "-m", "tasktp_ros.cli.main", *words]
            running.append(
                subprocess.Popen(
                    command,
                    env=environment | {"LOCAL_RANK": str(rank)},
                    start_new_session=True,
                    preexec_fn=end_with_parent,
                )
            )
        while not any(statuses := [process.poll() for process in running]) and None in statuses:
            time.sleep(LOOK_SECONDS)
    status = next((status for status in statuses if status), 0)
    if status < 0:
        raise TrainingError(f"one of {count} training processes was ended by {signal.Signals(-status).name}, perhaps for want "
                            "of memory; continue with --resume where a checkpoint has been written")  # fmt: skip
    return status


@contextmanager
def _put_away(running: list[subprocess.Popen]) -> Iterator[list[subprocess.Popen]]:
    """Let no process in the list, nor what it started, outlive the block."""
    try:
        yield running
    finally:
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def _passed_on(running: list[subprocess.Popen]) -> Iterator[None]:
    """SIGINT and SIGTERM ask the processes to stop; asked a second time, they are ended."""
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        for process in running:
            process.terminate()

    kept = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
