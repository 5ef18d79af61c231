# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The task manager: task goals in, the categories that they need together out.

Lifecycle node `task_manager`. Names are relative, so they can be namespaced and remapped.

Subscribed
    task_goal (tasktp_ros/TaskGoal): reliable; starts, replaces or cancels a goal.
    task_plan (tasktp_ros/TaskPlan): reliable; starts or cancels a plan, see `tasktp_ros.tasks.plans`.
    detections (vision_msgs/Detection2DArray), and topics that plans name: while a step waits for them.
Published
    task_categories (tasktp_ros/TaskCategories): latched; the union of the goals of the highest priority, no goal: all.
        Published once on activation and then only when the result changes, as when a slow resolver knows more.
    task_plans (tasktp_ros/TaskPlans): latched; running plans and the last that ended, with times and reasons of their steps.
    /diagnostics (diagnostic_msgs/DiagnosticArray): running goals, and why the last one was refused.
Served
    ~/finish_step (tasktp_ros/FinishStep): ends the running step of a plan.
Kept
    Running goals and plans, in the file of parameter `state_file`. After a crash the node goes on with them; whoever stops it in order, or
    cleans it up, ends them.
Parameters: `config/perception.yaml`.
"""

# This module stays light and only starts the node: signals must be in hand before ROS is imported.

from collections.abc import Sequence
from typing import Any

from tasktp_ros.nodes.process import run_node, shows_help


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM and return the exit status."""
    return 0 if shows_help(__doc__, args) else run_node(_create, args)


def _create() -> Any:
    from tasktp_ros.nodes.task_manager.node import TaskManagerNode

    return TaskManagerNode()
