# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The tests run where ROS is sourced, whose plugins for pytest do not know the newest one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["launch_testing", "launch_ros", "launch_pytest"])
def test_a_plugin_of_ros_that_pytest_refuses_is_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "old_plugin.py").write_text("def pytest_pycollect_makemodule(path, parent): ...\n")
    metadata = tmp_path / "old_plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: old-plugin\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[pytest11]\n{name} = old_plugin\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))}
    command = [sys.executable, "-m", "pytest", "--collect-only", "test/test_goals.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
