# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A finished model of a few categories, for what starts from one."""

import torch

from tasktp_ros.detectors import build_detector
from tasktp_ros.vision.detector import Detector


def uneven_detector(categories: int, spread: float) -> Detector:
    """A gated nano whose weights all differ from each other."""
    torch.manual_seed(3)
    detector = build_detector("nano", "tasktp", categories)
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.add_(torch.randn_like(parameter) * spread)
    return detector
