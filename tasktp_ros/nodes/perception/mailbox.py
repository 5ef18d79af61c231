# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""The newest item of each sender: one slot each, so that a slow consumer sees the present and not a queue of the past.

The executor thread puts and returns at once; the worker thread takes. An item that is overwritten before it was taken
counts as dropped, because a robot builder must be able to see that the detector is too slow for the camera.
"""

import threading
from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """One slot per sender, emptied fairly: after a sender was served, all others come before it.

    Args:
        senders: names of the slots.
    """

    def __init__(self, senders: Sequence[str]) -> None:
        self._slots: dict[str, Item] = {}
        self._order = list(senders)
        self._dropped = dict.fromkeys(senders, 0)
        self._changed = threading.Condition()
        self._closed = False

    def put(self, sender: str, item: Item) -> bool:
        """Leave an item, replacing an untaken one; return whether one was replaced. A closed mailbox takes nothing."""
        with self._changed:
            if self._closed:
                return False
            replaced = sender in self._slots
            self._dropped[sender] += replaced
            self._slots[sender] = item
            self._changed.notify()
        return replaced

    def take(self, timeout: float | None = None) -> Item | None:
        """Wait for an item and return it; None when the mailbox was closed or `timeout` seconds have passed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._slots, timeout) or self._closed:
                return None
            sender = next(name for name in self._order if name in self._slots)
            self._order.remove(sender)
            self._order.append(sender)
            return self._slots.pop(sender)

    def discard(self, sender: str) -> None:
        """Forget the untaken item of a sender without counting it as dropped."""
        with self._changed:
            self._slots.pop(sender, None)

    def close(self) -> None:
        """Forget all items and let every waiting and later `take` return None."""
        with self._changed:
            self._closed = True
            self._slots.clear()
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the mailbox was closed."""
        return self._closed

    def dropped(self, sender: str) -> int:
        """Return how many items of a sender were replaced before they were taken."""
        return self._dropped[sender]
