# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What repeats is said once and counted, and what does not repeat has a limit, too."""

import pytest

pytest.importorskip("rclpy", reason="the nodes need ROS 2")

from tasktp_ros.nodes.complaints import LONGEST, MOST_KINDS, PERIOD, Complaints


class Log:
    """Complaints with a clock that is set by hand, and what they have written."""

    def __init__(self) -> None:
        self.time = 0.0
        self.lines: list[str] = []
        self.complaints = Complaints(self.lines.append, lambda: self.time)


def test_a_sentence_that_differs_in_numbers_only_is_written_once_and_later_with_a_count() -> None:
    log = Log()
    for number in range(5000):
        log.complaints.say(f"frame {number} is truncated", "details")
    assert log.lines == ["frame 0 is truncated\ndetails"]
    log.time = PERIOD + 1
    log.complaints.say("frame 6000 is truncated")
    assert log.lines[1:] == ["frame 6000 is truncated (4999 more like it before)"]


def test_a_flood_of_different_sentences_is_bounded_and_counted() -> None:
    log = Log()
    for number in range(1000):
        log.complaints.say("encoding " + "x" * number)
    assert len(log.lines) == MOST_KINDS and max(map(len, log.lines)) < LONGEST + 100
    log.time = PERIOD + 1
    log.complaints.say("something else")
    assert log.lines[-1] == f"something else ({1000 - MOST_KINDS} other complaints left out)"


def test_a_sentence_as_long_as_a_message_may_hold_is_cut() -> None:
    log = Log()
    log.complaints.say("y" * 1_000_000)
    assert len(log.lines[0]) == LONGEST + 3
