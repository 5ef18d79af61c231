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
