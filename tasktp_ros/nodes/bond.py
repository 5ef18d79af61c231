# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A bond with nav2's lifecycle manager: the manager hears the node's heartbeat, and takes the system down when it ends."""

import contextlib
import importlib.util
from typing import Any

from rclpy.node import Node

from tasktp_ros.errors import InputError

HEARTBEAT_PERIOD = 0.1
HEARTBEAT_TIMEOUT = 4.0
"""Seconds, as nav2's own nodes have them."""


class Bond:
    """One bond, from now until :meth:`end`, on the topic and with the id that nav2's manager expects.

    Args:
        node: bonds under its name, in its namespace.
    """

    def __init__(self, node: Node) -> None:
        from bondpy import bondpy

        self._bond: Any = bondpy.Bond(node, "bond", node.get_name())
        self._bond.heartbeat_period = HEARTBEAT_PERIOD
        self._bond.heartbeat_timeout = HEARTBEAT_TIMEOUT
        self._bond.start()

    @staticmethod
    def check() -> None:
        """Raise InputError where bonds cannot be had."""
        if importlib.util.find_spec("bondpy") is None:
            raise InputError(
                "the parameter bond is set, but ROS's package bondpy is not installed; install it, or set bond to false here "
                "and bond_timeout to 0.0 in nav2's lifecycle manager"
            )

    def end(self) -> None:
        """Tell the manager, and stop; must not raise."""
        with contextlib.suppress(Exception):
            self._bond.break_bond()
            self._bond.shutdown()
