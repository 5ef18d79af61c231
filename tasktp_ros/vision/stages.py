# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Names the stages of a forward pass, so that time and GFLOPs can be attributed without the network knowing who asks.

The network marks its stages with ``with stage("pyramid"):``. Without a recorder this costs about a microsecond; a
recorder (timers, CUDA events, a FLOP counter) is installed for the current thread by :func:`recording`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

STAGES = (
    "preprocess",
    "stem",
    "spatial_prior",
    "injector",
    "gates",
    "blocks",
    "extractor",
    "pyramid",
    "proposals",
    "box_head",
    "mask_head",
    "postprocess",
)
"""All stages in the order a frame meets them (injector to extractor four times)."""


class Recorder(Protocol):
    """Receives the begin and end of every stage; stages never nest."""

    def begin(self, name: str) -> None:
        """Called before the first operation of a stage."""

    def end(self, name: str) -> None:
        """Called after the last operation of a stage was issued."""


_recorder: ContextVar[Recorder | None] = ContextVar("stage_recorder", default=None)


class stage:
    """Context manager that marks the enclosed operations as one stage."""

    __slots__ = ("_active", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._active: Recorder | None = None

    def __enter__(self) -> None:
        self._active = _recorder.get()
        if self._active is not None:
            self._active.begin(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active is not None:
            self._active.end(self._name)


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Send the stages of the enclosed forward passes of this thread to `recorder`."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)
