"""What happens to the frames of one camera, counted and said in words."""

import statistics
from collections import deque
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus

from tasktp_ros.nodes.diagnostics import ERROR, OK, WARN, status


class CameraHealth:
    """Counts what happens to one camera's frames; times are seconds of a steady clock unless said otherwise.

    The executor thread calls :meth:`frame_received`, the worker thread :meth:`frame_detected` and
    :meth:`frame_failed`; they touch different fields.
    """

    def __init__(self) -> None:
        self.received = 0
        self.detected = 0
        self.failed = 0
        self.dropped = 0
        self.backwards = 0
        self.zero_stamps = 0
        self.late = 0
        self.listening_since: float | None = None
        self.last_received: float | None = None
        self.stamp_problem = ""
        self._last_stamp = 0
        self._failure = ""
        self._frame_times: deque[float] = deque(maxlen=100)
        self._latencies: deque[float] = deque(maxlen=100)

    def frame_received(self, now: float, stamp: int, age: float, stale_after: float) -> None:
        """Note an arrival and judge its stamp.

        Args:
            now: steady time.
            stamp: the header's stamp in nanoseconds.
            age: the node's ROS time minus the stamp, seconds.
            stale_after: greatest usual age, seconds.
        """
        self.received += 1
        self.last_received = now
        self.stamp_problem = ""
        if stamp == 0:
            self.zero_stamps += 1
            self.stamp_problem = "frames carry no stamp (zero)"
        elif stamp < self._last_stamp:
            self.backwards += 1
            self.stamp_problem = f"time went back by {(self._last_stamp - stamp) / 1e9:.3f} s"
        elif abs(age) > stale_after:
            self.late += 1
            side = "old" if age > 0 else "in the future"
            self.stamp_problem = f"stamps are stale: {abs(age):.3f} s {side} on arrival"
        self._last_stamp = stamp

    def frame_detected(self, detect_time: float, latency: float) -> None:
        """Note a published result; both in seconds."""
        self.detected += 1
        self._failure = ""
        self._frame_times.append(detect_time)
        self._latencies.append(latency)

    def frame_failed(self, reason: str) -> bool:
        """Note a frame without result; return whether the reason is another than that of the frame before."""
        self.failed += 1
        changed = reason != self._failure
        self._failure = reason
        return changed

    def listen(self, now: float | None) -> None:
        """Begin (or, with None, end) to expect frames."""
        self.listening_since = now
        self.last_received = None
        self._last_stamp = 0
        self.stamp_problem = self._failure = ""

    def silent_for(self, now: float) -> float:
        """Return the seconds since the last frame, or since frames are expected."""
        since = self.last_received if self.last_received is not None else self.listening_since
        return 0.0 if since is None else now - since

    def report(
        self, name: str, topic: str, now: float, no_frames_after: float, mismatches: Sequence[str]
    ) -> DiagnosticStatus:
        """Return this camera's status."""
        values = {
            "topic": topic,
            "frames_received": self.received,
            "frames_detected": self.detected,
            "frames_dropped": self.dropped,
            "frames_failed": self.failed,
            "stamps_backwards": self.backwards,
            "stamps_zero": self.zero_stamps,
            "stamps_stale": self.late,
            "frame_time_median_ms": _median_ms(self._frame_times),
            "latency_median_ms": _median_ms(self._latencies),
        }
        if self.listening_since is None:
            return status(name, OK, "not listening", **values)
        problems = list(mismatches)
        level = WARN
        if self.silent_for(now) > no_frames_after:
            problems.insert(0, f"no frames on {topic} for {self.silent_for(now):.1f} s")
        if self._failure:
            problems.append(self._failure)
            level = ERROR
        if self.stamp_problem:
            problems.append(self.stamp_problem)
        if problems:
            return status(name, level, "; ".join(problems), **values)
        if self.detected == 0:
            return status(name, OK, "waiting for the first frame", **values)
        sentence = f"{values['frame_time_median_ms']} ms per frame, {self.dropped} of {self.received} frames dropped"
        return status(name, OK, sentence, **values)


def _median_ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(list(seconds)) * 1000:.1f}" if seconds else "none"
