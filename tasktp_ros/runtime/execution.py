# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How a frame is run, which changes its time but not its result: the choice alone, without loading torch."""

from tasktp_ros.errors import ModelError

EXECUTIONS = ("dynamic", "static", "graphs")
"""dynamic: on as many tokens and regions as there are, which a GPU is asked for several times per frame. static: in static shapes.
graphs: likewise, replayed from CUDA graphs."""


def check_execution(execution: str, device_type: str) -> str:
    """`execution` if it is one of `EXECUTIONS` and can be had on a device of this type ("cpu", "cuda").

    Raises:
        ModelError: it is not.
    """
    if execution not in EXECUTIONS:
        raise ModelError(f"unknown execution {execution!r}; expected one of {', '.join(EXECUTIONS)}")
    if execution == "graphs" and device_type != "cuda":
        raise ModelError(f"execution 'graphs' needs a CUDA device, and this detector is on {device_type}")
    return execution
