# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Which texts can be names on the ROS graph, told without ROS."""

import re

from tasktp_ros.errors import InputError

_PART = "[A-Za-z_][A-Za-z0-9_]*"
_NAMESPACE = re.compile(f"/|/?{_PART}(/{_PART})*")
_TOPIC = re.compile(f"(~?/)?{_PART}(/{_PART})*")
_RULE = "letters, digits and underscores in parts joined by /, none of which begins with a digit"


def topic_name(text: str) -> str:
    """A topic's name as it was given; raises InputError where it cannot be one."""
    if not _TOPIC.fullmatch(text):
        raise InputError(f"{text!r} cannot be the name of a topic: expected {_RULE}")
    return text


def namespace_name(text: str) -> str:
    """A namespace as it was given, which may be empty; raises InputError where it cannot be one."""
    if text and not _NAMESPACE.fullmatch(text):
        raise InputError(f"{text!r} cannot be a namespace: expected {_RULE}")
    return text
