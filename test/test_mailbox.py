# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Only the newest frame of each camera waits, and no camera starves another."""

import threading

from tasktp_ros.nodes.perception.mailbox import Mailbox
from tasktp_ros.nodes.perception.worker import Worker


def test_a_newer_frame_replaces_the_one_that_waits_and_is_counted() -> None:
    mailbox: Mailbox[int] = Mailbox(["front"])
    assert [mailbox.put("front", number) for number in (1, 2, 3)] == [False, True, True]
    assert mailbox.take(0) == 3
    assert mailbox.take(0) is None
    assert mailbox.dropped("front") == 2


def test_cameras_are_served_in_turn_however_fast_one_of_them_is() -> None:
    mailbox: Mailbox[str] = Mailbox(["front", "left", "right"])
    mailbox.put("left", "left")
    mailbox.put("right", "right")
    served = []
    for _ in range(6):
        mailbox.put("front", "front")
        item = mailbox.take(0)
        assert item is not None
        served.append(item)
        if item != "front":
            mailbox.put(item, item)
    assert served == ["front", "left", "right", "front", "left", "right"]


def test_closing_wakes_who_waits_and_forgets_what_waits() -> None:
    mailbox: Mailbox[int] = Mailbox(["front"])
    taken: list[int | None] = []
    waiting = threading.Thread(target=lambda: taken.append(mailbox.take()))
    waiting.start()
    mailbox.close()
    waiting.join(10)
    assert taken == [None]
    mailbox.put("front", 1)
    assert mailbox.take(0) is None and mailbox.dropped("front") == 0


def test_a_discarded_frame_is_not_a_dropped_one() -> None:
    mailbox: Mailbox[int] = Mailbox(["front"])
    mailbox.put("front", 1)
    mailbox.discard("front")
    assert mailbox.take(0) is None and mailbox.dropped("front") == 0


def test_a_worker_survives_items_that_raise() -> None:
    mailbox: Mailbox[int] = Mailbox(["a", "b"])
    done, failed, finished = [], [], threading.Event()

    def process(item: int) -> None:
        if item == 13:
            raise RuntimeError("bad luck")
        done.append(item)
        finished.set()

    worker = Worker("worker", mailbox, process, lambda item, error: failed.append((item, str(error))))
    mailbox.put("a", 13)
    mailbox.put("b", 1)
    worker.start()
    assert finished.wait(10)
    assert worker.stop(10)
    assert (done, failed) == ([1], [(13, "bad luck")])


def test_a_worker_that_never_started_can_be_stopped() -> None:
    assert Worker("worker", Mailbox(["a"]), lambda item: None, lambda item, error: None).stop(0)
