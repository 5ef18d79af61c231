# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A resolver by a language model behind any server with OpenAI's interface: llama.cpp, vLLM, Ollama, or one for hire.

The answer's JSON schema lists the vocabulary, so a server that keeps to it cannot invent names; what one answers that does not is
checked here all the same.
"""

import json
import re
import threading
from collections import OrderedDict
from typing import Any

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.words.answer import Match
from tasktp_ros.tasks.words.endpoint import Refused, check_url, post
from tasktp_ros.tasks.words.reading import Reading

MOST_KEPT = 256
LONGEST_REASON = 200
USUAL_CONFIDENCE = 0.7
PROMPT = (
    "A robot has to do what its user says. Its camera can recognise only these categories: {names}. List those it has to see for "
    "the task: what is named or meant, or would usually be used for it, and never what the user excludes. Give each a confidence "
    "between 0 and 1 and a reason of a few words. Set everything to true if it shall look for all categories, and list none if none "
    "of them helps. Answer JSON of the form "
    '{{"categories": [{{"name": ..., "confidence": ..., "reason": ...}}], "everything": false}}.'
)


class LanguageModelResolver:
    """Asks a language model about the whole sentence; the last 256 answers are kept. Safe to use from several threads.

    Args:
        url: of the server's interface, such as http://localhost:8080/v1.
        model: the name the server knows the model by; may be empty where it serves one.
        seconds: most for one sentence, all tries together within twice that.
        key: for servers that ask for one.

    Raises:
        TaskError: an address that cannot be.
    """

    name, slow, whole = "llm", True, True

    def __init__(
        self, url: str, vocabulary: tuple[str, ...], model: str = "", seconds: float = 10.0, key: str = ""
    ) -> None:
        self._url = f"{check_url(url)}/chat/completions"
        self._vocabulary = vocabulary
        self._model = model
        self._seconds = seconds
        self._key = key
        self._kept: OrderedDict[str, list[Match]] = OrderedDict()
        self._lock = threading.Lock()
        self._dialect = 0

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        """See `Resolver`; raises TaskError when the server gives no answer that can be used."""
        if not reading.text.strip():
            return []
        with self._lock:
            kept = self._kept.get(reading.text)
        if kept is None:
            kept = self._answer(self._ask(reading.text), (0, len(reading.words)))
            with self._lock:
                self._kept[reading.text] = kept
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
        return kept

    def _ask(self, text: str) -> Any:
        """The model's answer; a server that does not understand one way to ask for JSON is asked in the next."""
        schema = answer_schema(self._vocabulary)
        dialects: list[dict[str, Any]] = [
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "categories", "strict": True, "schema": schema},
                }
            },
            {"json_schema": schema},
            {"response_format": {"type": "json_object"}},
            {},
        ]
        asked = {
            "messages": [
                {"role": "system", "content": PROMPT.format(names=", ".join(self._vocabulary))},
                {"role": "user", "content": text},
            ],
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

    def _answer(self, answer: Any, span: tuple[int, int]) -> list[Match]:
        """Matches of an answer; what it says beyond the vocabulary is left out."""
        listed = answer.get("categories") if isinstance(answer, dict) else None
        if not isinstance(listed, list) or not isinstance(answer.get("everything", False), bool):
            raise TaskError("the language model's answer has no list `categories`")
        if answer.get("everything"):
            return [Match(span, None, "everything", self.name)]
        known = {name.casefold(): name for name in self._vocabulary}
        ranked: dict[str, float] = {}
        reasons: list[str] = []
        for entry in listed:
            entry = {"name": entry} if isinstance(entry, str) else entry
            name = known.get(str(entry.get("name")).casefold()) if isinstance(entry, dict) else None
            if name is None or name in ranked:
                continue
            ranked[name] = _share(entry.get("confidence"))
            reasons.append(
                f"{name}: {' '.join(str(entry.get('reason') or 'no reason given').split())[:LONGEST_REASON]}"
            )
        if not ranked and listed:
            raise TaskError("the language model's answer names no category of the vocabulary")
        return [Match(span, ranked, ", ".join(reasons), self.name)] if ranked else []


def answer_schema(vocabulary: tuple[str, ...]) -> dict[str, Any]:
    """JSON schema of an answer; names can be none but the vocabulary's."""
    entry = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": list(vocabulary)},
            "confidence": {"type": "number"},
            "reason": {"type": "string"},
        },
        "required": ["name", "confidence", "reason"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"categories": {"type": "array", "items": entry}, "everything": {"type": "boolean"}},
        "required": ["categories", "everything"],
        "additionalProperties": False,
    }


def _json_in(content: Any) -> Any:
    """The JSON that a model wrote, perhaps within ```fences or after its thoughts."""
    text = re.sub(r"^.*</think>", "", content, flags=re.DOTALL) if isinstance(content, str) else ""
    start, end = text.find("{"), text.rfind("}")
    try:
        return json.loads(text[start : end + 1])
    except (ValueError, RecursionError) as error:
        raise TaskError("the language model did not answer JSON") from error


def _share(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return USUAL_CONFIDENCE
    return round(min(max(number, 0.0), 1.0), 3) if number == number else USUAL_CONFIDENCE
