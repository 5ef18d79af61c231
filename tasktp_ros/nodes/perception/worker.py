# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A thread that serves a mailbox or handover and survives whatever one item does to it."""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Served = TypeVar("Served", covariant=True)


class Inbox(Protocol[Served]):
    """Where items come from: a Mailbox or a Handover."""

    def take(self, timeout: float | None = None) -> Served | None:
        """Wait for an item; None when it was closed or the time has passed."""

    def close(self) -> None:
        """Let every waiting and later `take` return None."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""


class Worker(Generic[Item]):
    """Calls `process` for each item of an inbox, on one thread, until stopped.

    Args:
        name: the thread's name, seen in debuggers.
        inbox: closed by :meth:`stop`.
        process: handles one item.
        failed: told about each item whose processing raised; the next item is processed as if nothing had happened.
    """

    def __init__(
        self,
        name: str,
        inbox: Inbox[Item],
        process: Callable[[Item], None],
        failed: Callable[[Item, Exception], None],
    ) -> None:
        self._inbox = inbox
        self._process = process
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Close the inbox and wait for the item in work; return whether the thread has ended in `timeout` seconds."""
        self._inbox.close()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._inbox.closed:
            item = self._inbox.take()
            if item is None:
                continue
            try:
                self._process(item)
            except Exception as error:
                self._failed(item, error)
            del item
