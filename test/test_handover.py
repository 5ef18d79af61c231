# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""From hand to hand: in order, one at a time, and nobody waits for someone who left."""

import threading

import pytest

from tasktp_ros.nodes.perception.handover import Handover

PATIENCE = 10


def giving(handover: Handover[int], items: range, given: list[bool]) -> threading.Thread:
    thread = threading.Thread(target=lambda: [given.append(handover.give(item)) for item in items], daemon=True)
    thread.start()
    return thread


def test_items_arrive_in_order_and_none_is_given_before_the_last_is_taken() -> None:
    handover: Handover[int] = Handover()
    given: list[bool] = []
    thread = giving(handover, range(5), given)
    for number in range(5):
        assert len(given) <= number
        assert handover.take(PATIENCE) == number
    thread.join(PATIENCE)
    assert given == [True] * 5
    assert handover.take(0) is None


def test_closing_wakes_who_gives_and_who_takes() -> None:
    handover: Handover[int] = Handover()
    given: list[bool] = []
    thread = giving(handover, range(2), given)
    handover.close()
    thread.join(PATIENCE)
    assert given == [False, False] and handover.closed
    assert handover.take() is None
    empty: Handover[int] = Handover()
    taken: list[int | None] = []
    waiting = threading.Thread(target=lambda: taken.append(empty.take()), daemon=True)
    waiting.start()
    empty.close()
    waiting.join(PATIENCE)
    assert taken == [None]


@pytest.mark.parametrize("count", [1, 1000])
def test_nothing_is_lost_between_two_busy_threads(count: int) -> None:
    handover: Handover[int] = Handover()
    given: list[bool] = []
    thread = giving(handover, range(count), given)
    assert [handover.take(PATIENCE) for _ in range(count)] == list(range(count))
    thread.join(PATIENCE)
    assert all(given) and len(given) == count
