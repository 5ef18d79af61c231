# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Goals in words: what a sentence asks for, who says so and why, and what is handed on rather than misread."""

import time

import pytest

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.rules import GoalRules
from tasktp_ros.tasks.vocabulary import COCO, ROOMS
from tasktp_ros.tasks.words.activities import ActivityResolver, read_table
from tasktp_ros.tasks.words.build import build_chain, shipped_rules
from tasktp_ros.tasks.words.chain import Chain
from tasktp_ros.tasks.words.names import NameResolver, slips
from tasktp_ros.tasks.words.nouns import Nouns
from tasktp_ros.tasks.words.reading import read


@pytest.fixture(scope="module")
def chain() -> Chain:
    return build_chain(shipped_rules(COCO), encoder="none")


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("bring me the scissors", "scissors"),
        ("find the wolves, geese and wine glasses", "bird, wine glass"),
        ("get my backpak", "backpack"),
        ("where is the tooth brush", "toothbrush"),
        ("pick up the cellphone", "cell phone"),
        ("put it into the fridge", "refrigerator"),
        ("find the armchair", "chair"),
        ("bring some fruit", "banana, apple, orange"),
        ("bring the cup but not the bottle", "cup"),
        ("fetch fruit but no bananas", "apple, orange"),
        ("don't forget the umbrella", "umbrella"),
        ("I can't find my laptop", "laptop"),
        ("find a seat, not a couch", "bench, chair"),
        ("get the cup from the kitchen", "cup"),
        ("two cups and three spoons", "cup, spoon"),
        ("a cup or else a bowl", "cup, bowl"),
        ("use the remote control", "remote"),
        ("clear the table", "bottle, wine glass, cup, fork, knife, spoon, bowl, dining table"),
    ],
)
def test_a_sentence_leads_to_categories(chain: Chain, sentence: str, names: str) -> None:
    assert chain.resolve("g", sentence, []) == tuple(names.split(", "))


def test_a_kitchen_counts_where_the_sentence_names_nothing_else(chain: Chain) -> None:
    assert "sink" in (chain.resolve("g", "go to the kitchen", []) or ())


def test_everything_but_something_is_the_vocabulary_without_it(chain: Chain) -> None:
    assert chain.resolve("g", "find everything except people", []) == COCO[1:]
    assert chain.resolve("g", "find everything", []) is None


@pytest.mark.parametrize(
    "sentence",
    [
        "find my car keys",
        "bring the bottle opener",
        "sharpen my pencil",
        "not the cup",
        "\N{HOT BEVERAGE}",
        "杯を持ってきて",
        "",
        "?!",
    ],
)
def test_what_is_not_known_is_not_guessed(chain: Chain, sentence: str) -> None:
    with pytest.raises(TaskError, match="names no known task"):
        chain.resolve("", sentence, [])


def test_what_only_excludes_is_refused_with_the_reason(chain: Chain) -> None:
    with pytest.raises(TaskError, match=r"only says what is not wanted: .*cup"):
        chain.resolve("g", "do not touch the cup", [])


def test_each_answer_says_who_why_and_how_sure(chain: Chain) -> None:
    said = chain.understand("bring the sofa, a cup and the stapler")
    assert said.ranked == {"cup": 1.0, "couch": 0.9}
    assert said.resolver == "wordnet + name"
    assert said.reason == "'sofa': means couch; 'cup': a name of the vocabulary; nobody knows 'stapler'"
    assert said.unread == ("stapler",) and not said.complete


def test_an_unclear_exclusion_is_a_doubt_and_not_silent(chain: Chain) -> None:
    said = chain.understand("bring fruit, no apples, oranges")
    assert said.doubts == ("unsure whether 'oranges' is wanted",) and not said.complete


def test_counts_and_alternatives_are_read() -> None:
    assert read("two cups or a pair of scissors").alternatives
    assert {
        read("bring 3 cups").words[index].text: number for index, number in read("bring 3 cups").counts.items()
    } == {"cups": 3}


def test_activities_answer_what_similar_ones_take() -> None:
    rules = GoalRules({}, COCO)
    chain = Chain(
        rules, [ActivityResolver(COCO, [("packing lunch box", ("apple", "sandwich")), ("wash car", ("car",))])]
    )
    said = chain.understand("pack my lunch boxes")
    assert list(said.ranked) == ["sandwich", "apple"] or list(said.ranked) == ["apple", "sandwich"]
    assert "like the activity 'packing lunch box'" in said.reason
    assert not chain.understand("wash the windows").found, "one word in common is no likeness"


def test_held_out_activities_are_not_in_the_table() -> None:
    table, held = read_table("table"), read_table("held")
    assert len(held) == 100 and len(table) + len(held) == len(read_table())
    assert not {title for title, _ in table} & {title for title, _ in held}


def test_other_vocabularies_get_only_their_own_names() -> None:
    chain = build_chain(shipped_rules(ROOMS), encoder="none")
    for sentence in ("set the table", "bring fruit and the sofa", "find furniture", "clearing table after breakfast"):
        try:
            found = chain.resolve("g", sentence, [])
        except TaskError:
            continue
        assert set(found or ()) <= set(ROOMS)
    own = build_chain(GoalRules({"look": {"categories": "all"}}, ["forklift", "pallet jack"]), encoder="none")
    assert own.resolve("g", "where are the pallet jacks", []) == ("pallet jack",)


def test_slips_are_counted() -> None:
    assert [slips("cup", other) for other in ("cup", "cupp", "cp", "cap", "ucp", "chair")] == [0, 1, 1, 1, 1, 4]


def test_a_word_that_exists_is_no_typo(chain: Chain) -> None:
    resolver = NameResolver(chain.rules)
    assert resolver.resolve(read("bring the boot and a coach"), tuple(range(6))) == []


def test_wordnet_knows_what_each_name_of_coco_means() -> None:
    nouns = Nouns.shipped()
    assert all(nouns.meanings(name) for name in COCO)
    assert nouns.find("cup.n.77") is None and nouns.senses("xyzzy") == ()


@pytest.mark.parametrize(
    "text", ["please " * 150_000, "not " * 250_000, "cup " * 250_000, "a" * 1_000_000, "\N{HOT BEVERAGE}" * 250_000]
)
def test_a_megabyte_costs_no_more_than_its_beginning(chain: Chain, text: str) -> None:
    started = time.perf_counter()
    chain.understand(text)
    assert time.perf_counter() - started < 3
