# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Python packages: which ones, and how they come into the environment."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tasktp_setup.place import ENVIRONMENT, python, run

NO_NETWORK = ("Temporary failure in name resolution", "NewConnectionError", "Network is unreachable",
              "Connection refused", "ConnectTimeoutError", "No matching distribution found")  # fmt: skip


def requirement_files(ros_sourced: bool) -> tuple[str, ...]:
    """Arguments for pip. A sourced ROS has its own numpy, OpenCV and colcon, which its libraries were built against."""
    chosen = ["runtime", "training", "development", "beside_ros" if ros_sourced else "wheels"]
    listed = [word for name in chosen for word in ("-r", f"requirements/{name}.txt")]
    return tuple(listed) if ros_sourced else (*listed, "-c", "requirements/pins.txt")


def explain_pip(output: str) -> str:
    """One sentence for a failed installation."""
    if "No space left on device" in output:
        return "the disk is full: make room and run make again, it goes on where it stopped."
    if any(sign in output for sign in NO_NETWORK):
        return "packages could not be downloaded: check the network and run make again, it goes on where it stopped."
    return "pip failed: the end of .venv/setup.log says why."


def install(arguments: tuple[str, ...]) -> None:
    """Install the requirement files, with a pip that is up to it."""
    for place in (ENVIRONMENT / "lib").glob("python*/site-packages"):
        forget_unfinished(place)
    for chosen in (("-r", "requirements/pip.txt"), arguments):
        run([python(), "-m", "pip", "install", "--disable-pip-version-check", *chosen], explain_pip)


def forget_unfinished(place: Path) -> None:
    """Make pip install those packages again during which it was killed.

    A wheel's programs, libraries and shared files follow its metadata, by which pip takes the package for installed.
    INSTALLER comes after all of them.
    """
    for metadata in place.glob("*.dist-info"):
        if not (metadata / "INSTALLER").exists():
            shutil.rmtree(metadata)


def repair_paths() -> None:
    """Replace the build machine's include folders in exported CMake files, which CMake refuses, by this machine's."""
    code = "import numpy, sysconfig; print(sysconfig.get_paths()['include']); print(numpy.get_include())"
    include, numpy_include = subprocess.run(
        [python(), "-c", code], capture_output=True, text=True, check=True
    ).stdout.split("\n")[:2]
    for path in (ENVIRONMENT / "share").glob("*/cmake/*Export.cmake"):
        text = path.read_text()
        repaired = _replace_build_paths(text, include, numpy_include)
        if repaired != text:
            path.write_text(repaired)


def _replace_build_paths(text: str, include: str, numpy_include: str) -> str:
    text = re.sub(r"/opt/python/[^;\"]*/site-packages/numpy/_?core/include", numpy_include, text)
    return re.sub(r"/opt/python/[^;\"]*/include/python3\.\d+", include, text)
