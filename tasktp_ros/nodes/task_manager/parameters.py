# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The task manager's parameters; `config/perception.yaml` explains them."""

from rclpy.node import Node

from tasktp_ros.nodes.parameters import declare
from tasktp_ros.runtime.default import DEFAULT_VOCABULARY
from tasktp_ros.tasks.vocabulary import VOCABULARIES

ONLY_UNCONFIGURED = "can be set while the node is unconfigured"
_TEXTS = {
    "rules_file": (
        "",
        "Path of the rules that turn goals into categories; empty for the ones that come with the package.",
    ),
    "state_file": (
        "auto",
        "Where running goals are kept for a restart after a crash; auto: in ROS's folder, empty: nowhere.",
    ),
    "plans_file": ("", "YAML file with plans that can be started by their names; empty: none."),
    "plan": ("", "Name of a plan of that file that starts when the node becomes active; empty: none."),
    "encoder": ("auto", "Folder of a sentence encoder; auto: that of its Python package if installed; none: none."),
    "llm_url": ("", "Server of a language model, such as http://localhost:8080/v1; empty: none."),
    "llm_model": ("", "Name of its model; may be empty where it serves one."),
}
UNCONFIGURED_ONLY = (*_TEXTS, "vocabulary", "llm_seconds")


def declare_parameters(node: Node) -> None:
    """Declare them all; none can be set once the node is configured."""
    for name, (default, description) in _TEXTS.items():
        declare(node, name, default, description, constraints=ONLY_UNCONFIGURED)
    listed = f"one of {', '.join(VOCABULARIES)}, or a model's file; {ONLY_UNCONFIGURED}"
    declare(node, "vocabulary", DEFAULT_VOCABULARY, "Vocabulary of the detectors that listen.", constraints=listed)
    seconds = "Seconds the language model has for one answer."
    declare(node, "llm_seconds", 10.0, seconds, minimum=0.1, maximum=600.0, constraints=ONLY_UNCONFIGURED)
