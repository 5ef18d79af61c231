# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""From the thread that makes items to the one that uses them, hand to hand.

Who makes waits until its item is taken, so never more than one waits, the order stays, and nothing is begun on that would only
grow old behind it.
"""

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handover(Generic[Item]):
    """Holds one item at most, for one thread that gives and one that takes."""

    def __init__(self) -> None:
        self._held: list[Item] = []
        self._changed = threading.Condition()
        self._closed = False

    def give(self, item: Item) -> bool:
        """Wait until the other thread has taken the item; False when it was closed before, and the item is dropped."""
        with self._changed:
            if self._closed:
                return False
            self._held.append(item)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or not self._held)
            taken = not self._held
            self._held.clear()
            return taken

    def take(self, timeout: float | None = None) -> Item | None:
        """Wait for an item and return it; None when it was closed or `timeout` seconds have passed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._held, timeout) or self._closed:
                return None
            item = self._held.pop()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Forget the item that waits and let every waiting and later call return at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed
