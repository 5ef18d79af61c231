# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""A language model as resolver: what servers answer, how they misbehave, and that the others' answer stands then."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from fake_llm import chat, drip, http, server

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.vocabulary import COCO
from tasktp_ros.tasks.words.answer import Match
from tasktp_ros.tasks.words.build import build_chain, shipped_rules
from tasktp_ros.tasks.words.endpoint import MOST_BYTES, check_url
from tasktp_ros.tasks.words.llm import LanguageModelResolver
from tasktp_ros.tasks.words.reading import read

TEXT = "extinguish the fire"
ANSWER = {"categories": [{"name": "bottle", "confidence": 0.8, "reason": "holds water"}], "everything": False}


def ask(url: str, seconds: float = 5.0) -> list[Match]:
    return LanguageModelResolver(url, COCO, seconds=seconds).resolve(read(TEXT), (0, 1, 2))


def test_the_answer_is_taken_with_its_reasons_and_kept() -> None:
    with server(lambda request: chat(ANSWER)) as (url, requests):
        resolver = LanguageModelResolver(url, COCO, "some-model", key="secret")
        for _ in range(3):
            found = resolver.resolve(read(TEXT), ())
    assert found == [Match((0, 3), {"bottle": 0.8}, "bottle: holds water", "llm")]
    assert len(requests) == 1 and requests[0]["model"] == "some-model"
    schema = requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["categories"]["items"]["properties"]["name"]["enum"] == list(COCO)


def test_a_server_that_knows_another_field_is_asked_by_that() -> None:
    """As llama.cpp did: it refused response_format and took json_schema."""

    def answer(request: dict[str, Any]) -> bytes:
        return chat(ANSWER) if "json_schema" in request else http("only json_schema or grammar", "400 Bad Request")

    with server(answer) as (url, requests):
        resolver = LanguageModelResolver(url, COCO)
        assert resolver.resolve(read(TEXT), ())
        assert resolver.resolve(read("put out the fire"), ())
    assert len(requests) == 3, "the second sentence goes the way that was found"


@pytest.mark.parametrize(
    "content",
    [
        "Sure! Here it is:\n```json\n" + json.dumps(ANSWER) + "\n```",
        "<think>{not this}</think>" + json.dumps(ANSWER),
        {"categories": ["unicorn", "Bottle"]},
        {"categories": [{"name": "bottle", "confidence": "very"}, {"name": None}, 7, {"name": "bottle"}]},
        {"categories": [{"name": "bottle", "confidence": 1e999, "reason": None}]},
    ],
)
def test_what_can_be_made_of_an_untidy_answer_is(content: Any) -> None:
    with server(lambda request: chat(content)) as (url, _):
        (found,) = ask(url)
    assert list(found.categories or ()) == ["bottle"] and 0 <= (found.categories or {})["bottle"] <= 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda _: chat("I would look for a bottle."), "did not answer JSON"),
        (lambda _: chat(json.dumps(ANSWER)[:40]), "did not answer JSON"),
        (lambda _: chat('{"categories": ' + "[" * 50_000), "did not answer JSON"),
        (lambda _: chat({"categories": ["unicorn", "dragon"]}), "names no category of the vocabulary"),
        (lambda _: chat({"categories": "bottle"}), "no list `categories`"),
        (lambda _: chat([]), "did not answer JSON"),
        (lambda _: http("{}"), "no choices"),
        (lambda _: http("<html>"), "did not answer JSON"),
        (lambda _: http(b"x" * 10_000_000), f"more than {MOST_BYTES >> 20} MB"),
        (lambda _: http("", "302 Found", "Location: http://example.org/"), "answered 302"),
        (lambda _: http("out of memory", "500 Oops"), "answered 500 Oops: out of memory"),
        (lambda _: http("no", "400 Bad Request"), "answered 400"),
        (lambda _: http("who are you", "401 Unauthorized"), "answered 401"),
        (lambda _: b"", "no answer from"),
        (lambda _: b"\x00\xff not HTTP\r\n\r\n", "no answer from"),
        (lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", "broke off"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(answer: Callable[[Any], bytes], sentence: str) -> None:
    with server(answer) as (url, _), pytest.raises(TaskError, match=sentence) as error:
        ask(url)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("answer", [lambda _: drip(), lambda _: (time.sleep(5), b"")[1]])
def test_a_server_that_drips_or_hangs_is_cut_off_in_time(answer: Callable[[Any], Any]) -> None:
    started = time.monotonic()
    with server(answer) as (url, _), pytest.raises(TaskError, match=r"in 0\.3 s"):
        ask(url, seconds=0.3)
    assert time.monotonic() - started < 3


def test_nobody_there_is_said() -> None:
    with pytest.raises(TaskError, match=r"no answer from 127.0.0.1:9: .*refused"):
        ask("http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://a/v1", "http://", "http://a b/", "http://a:99999/", "\N{HOT BEVERAGE}"]
)
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(TaskError, match="is no address of a language model"):
        check_url(url)


def test_the_chain_asks_it_only_for_what_the_others_leave_open() -> None:
    rules = shipped_rules(COCO)
    with server(lambda request: chat(ANSWER)) as (url, requests):
        chain = build_chain(rules, encoder="none", llm=url)
        assert chain.understand("bring a cup", slow=True).resolver == "name"
        assert not requests
        assert not chain.understand(TEXT).found, "not asked without being told to"
        said = chain.understand(TEXT, slow=True)
        assert (said.ranked, said.resolver, said.complete) == ({"bottle": 0.8}, "llm", True)
        both = chain.understand("bring a cup and extinguish the fire", slow=True)
    assert both.ranked == {"cup": 1.0, "bottle": 0.8} and both.resolver == "llm + name"
