# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""How many CPU threads torch uses, and how they wait for each other, on cores that others need too.

By default they spin while they wait. On a robot the cores are shared, a spinning thread keeps the one it waits for
from running, and a frame that takes 50 ms alone can take two seconds beside another busy process.
"""

import os


def wait_asleep() -> None:
    """Let threads sleep while they wait, unless the environment says how; to be called before torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def use_threads(count: int) -> None:
    """Run the model on this many CPU threads; 0 = all cores but one, which is left to the robot's other processes.

    On two cores one thread takes little longer than two, and does not suffer when the other core is busy.
    """
    import torch

    torch.set_num_threads(count or max(1, (os.cpu_count() or 1) - 1))
