"""The `player` program: replays a bag, folder or video, by default in lock step with the detections that come back.

Signals are caught before anything slow is imported, so that stopping is clean at every stage.
"""

import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType


def main(args: Sequence[str] | None = None) -> int:
    """Play until the source ends or SIGINT/SIGTERM; 0 done, 1 nobody to play for, 2 bad parameters or source."""
    stop = stopping()
    from tasktp_ros.nodes.player_node import play

    return play(args, stop)


def stopping() -> threading.Event:
    """An event that SIGINT and SIGTERM set, instead of ending the process."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


if __name__ == "__main__":
    sys.exit(main())
