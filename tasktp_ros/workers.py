# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Processes that share work, and always end with it: after an error, a signal, or the death of the one that started them."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from tasktp_ros.errors import ProcessError

Job = TypeVar("Job")
Result = TypeVar("Result")
SET_PARENT_DEATH_SIGNAL = 1
FIRST_WORD = "TASKTP_FIRST_WORD"
"""Environment variable with the file that the first of several processes to complain makes."""


def in_processes(
    function: Callable[[Job], Result], jobs: Sequence[Job], processes: int, most_each: int | None = None
) -> Iterator[Result]:
    """Do jobs in processes of their own, or in this one where that is as fast; yields results as they come.

    Args:
        function: of a module, since processes find it by name.
        processes: at most so many at a time.
        most_each: jobs after which processes are replaced by fresh ones, about; None = never.

    Raises:
        ProcessError: a process was ended from outside.
    """
    if processes < 2 or len(jobs) < 2:
        yield from map(function, jobs)
        return
    turn = len(jobs) if most_each is None else most_each * processes
    for first in range(0, len(jobs), turn):
        yield from _one_turn(function, jobs[first : first + turn], processes)


def _one_turn(function: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(min(processes, len(jobs)), context, _start_worker) as pool,
        children_ended(lambda: pool.shutdown(wait=False, cancel_futures=True)),
    ):
        try:
            for done in as_completed([pool.submit(function, job) for job in jobs]):
                yield done.result()
        except BrokenProcessPool:
            raise ProcessError("a worker process was ended from outside, perhaps for want of memory; "
                               "run the command again to go on") from None  # fmt: skip


@contextmanager
def children_ended(first: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let no process that the block starts with `multiprocessing` outlive an error in it.

    Python ends such processes by SIGTERM and then waits for them, for ever where they ignore it.

    Args:
        first: called after an error, before the processes are ended.
    """
    others = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        first()
        with _deaths_unnoticed():
            for child in set(multiprocessing.active_children()) - others:
                child.kill()
                child.join()
        raise


@contextmanager
def _deaths_unnoticed() -> Iterator[None]:
    """Torch raises an error from its SIGCHLD handler when a data loading process is killed, also when we do it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


def _start_worker() -> None:
    """One thread; Ctrl-C ends a worker without a word, since the parent says what there is to say."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch and others when they are imported
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent(signal.SIGKILL)


def has_the_word() -> bool:
    """Whether this process is the one to complain: the first, of several that may all meet the same trouble."""
    place = os.environ.get(FIRST_WORD)
    try:
        if place:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL))
    except OSError as error:
        return not isinstance(error, FileExistsError)
    return True


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Let the kernel send this process a signal should its parent end without a chance to put it away (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, number)
