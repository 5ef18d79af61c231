# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Both interface packages, built into the environment's own prefix."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tasktp_setup.place import ENVIRONMENT, environ, python, run
from tasktp_setup.steps import ROOT


def build_vision_msgs() -> None:
    """Build our wire-compatible vision_msgs, unless an official one is installed."""
    ours = ENVIRONMENT / "share" / "vision_msgs" / "package.xml"
    probe = subprocess.run([python(), "-c", "import vision_msgs.msg"], capture_output=True, env=environ())
    if probe.returncode == 0 and not ours.exists():
        return
    colcon(ROOT / "interfaces" / "vision_msgs", "vision_msgs")


def colcon(path: Path, package: str) -> None:
    """Build one package into the environment's prefix, with links to the sources, so that edits take effect at once.

    What is built on the way lies in the environment as well: it is of use to no other Python, and goes when that goes.
    """
    build = ENVIRONMENT / "build"
    for link in (path for place in ("lib", "share") for path in (ENVIRONMENT / place).rglob(f"{package}/**/*")):
        if link.is_symlink() and not link.exists():
            link.unlink()  # to a file that was removed since
    program = "import sys; from colcon_core.command import main; sys.exit(main())"
    command = [
        python(), "-c", program, "--log-base", str(build / "log"), "build", "--base-paths", str(path),
        "--packages-select", package, "--merge-install", "--symlink-install", "--install-base", str(ENVIRONMENT),
        "--build-base", str(build), "--event-handlers", "console_cohesion+",
        "--cmake-args", f"-DPython3_EXECUTABLE={python()}", "-DBUILD_TESTING=OFF",
        *(["-GNinja"] if (ENVIRONMENT / "bin" / "ninja").exists() else []),
    ]  # fmt: skip
    run(command, lambda output: f"{package} could not be built: the end of .venv/setup.log says why.")
