# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""What the books of a replay must notice: lost, late, swapped, foreign and wrongly headed results."""

from tasktp_ros.nodes.player.book import ReplayBook


def book_of(*stamps: int) -> ReplayBook:
    book = ReplayBook()
    for number, stamp_ns in enumerate(stamps):
        book.sent(stamp_ns, "camera", float(number))
    return book


def test_results_in_order_under_equal_headers_are_all_well():
    book = book_of(10, 20, 30)
    for stamp_ns in (10, 20, 30):
        book.received(stamp_ns, "camera", 5.0)
    summary = book.summary()
    assert (summary["frames_sent"], summary["results_received"], summary["lost"]) == (3, 3, 0)
    assert summary["order_kept"]
    assert summary["headers_equal"]
    assert summary["latency_milliseconds"]["max"] == 5000.0


def test_swapped_results_break_the_order():
    book = book_of(10, 20)
    book.received(20, "camera", 3.0)
    book.received(10, "camera", 4.0)
    assert not book.summary()["order_kept"]
    assert book.summary()["lost"] == 0


def test_another_frame_id_or_a_stamp_nobody_sent_is_a_different_header():
    renamed, foreign = book_of(10), book_of(10)
    renamed.received(10, "map", 1.0)
    foreign.received(11, "camera", 1.0)
    assert not renamed.summary()["headers_equal"]
    assert not foreign.summary()["headers_equal"]
    assert (foreign.summary()["foreign"], foreign.summary()["lost"]) == (1, 1)


def test_a_result_after_the_wait_is_late_but_not_lost():
    book = ReplayBook()
    frame = book.sent(10, "camera", 0.0)
    book.give_up(frame)
    assert book.open_frames == 1
    book.received(10, "camera", 9.0)
    summary = book.summary()
    assert (summary["timeouts"], summary["late"], summary["lost"]) == (1, 1, 0)
    assert book.open_frames == 0


def test_a_second_result_for_one_frame_is_repeated_and_frames_of_one_stamp_are_answered_in_turn():
    book = book_of(10, 10)
    for _ in range(3):
        book.received(10, "camera", 2.0)
    summary = book.summary()
    assert (summary["results_received"], summary["repeated"], summary["order_kept"]) == (2, 1, True)


def test_without_any_result_the_numbers_say_so():
    summary = book_of(10).summary()
    assert (summary["lost"], summary["frames_per_second"]) == (1, 0.0)
    assert summary["latency_milliseconds"] == {"median": None, "p95": None, "max": None}
