# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a machine must have before set-up begins."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasktp_setup.place import ENVIRONMENT, STAMPS
from tasktp_setup.steps import ROOT, SetupError

GIGABYTES_NEEDED = 8
OLDEST_PYTHON = (3, 10)
NEWEST_WHEELS = (3, 14)


@dataclass(frozen=True)
class Machine:
    """The facts on which it depends whether set-up can succeed.

    Attributes:
        version: (major, minor) of the running Python.
        absent: those modules that set-up needs and this Python cannot find.
        programs: those compilers that were found.
        headers: Python.h is there.
        architecture: as `uname -m` says it.
        distribution: ROS_DISTRO, empty where no ROS 2 is sourced.
        room: bytes that are free where `.venv` lies or will lie, with those a broken-off set-up has filled already.
        ready: the large packages are installed already.
    """

    version: tuple[int, int]
    absent: frozenset[str]
    programs: frozenset[str]
    headers: bool
    architecture: str
    distribution: str
    room: float
    ready: bool


def this_machine(environ: Mapping[str, str]) -> Machine:
    """Look at the machine this runs on."""
    ready = (ENVIRONMENT / STAMPS / "packages").exists()
    filled = 0 if ready else sum(path.lstat().st_size for path in ENVIRONMENT.rglob("*"))
    return Machine(
        version=sys.version_info[:2],
        absent=frozenset(m for m in ("venv", "ensurepip", "rclpy") if importlib.util.find_spec(m) is None),
        programs=frozenset(program for program in ("cc", "c++") if shutil.which(program)),
        headers=(Path(sysconfig.get_paths()["include"]) / "Python.h").exists(),
        architecture=platform.machine(),
        distribution=environ.get("ROS_DISTRO", ""),
        room=shutil.disk_usage(ENVIRONMENT if ENVIRONMENT.exists() else ROOT).free + filled,
        ready=ready,
    )


def check_machine(machine: Machine) -> None:
    """Refuse a machine on which set-up cannot succeed, before anything is done.

    Raises:
        SetupError: what is missing, and how to get it.
    """
    version = ".".join(map(str, machine.version))
    if machine.version < OLDEST_PYTHON:
        raise SetupError(f"Python {version} is too old: install Python 3.10 or newer and run "
                         "`make setup PYTHON=python3.x`.")  # fmt: skip
    if {"venv", "ensurepip"} & machine.absent:
        raise SetupError("Python's venv module is missing: install it (apt install python3-venv) and run make again.")
    for program in ("cc", "c++"):
        if program not in machine.programs:
            raise SetupError(f"no compiler `{program}` was found: install one (apt install build-essential) "
                             "and run make again.")  # fmt: skip
    if not machine.headers:
        raise SetupError("Python.h, which messages are compiled with, was not found: install it "
                         "(apt install python3-dev) and run make again.")  # fmt: skip
    if machine.distribution and "rclpy" in machine.absent:
        raise SetupError(f"ROS 2 {machine.distribution} is sourced, but this Python {version} is not the one it was built "
                         "for: run `make setup PYTHON=/usr/bin/python3`.")  # fmt: skip
    if not machine.distribution and machine.architecture != "x86_64":
        raise SetupError(f"ROS 2 comes as wheels for x86_64 only, not for {machine.architecture}: install ROS 2, source "
                         "it and run make again.")  # fmt: skip
    if not machine.distribution and machine.version > NEWEST_WHEELS:
        raise SetupError(f"ROS 2 comes as wheels up to Python {'.'.join(map(str, NEWEST_WHEELS))}, and this is {version}: "
                         "run `make setup PYTHON=python3.x` with an older one.")  # fmt: skip
    if not machine.ready and machine.room < GIGABYTES_NEEDED * 1e9:
        raise SetupError(f"{machine.room / 1e9:.1f} GB of disk are free and {GIGABYTES_NEEDED} are needed: "
                         "make room and run make again.")  # fmt: skip
