# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""One request to a server of language models, and whatever it may answer, in bounded time and memory."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from tasktp_ros.errors import TaskError

MOST_BYTES = 1 << 20


class Refused(TaskError):
    """The server understood something else; `status` is what it said in HTTP's numbers."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


def check_url(url: str) -> str:
    """The address without a slash at its end; raises TaskError for one that cannot be."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known or any(letter.isspace() for letter in url):
        raise TaskError(
            f"{url[:80]!r} is no address of a language model: expected one such as http://localhost:8080/v1"
        )
    return url.rstrip("/")


def post(url: str, content: dict[str, Any], key: str, seconds: float) -> Any:
    """Send JSON and return the JSON of the answer.

    Args:
        url: whole address, http or https; redirections are not followed, since they may lead out of the house.
        key: sent as bearer token, if not empty.
        seconds: from the first packet to the last; a server that drips is cut off.

    Raises:
        Refused: an answer other than 200.
        TaskError: no connection, no answer in time, more than 1 MB, or no JSON.
    """
    parts = urlsplit(url)
    deadline = time.monotonic() + seconds
    kind: Any = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    options = {"context": ssl.create_default_context()} if parts.scheme == "https" else {}
    connection = kind(parts.hostname, parts.port, timeout=seconds, **options)
    late = threading.Event()
    alarm = threading.Timer(seconds, _cut, (connection, late))
    alarm.daemon = True
    alarm.start()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        connection.request("POST", parts.path or "/", json.dumps(content).encode(), headers)
        answer = connection.getresponse()
        body = answer.read(MOST_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set() or isinstance(error, TimeoutError) or time.monotonic() >= deadline:
            raise TaskError(f"{parts.netloc} gave no answer in {seconds:g} s") from error
        raise TaskError(
            f"no answer from {parts.netloc}: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    finally:
        alarm.cancel()
        connection.close()
    if late.is_set():
        raise TaskError(f"{parts.netloc} gave no whole answer in {seconds:g} s")
    if len(body) > MOST_BYTES:
        raise TaskError(f"{parts.netloc} answered more than {MOST_BYTES >> 20} MB")
    if answer.length:
        raise TaskError(f"{parts.netloc} broke off within its answer")
    if answer.status != 200:
        said = " ".join(body[:200].decode("utf-8", "replace").split())
        raise Refused(f"{parts.netloc} answered {answer.status} {answer.reason[:40]}: {said}", answer.status)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise TaskError(f"{parts.netloc} did not answer JSON") from error


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
