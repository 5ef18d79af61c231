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

from typing import Any

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.words.answer import Match
from tasktp_ros.tasks.words.model_server import LastAnswers, ModelServer
from tasktp_ros.tasks.words.reading import Reading

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
        self._server = ModelServer(url, model, seconds, key)
        self._vocabulary = vocabulary
        self._kept: LastAnswers[list[Match]] = LastAnswers()

    def resolve(self, reading: Reading, open_words: tuple[int, ...]) -> list[Match]:
        """See `Resolver`; raises TaskError when the server gives no answer that can be used."""
        if not reading.text.strip():
            return []
        kept = self._kept.get(reading.text)
        if kept is None:
            prompt = PROMPT.format(names=", ".join(self._vocabulary))
            answer = self._server.ask(prompt, reading.text, "categories", answer_schema(self._vocabulary))
            kept = self._answer(answer, (0, len(reading.words)))
            self._kept.put(reading.text, kept)
        return kept

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


def _share(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return USUAL_CONFIDENCE
    return round(min(max(number, 0.0), 1.0), 3) if number == number else USUAL_CONFIDENCE
