# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""`make setup`: everything this checkout needs, in `.venv`, from a bare machine.

Each step is skipped while a hash of its inputs is the one it last finished with, so a second run takes no time and a
broken-off one goes on where it stopped. The standard library is all that is needed to run this.

Where a ROS 2 is sourced it is used. Elsewhere ROS 2 Jazzy comes as wheels, and both our interface packages are built
into the environment's own prefix, whose libraries the wheels already look up.
"""

from __future__ import annotations  # an old Python has to be able to read this far to say that it is too old

import os
import sys

from tasktp_setup.machine import check_machine, this_machine
from tasktp_setup.place import ENVIRONMENT, STAMPS, check_place, only_one, other_interpreter
from tasktp_setup.plan import plan
from tasktp_setup.steps import SetupError, all_finished, run_steps

THIS_PYTHON, CHOSEN = "--this-python", "--chosen"


def main(words: list[str]) -> int:
    """Set this checkout up; status 1 and one sentence where that is not possible.

    Args:
        words: `--this-python` where the running Python was asked for by name, `--chosen` where it was chosen here.
    """
    other = None if CHOSEN in words else other_interpreter(THIS_PYTHON in words, bool(os.environ.get("ROS_DISTRO")))
    if other:
        os.execv(other, [other, __file__, CHOSEN])
    stamps = ENVIRONMENT / STAMPS
    try:
        steps = plan(os.environ)
        check_place(current=all_finished(steps[:1], stamps))
        check_machine(this_machine(os.environ))
        with only_one():
            run_steps(steps, stamps)
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: interrupted; run make again, it goes on where it stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
