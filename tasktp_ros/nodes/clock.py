# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What time it is for a node, as far as that can be said."""

from rclpy.node import Node


def node_time(node: Node) -> float | None:
    """ROS time in seconds; None while the time is simulated and nobody has told it yet."""
    clock = node.get_clock()
    now = clock.now().nanoseconds
    return None if clock.ros_time_is_active and now == 0 else now / 1e9


def clock_problem(node: Node) -> str:
    """Return why a node has no time, and the way out, in one sentence; empty when it has one."""
    if node_time(node) is not None:
        return ""
    senders = node.count_publishers("/clock")
    said = f"{senders} on /clock have sent none yet" if senders else "nobody sends on /clock"
    return (
        f"no time: use_sim_time is set, but {said}; start the simulator, play the bag with --clock, "
        "or set use_sim_time to false"
    )
