# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Measured numbers as JSON files that say where they come from: machine, versions, commit and command."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from tasktp_ros import __version__
from tasktp_ros.files import readable, replacing

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Flags of a processor that decide how fast it is at float32 and bf16."""


def provenance() -> dict[str, Any]:
    """Machine, versions, commit, command and time of the run that calls this."""
    machine = {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in FLAGS if flag in (_cpuinfo("flags") or "").split()],
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
    return {
        "command": " ".join([Path(sys.argv[0]).stem, *map(readable, sys.argv[1:])]),
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine,
        "versions": {"tasktp_ros": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def write_results(path: str | Path, report: dict[str, Any]) -> None:
    """Write a report beside its file first, so that a broken-off run leaves the last one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(json.dumps(report, indent=1) + "\n")


def _cpuinfo(key: str) -> str | None:
    """What Linux says of the first core; None where it does not, or on another system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == key), None)


def _commit() -> str | None:
    """Commit of the checkout this code lies in, with a mark when files were changed; None outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
