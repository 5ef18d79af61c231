# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What happens to the frames of one camera, counted and said in words."""

import statistics
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from tasktp_ros.nodes.diagnostics import ERROR, OK, WARN, status

YEAR = 365.25 * 24 * 3600.0


class Trouble:
    """The newest sentence of one kind of trouble, and how many frames had it; stays until reported and a frame is fine."""

    def __init__(self) -> None:
        self.clear()

    def note(self, sentence: str) -> None:
        """Note a frame in trouble."""
        self._sentence = sentence
        self._frames += 1
        self._reported = False

    def frame_is_fine(self) -> None:
        """Note a frame without trouble."""
        if self._reported:
            self.clear()

    def clear(self) -> None:
        """Forget it."""
        self._sentence = ""
        self._frames = 0
        self._reported = False

    def report(self) -> str:
        """Return what to say, empty for nothing."""
        self._reported = True
        return f"{self._sentence} ({self._frames} frames)" if self._frames > 1 else self._sentence


class CameraHealth:
    """Counts what happens to one camera's frames; times are seconds of a steady clock unless said otherwise.

    The executor thread calls :meth:`frame_received`, the publishing thread :meth:`frame_detected`, either of the threads of a
    frame's way :meth:`frame_failed`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.received = 0
        self.detected = 0
        self.failed = 0
        self.dropped = 0
        self.backwards = 0
        self.zero_stamps = 0
        self.late = 0
        self.listening_since: float | None = None
        self.last_received: float | None = None
        self.impossible_stamps = 0
        self._stamps = Trouble()
        self._failures = Trouble()
        self._last_stamp = 0
        self._frame_times: deque[float] = deque(maxlen=100)
        self._latencies: deque[float] = deque(maxlen=100)

    def frame_received(self, now: float, stamp: Any, time: float | None, stale_after: float) -> None:
        """Note an arrival and judge its stamp.

        Args:
            now: steady time.
            stamp: the header's stamp (builtin_interfaces/Time), with whatever the sender put into it.
            time: the node's ROS time in seconds; None while there is none.
            stale_after: greatest usual age, seconds.
        """
        self.received += 1
        self.last_received = now
        nanoseconds = stamp.sec * 10**9 + stamp.nanosec
        problem = self._judge(stamp, nanoseconds, time, stale_after)
        self._last_stamp = nanoseconds
        if problem:
            self._stamps.note(problem)
        else:
            self._stamps.frame_is_fine()

    def _judge(self, stamp: Any, nanoseconds: int, time: float | None, stale_after: float) -> str:
        if nanoseconds == 0:
            self.zero_stamps += 1
            return "frames carry no stamp (zero)"
        if stamp.sec < 0 or stamp.nanosec >= 10**9:
            self.impossible_stamps += 1
            return f"frames carry an impossible stamp: {stamp.sec} s and {stamp.nanosec} ns"
        if nanoseconds < self._last_stamp:
            self.backwards += 1
            return f"time went back by {(self._last_stamp - nanoseconds) / 1e9:.3f} s"
        age = 0.0 if time is None else time - nanoseconds / 1e9
        if abs(age) <= stale_after:
            return ""
        self.late += 1
        side = "old" if age > 0 else "in the future"
        if abs(age) < YEAR:
            return f"stamps are stale: {abs(age):.3f} s {side} on arrival"
        return (
            f"stamps are stale: {abs(age) / YEAR:.0f} years {side} on arrival; camera and node do not share a clock, such as "
            "time since start, simulated time (use_sim_time) and time of day"
        )

    def frame_detected(self, detect_time: float, latency: float) -> None:
        """Note a published result; both in seconds."""
        with self._lock:
            self.detected += 1
            self._failures.frame_is_fine()
            self._frame_times.append(detect_time)
            self._latencies.append(latency)

    def frame_failed(self, reason: str) -> None:
        """Note a frame without result."""
        with self._lock:
            self.failed += 1
            self._failures.note(reason)

    def listen(self, now: float | None) -> None:
        """Begin (or, with None, end) to expect frames."""
        self.listening_since = now
        self.last_received = None
        self._last_stamp = 0
        self._stamps.clear()
        self._failures.clear()

    def silent_for(self, now: float) -> float:
        """Return the seconds since the last frame, or since frames are expected."""
        since = self.last_received if self.last_received is not None else self.listening_since
        return 0.0 if since is None else now - since

    def report(
        self, name: str, topic: str, read: str, now: float, no_frames_after: float, mismatches: Sequence[str]
    ) -> DiagnosticStatus:
        """Return this camera's status; `read` says from where its images are read."""
        values = {
            "topic": topic,
            "read": read,
            "frames_received": self.received,
            "frames_detected": self.detected,
            "frames_dropped": self.dropped,
            "frames_failed": self.failed,
            "stamps_backwards": self.backwards,
            "stamps_zero": self.zero_stamps,
            "stamps_stale": self.late,
            "stamps_impossible": self.impossible_stamps,
            "frame_time_median_ms": _median_ms(self._frame_times),
            "latency_median_ms": _median_ms(self._latencies),
        }
        if self.listening_since is None:
            return status(name, OK, "not listening", **values)
        problems = list(mismatches)
        level = WARN
        if self.silent_for(now) > no_frames_after:
            problems.insert(0, f"no frames on {topic} for {self.silent_for(now):.1f} s")
        failure, stamps = self._failures.report(), self._stamps.report()
        if failure:
            level = ERROR
        problems += [sentence for sentence in (failure, stamps) if sentence]
        if problems:
            return status(name, level, "; ".join(problems), **values)
        if self.detected == 0:
            return status(name, OK, "waiting for the first frame", **values)
        sentence = f"{values['frame_time_median_ms']} ms per frame, {self.dropped} of {self.received} frames dropped"
        return status(name, OK, sentence, **values)


def _median_ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(list(seconds)) * 1000:.1f}" if seconds else "none"
