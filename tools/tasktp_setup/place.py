# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The folder `.venv`: whose it is, which Python it belongs to, and how programs run in it.

It is emptied only where this set-up made it for this checkout, and never through a link.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tasktp_setup.steps import ROOT, SetupError

ENVIRONMENT = ROOT / ".venv"
LOG, LOCK, STAMPS = "setup.log", ".setup-lock", ".setup"
# ROS 2's CMake files lose their way at others: commas, brackets, umlauts.
PUNCTUATION = "._~@=+-"
BUILDABLE = rf"[A-Za-z0-9 /{PUNCTUATION}]*"


def check_place(current: bool) -> None:
    """Refuse a `.venv` that is not this set-up's to change, before anything in it is touched.

    Args:
        current: its environment was made by this Python for this checkout.

    Raises:
        SetupError: what lies there, and how to go on.
    """
    if not re.fullmatch(BUILDABLE, str(ROOT)):
        raise SetupError("messages cannot be built below a folder with other than plain letters, digits, spaces and "
                         f"{PUNCTUATION} in its name, as {str(ROOT)!a} has it: move the checkout and run make again.")  # fmt: skip
    link = f"is a link to {os.readlink(ENVIRONMENT)}" if ENVIRONMENT.is_symlink() else ""
    if not ENVIRONMENT.is_dir():
        if link or ENVIRONMENT.exists():
            raise SetupError(f".venv {link or 'is a file'}, and a folder is needed: remove it (rm .venv) "
                             "and run make again.")  # fmt: skip
        return
    if all(path.name in (LOCK, LOG) for path in ENVIRONMENT.iterdir()):
        return
    if link and not current:
        raise SetupError(f".venv {link}, which was not made for this checkout and this Python, and nothing is changed "
                         "through a link: remove the link (rm .venv) and run make again.")  # fmt: skip
    if not (ENVIRONMENT / STAMPS).is_dir():
        raise SetupError(".venv was not made by this set-up, and nothing in it was changed: move it away and "
                         "run make again.")  # fmt: skip


def other_interpreter(named: bool, ros: bool) -> str | None:
    """The Python to go on with, where that is not the running one.

    An existing environment keeps its own. A virtual environment's is not used: it could be the one to be made anew.

    Args:
        named: the running Python was asked for by name.
        ros: a ROS 2 is sourced; an environment made without one is of no use then.
    """
    version = ".".join(map(str, sys.version_info[:2]))
    base = sys.executable if sys.prefix == sys.base_prefix else str(Path(sys.base_prefix, "bin", f"python{version}"))
    chosen = (None if named else _kept_interpreter(ros)) or base
    same = os.path.realpath(chosen) == os.path.realpath(sys.executable) and sys.prefix == sys.base_prefix
    return None if same or not os.path.exists(chosen) else chosen


def _kept_interpreter(ros: bool) -> str | None:
    """The Python below `.venv`, where set-up made that for this kind of ROS and the Python is still there."""
    settings = _settings()
    if not (ENVIRONMENT / STAMPS).is_dir() or settings.get("include-system-site-packages") != str(ros).lower():
        return None
    version = settings.get("version", "").split(".")
    found = Path(settings.get("home", ""), "python" + ".".join(version[:2]))
    return str(found) if len(version) > 1 and found.exists() else None


def create_environment(ros: bool) -> None:
    """Make `.venv`; with a sourced ROS it sees the system's packages. One of another Python, kind or place is removed."""
    if ENVIRONMENT.exists() and not _fits(ros):
        _empty()
    command = [sys.executable, "-m", "venv", *(["--system-site-packages"] if ros else []), str(ENVIRONMENT)]
    run(command, lambda output: "the environment .venv could not be made: the end of .venv/setup.log says why.")


def _fits(ros: bool) -> bool:
    """Whether what lies in `.venv` was made by this Python, which is still there, here, and for this kind of ROS."""
    try:
        pip = (ENVIRONMENT / "bin" / "pip").read_bytes()
    except OSError:
        return False
    wanted = {"include-system-site-packages": str(ros).lower(), "version": platform.python_version()}
    return wanted.items() <= _settings().items() and os.fsencode(python()) in pip and os.path.exists(python())


def _settings() -> dict[str, str]:
    """What pyvenv.cfg says, nothing where there is none."""
    try:
        lines = (ENVIRONMENT / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _empty() -> None:
    """Remove what lies in `.venv`, stamps first: broken off at any point, it is still ours and nothing in it counts."""
    if ENVIRONMENT.is_symlink():
        raise SetupError(".venv is a link, and nothing is removed through one: remove the link (rm .venv) "
                         "and run make again.")  # fmt: skip
    for stamp in (ENVIRONMENT / STAMPS).iterdir():
        stamp.unlink()
    for path in ENVIRONMENT.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name != STAMPS:
                shutil.rmtree(path)
        elif path.name not in (LOCK, LOG):
            path.unlink()


def environ() -> dict[str, str]:
    """The environment's programs, packages and libraries before the system's."""
    merged = dict(os.environ)
    ahead = {"PATH": ENVIRONMENT / "bin", "AMENT_PREFIX_PATH": ENVIRONMENT, "CMAKE_PREFIX_PATH": ENVIRONMENT,
             "LD_LIBRARY_PATH": ENVIRONMENT / "lib"}  # fmt: skip
    for name, path in ahead.items():
        merged[name] = os.pathsep.join(part for part in (str(path), merged.get(name, "")) if part)
    return merged


def run(command: list[str], explain: Callable[[str], str]) -> None:
    """Run a command with its output in .venv/setup.log; SetupError with its explanation if it fails."""
    ENVIRONMENT.mkdir(exist_ok=True)
    with open(ENVIRONMENT / LOG, "a+") as log:
        start = log.seek(0, os.SEEK_END)
        done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environ())
        if done.returncode:
            log.seek(start)
            raise SetupError(explain(log.read()))


def python() -> str:
    """The environment's Python."""
    return str(ENVIRONMENT / "bin" / "python")


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Wait for another set-up of this checkout to end."""
    ENVIRONMENT.mkdir(exist_ok=True)
    with open(ENVIRONMENT / LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up of this checkout ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
