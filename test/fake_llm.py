# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A server of language models that answers what a test wants, or misbehaves."""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Answer = Callable[[dict[str, Any]], bytes | Iterator[bytes]]


def http(body: bytes | str, status: str = "200 OK", *headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def chat(content: Any) -> bytes:
    """A model's answer in OpenAI's form."""
    text = content if isinstance(content, str) else json.dumps(content)
    return http(json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}))


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its address, and the requests it has got so far; `answer` makes the bytes that go back, perhaps slowly."""
    requests: list[dict[str, Any]] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while (line := self.rfile.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            requests.append(json.loads(self.rfile.read(length)))
            answered = answer(requests[-1])
            for part in [answered] if isinstance(answered, bytes) else answered:
                try:
                    self.wfile.write(part)
                    self.wfile.flush()
                except OSError:
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    running = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/v1", requests
    finally:
        running.shutdown()
        running.server_close()


def drip(seconds: float = 30.0) -> Iterator[bytes]:
    """A header that never ends."""
    yield b"HTTP/1.1 200 OK\r\nX: "
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.02)
        yield b"x"
