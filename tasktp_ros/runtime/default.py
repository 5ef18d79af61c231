# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The model that is used where none is named; in a file of its own, so that `--help` need not load torch."""

DEFAULT_MODEL = "coco-nano"
"""The one place that names it; `python tools/refresh.py NAME --default` changes it, and config/perception.yaml with it."""
DEFAULT_DENSE = f"{DEFAULT_MODEL}-dense"
"""Its twin without gates, which it is compared with."""
DEFAULT_VOCABULARY = DEFAULT_MODEL.split("-")[0]
"""The vocabulary it was trained on: models that ship are called after theirs."""
