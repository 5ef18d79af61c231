# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.
"""Asks a language model for JSON of a given form, behind any server with OpenAI's interface."""

import json
import re
import threading
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.words.endpoint import Refused, check_url, post

MOST_KEPT = 256
Kept = TypeVar("Kept")


class ModelServer:
    """One server and model.

    Args:
        url: of the server's interface, such as http://localhost:8080/v1.
        model: the name the server knows the model by; may be empty where it serves one.
        seconds: most for one answer.
        key: for servers that ask for one.

    Raises:
        TaskError: an address that cannot be.
    """

    def __init__(self, url: str, model: str = "", seconds: float = 10.0, key: str = "") -> None:
        self._url = f"{check_url(url)}/chat/completions"
        self._model = model
        self._seconds = seconds
        self._key = key
        self._dialect = 0

    def ask(self, prompt: str, text: str, name: str, schema: dict[str, Any]) -> Any:
        """The JSON that the model answers; a server that does not understand one way to ask for it is asked in the next.

        Args:
            prompt: what the model is told to do.
            text: the user's words.
            name: of the schema.
            schema: JSON schema of the answer, which servers may ignore: look at what comes.

        Raises:
            TaskError: no answer in time, or none with JSON in it.
        """
        dialects: list[dict[str, Any]] = [
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": name, "strict": True, "schema": schema},
                }
            },
            {"json_schema": schema},
            {"response_format": {"type": "json_object"}},
            {},
        ]
        asked = {
            "messages": [{"role": "system", "content": prompt}, {"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": 1024,
            **({"model": self._model} if self._model else {}),
        }
        while True:
            try:
                answer = post(self._url, {**asked, **dialects[self._dialect]}, self._key, self._seconds)
                break
            except Refused as error:
                if error.status not in (400, 415, 422) or self._dialect + 1 == len(dialects):
                    raise
                self._dialect += 1
        try:
            content = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise TaskError("the language model's answer has no choices[0].message.content") from error
        return _json_in(content)


class LastAnswers(Generic[Kept]):
    """What the last 256 texts were answered with; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str) -> Kept | None:
        """The answer to a text, if it is still kept."""
        with self._lock:
            return self._kept.get(text)

    def put(self, text: str, answer: Kept) -> None:
        """Keep an answer, and forget the oldest beyond the number."""
        with self._lock:
            self._kept[text] = answer
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _json_in(content: Any) -> Any:
    """The JSON that a model wrote, perhaps within ```fences or after its thoughts."""
    text = re.sub(r"^.*</think>", "", content, flags=re.DOTALL) if isinstance(content, str) else ""
    start, end = text.find("{"), text.rfind("}")
    try:
        return json.loads(text[start : end + 1])
    except (ValueError, RecursionError) as error:
        raise TaskError("the language model did not answer JSON") from error
