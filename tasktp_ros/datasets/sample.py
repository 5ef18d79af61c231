# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Recordings that come with the package, so that it can be tried without a robot."""

from pathlib import Path

OFFICE_WALK = Path(__file__).with_name("office_walk")
"""Part of a real walk through an office: a rosbag2 with compressed images, camera info and poses, under the MIT licence beside it.

`python -m tasktp_ros.datasets.cut_walk` cut it."""

SAMPLE = Path(__file__).with_name("sample_walk")
"""A short drive through a rendered flat, of which is known what it shows; what was measured on it stays comparable. A rosbag2 as above.

`python -m tasktp_ros.datasets.rooms.sample_walk` drew it."""
