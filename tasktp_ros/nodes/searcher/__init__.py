"""The `searcher` program: asks for one object, decides on which image it is located, and says so.

Topics (relative): `task_goal`, `search_steps` and `search_result` out; `task_categories`, `image`, `detections`, `instances`
and `pruning` in. Signals are caught before anything slow is imported, so that stopping is clean at every stage.
"""

from collections.abc import Sequence

from tasktp_ros.nodes.process import shows_help, stopping


def main(args: Sequence[str] | None = None) -> int:
    """Search until the object is located, the walk ends or SIGINT/SIGTERM; 0 over, 1 nobody answers, 2 bad parameters."""
    if shows_help(__doc__, args):
        return 0
    stop = stopping()
    from tasktp_ros.nodes.searcher.node import search

    return search(args, stop)
