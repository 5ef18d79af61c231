# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What a `pip install` puts below share/, where a colcon build puts it as well; the rest is in pyproject.toml."""

from glob import glob

from setuptools import setup

FOLDERS = ("config", "launch", "rviz", "weights")

setup(
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/tasktp_ros"]),  # where ROS looks the package up
        ("share/tasktp_ros", ["package.xml"]),
        *((f"share/tasktp_ros/{folder}", sorted(glob(f"{folder}/*.*"))) for folder in FOLDERS),
    ]
)
