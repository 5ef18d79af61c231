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
