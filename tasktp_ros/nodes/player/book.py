# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Books kept while frames are replayed: which results came back, in which order, under which header, and how fast.

Frames and results are paired by their header stamp; that and nothing else is what the ROS interface promises.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class SentFrame:
    """A published frame; times in seconds of one monotonic clock, `received_at` None while no result came."""

    number: int
    stamp_ns: int
    frame_id: str
    sent_at: float
    received_at: float | None = None
    given_up: bool = False


@dataclass
class ReplayBook:
    """Pairs results with frames and counts what went wrong.

    late: results after their frame was given up.  repeated: further results of a frame that had one.  foreign: results
    whose stamp no frame carried.
    """

    frames: list[SentFrame] = field(default_factory=list)
    late: int = 0
    repeated: int = 0
    foreign: int = 0
    order_kept: bool = True
    frame_ids_equal: bool = True
    _waiting: dict[int, deque[SentFrame]] = field(default_factory=lambda: defaultdict(deque))
    _answered: set[int] = field(default_factory=set)
    _last_number: int = -1

    def sent(self, stamp_ns: int, frame_id: str, now: float) -> SentFrame:
        """Enter a frame that is about to be published."""
        frame = SentFrame(len(self.frames), stamp_ns, frame_id, now)
        self.frames.append(frame)
        self._waiting[stamp_ns].append(frame)
        return frame

    def received(self, stamp_ns: int, frame_id: str, now: float) -> None:
        """Enter a result; frames sharing one stamp are answered in the order they were sent."""
        waiting = self._waiting.get(stamp_ns)
        if not waiting:
            if stamp_ns in self._answered:
                self.repeated += 1
            else:
                self.foreign += 1
            return
        frame = waiting.popleft()
        if not waiting:
            del self._waiting[stamp_ns]
        self._answered.add(stamp_ns)
        frame.received_at = now
        self.late += frame.given_up
        self.order_kept &= frame.number > self._last_number
        self.frame_ids_equal &= frame_id == frame.frame_id
        self._last_number = frame.number

    def give_up(self, frame: SentFrame) -> None:
        """Note that nobody waits for this frame's result any longer; it still counts when it comes, as late."""
        frame.given_up = True

    @property
    def open_frames(self) -> int:
        """Frames without result so far."""
        return sum(len(waiting) for waiting in self._waiting.values())

    def summary(self) -> dict[str, Any]:
        """Counts and times (milliseconds from just before publishing to the result's arrival)."""
        answered = [frame for frame in self.frames if frame.received_at is not None]
        latencies = [
            1000.0 * (frame.received_at - frame.sent_at) for frame in answered if frame.received_at is not None
        ]
        ends = [frame.received_at for frame in answered if frame.received_at is not None]
        seconds = max(ends) - self.frames[0].sent_at if ends else 0.0
        return {
            "frames_sent": len(self.frames),
            "results_received": len(answered),
            "lost": len(self.frames) - len(answered),
            "timeouts": sum(frame.given_up for frame in self.frames),
            "late": self.late,
            "repeated": self.repeated,
            "foreign": self.foreign,
            "order_kept": self.order_kept,
            "headers_equal": self.frame_ids_equal and not self.foreign,
            "seconds": round(seconds, 3),
            "frames_per_second": round(len(answered) / seconds, 2) if seconds > 0 else 0.0,
            "latency_milliseconds": quantiles(latencies),
            "latency_milliseconds_values": [round(value, 3) for value in latencies],
        }


def quantiles(values: list[float]) -> dict[str, float | None]:
    """Median, 95th percentile and maximum, None where there are no values."""
    if not values:
        return {"median": None, "p95": None, "max": None}
    median, high, top = np.percentile(values, [50, 95, 100])
    return {"median": round(float(median), 3), "p95": round(float(high), 3), "max": round(float(top), 3)}
