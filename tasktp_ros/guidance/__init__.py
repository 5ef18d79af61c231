# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Guidance: one vector of 256 numbers that says what a goal is about, F_LLM of VLTP's equation (2), from four kinds of source."""

from tasktp_ros.guidance.cached import CachedGuidance
from tasktp_ros.guidance.mllm import MllmGuidance
from tasktp_ros.guidance.sentence import SentenceGuidance
from tasktp_ros.guidance.source import Guidance
from tasktp_ros.guidance.table import CategoryTable, TableGuidance

__all__ = ["CachedGuidance", "CategoryTable", "Guidance", "MllmGuidance", "SentenceGuidance", "TableGuidance"]
