# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The chain of resolvers that nodes and commands use, in the order of `docs/words.md`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.rules import GoalRules
from tasktp_ros.tasks.words.activities import ActivityResolver
from tasktp_ros.tasks.words.answer import Resolver
from tasktp_ros.tasks.words.chain import Chain
from tasktp_ros.tasks.words.encoder import EncoderResolver, find_encoder
from tasktp_ros.tasks.words.llm import LanguageModelResolver
from tasktp_ros.tasks.words.model_server import ModelServer
from tasktp_ros.tasks.words.names import NameResolver, RuleResolver
from tasktp_ros.tasks.words.planner import LanguageModelPlanner
from tasktp_ros.tasks.words.relations import RelationResolver

NO_ENCODER = "none"
KEY_VARIABLE = "TASKTP_LLM_KEY"
"""Environment variable with the key of a language model's server; a parameter would be read by everyone on the robot."""


def build_chain(
    rules: GoalRules, encoder: str = "auto", llm: str = "", llm_model: str = "", llm_seconds: float = 10.0
) -> Chain:
    """Build the resolvers for a vocabulary: names, rules, WordNet, activities, and the slow ones that there are.

    Args:
        encoder: folder of a sentence encoder; auto: the one of its Python package, if that is installed; none: none.
        llm: address of a language model's server, such as http://localhost:8080/v1; empty: none.

    Raises:
        TaskError: a folder without an encoder, or an address that cannot be.
    """
    resolvers: list[Resolver] = [
        NameResolver(rules),
        RuleResolver(rules),
        RelationResolver(rules.vocabulary),
        ActivityResolver(rules.vocabulary),
    ]
    folder = find_encoder(encoder) if encoder not in ("", NO_ENCODER) else None
    if folder:
        resolvers.append(EncoderResolver(folder, rules.vocabulary))
    if llm:
        key = os.environ.get(KEY_VARIABLE, "")
        resolvers.append(LanguageModelResolver(llm, rules.vocabulary, llm_model, llm_seconds, key))
    return Chain(rules, resolvers)


def build_planner(
    vocabulary: Sequence[str], llm: str, llm_model: str = "", llm_seconds: float = 10.0
) -> LanguageModelPlanner | None:
    """Who makes plans of sentences that rules do not understand; None without a server. Raises TaskError as `build_chain`."""
    if not llm:
        return None
    server = ModelServer(llm, llm_model, llm_seconds, os.environ.get(KEY_VARIABLE, ""))
    return LanguageModelPlanner(server, tuple(vocabulary))


def shipped_rules(vocabulary: Sequence[str]) -> GoalRules:
    """The rules that come with the package; raises TaskError where they are not installed."""
    return GoalRules.from_yaml(shipped_rules_file(), vocabulary)


def shipped_rules_file() -> Path:
    """config/tasks.yaml of a checkout, of the Python environment, or of a sourced ROS workspace.

    Raises:
        TaskError: there is none.
    """
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    shares = [Path(prefix) / "share" / "tasktp_ros" for prefix in (sys.prefix, *prefixes)]
    for folder in (Path(__file__).resolve().parents[3], *shares):
        if (folder / "config" / "tasks.yaml").is_file():
            return folder / "config" / "tasks.yaml"
    raise TaskError("the rules config/tasks.yaml are not installed; name your own file of rules")
