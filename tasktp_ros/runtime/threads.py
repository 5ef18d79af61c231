"""How torch's CPU threads wait for each other; must be settled before torch is first imported.

By default they spin. On a robot the cores are shared, a spinning thread keeps the one it waits for from running, and a
frame that takes 50 ms alone can take two seconds beside another busy process. Sleeping costs a few percent alone.
"""

import os


def wait_asleep() -> None:
    """Let OpenMP threads of this process sleep while they wait, unless the environment already says how to wait."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
