# Copyright 2026 tasktp_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
# an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
# specific language governing permissions and limitations under the License.

"""Task goals become categories: words, priorities, ends, and what a confused or hostile sender may send."""

from pathlib import Path

import pytest

from tasktp_ros.errors import TaskError
from tasktp_ros.tasks.goals import GoalBook
from tasktp_ros.tasks.rules import GoalRules
from tasktp_ros.tasks.vocabulary import COCO

SHIPPED_RULES = Path(__file__).parent.parent / "config" / "tasks.yaml"


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def rules() -> GoalRules:
    return GoalRules.from_yaml(SHIPPED_RULES, COCO)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(rules: GoalRules, clock: Clock) -> GoalBook:
    return GoalBook(rules, clock)


def names(book: GoalBook) -> list[str] | None:
    categories = book.active().categories
    return None if categories is None else list(categories)


def test_the_shipped_rules_fit_the_coco_vocabulary_completely(rules: GoalRules) -> None:
    assert rules.problems == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fetch a cup", ["cup"]),
        ("Fetch me two CUPS, please!", ["cup"]),
        ("where are the knives and the wine glasses?", ["wine glass", "knife"]),
        ("eat a hot dog", ["hot dog"]),
        ("bring the teddy-bear", ["teddy bear"]),
        ("look for mice", ["mouse"]),
        ("are there people in the room", ["person"]),
        ("two buses and a couch", ["bus", "couch"]),
        ("I am thirsty", ["bottle", "wine glass", "cup"]),
        ("set the table", ["wine glass", "cup", "fork", "knife", "spoon", "bowl", "chair", "dining table"]),
        ("scissor", ["scissors"]),
        ("explore the flat", None),
    ],
)
def test_words_of_a_sentence_lead_to_categories(rules: GoalRules, text: str, expected: list[str] | None) -> None:
    found = rules.resolve("goal 1", text, [])
    assert found == (None if expected is None else tuple(expected))


@pytest.mark.parametrize("text", ["scupper the cupboard", "concatenate", "carpet", "a sinking feeling"])
def test_parts_of_words_are_not_found(rules: GoalRules, text: str) -> None:
    with pytest.raises(TaskError, match="names no known task"):
        rules.resolve("goal 1", text, [])


def test_the_id_names_the_task_when_the_text_is_empty(book: GoalBook) -> None:
    book.start("fetch_fruit")
    assert names(book) == ["banana", "apple", "orange"]


def test_explicit_categories_win_over_the_text(book: GoalBook) -> None:
    book.start("g", text="fetch a cup", categories=["sink", "Book", "book", "", "cell_phone"])
    assert names(book) == ["cell phone", "sink", "book"]


def test_no_goal_means_all_categories(book: GoalBook) -> None:
    assert names(book) is None
    book.start("g", categories=["cup"])
    book.cancel("g")
    assert names(book) is None


def test_goals_of_the_highest_priority_are_united_in_vocabulary_order(book: GoalBook) -> None:
    book.start("dishes", categories=["sink"])
    book.start("drink", categories=["cup", "bottle"])
    assert names(book) == ["bottle", "cup", "sink"]
    assert book.active().task_id == "dishes+drink"
    book.start("people", categories=["person"], priority=5)
    assert names(book) == ["person"]
    assert book.active().task_id == "people"
    book.cancel("people")
    assert names(book) == ["bottle", "cup", "sink"]


def test_a_goal_for_everything_united_with_another_is_everything(book: GoalBook) -> None:
    book.start("a", categories=["cup"])
    book.start("b", text="patrol")
    assert names(book) is None


def test_a_goal_ends_when_its_time_is_over(book: GoalBook, clock: Clock) -> None:
    book.start("short", categories=["cup"], time_to_live=2.0)
    book.start("long", categories=["sink"])
    clock.now += 1.9
    assert book.expire() == () and names(book) == ["cup", "sink"]
    clock.now += 0.2
    assert [goal.goal_id for goal in book.expire()] == ["short"]
    assert names(book) == ["sink"]


def test_a_clock_set_back_cannot_keep_a_timed_goal_alive_for_ever(book: GoalBook, clock: Clock) -> None:
    book.start("short", categories=["cup"], time_to_live=2.0)
    book.start("until cancelled", categories=["sink"])
    clock.now -= 500.0
    assert [goal.goal_id for goal in book.expire()] == ["short"]
    assert names(book) == ["sink"]


def test_starting_a_running_goal_again_replaces_it(book: GoalBook, clock: Clock) -> None:
    book.start("g", categories=["cup"], time_to_live=2.0)
    clock.now += 1.5
    book.start("g", categories=["sink"], time_to_live=2.0)
    clock.now += 1.5
    assert book.expire() == ()
    assert names(book) == ["sink"] and len(book) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"goal_id": "juggle"}, "names no known task"),
        ({"goal_id": ""}, "names no known task"),
        ({"goal_id": "g", "categories": ["cup", "unicorn"]}, "does not have: 'unicorn'"),
        ({"goal_id": "g", "categories": ["", "  "]}, "only empty category names"),
        ({"goal_id": "g", "categories": ["?"]}, r"does not have: '\?'"),
        ({"goal_id": "g", "categories": ["cup"], "time_to_live": -1.0}, "time to live of -1"),
        ({"goal_id": "g" * 1000, "categories": ["cup"]}, "1000 characters is too long"),
        ({"goal_id": "g", "categories": ["cup"] * 20_000}, "lists 20000 categories"),
    ],
)
def test_a_goal_that_is_not_understood_changes_nothing(book: GoalBook, arguments: dict, sentence: str) -> None:
    book.start("before", categories=["book"])
    with pytest.raises(TaskError, match=sentence):
        book.start(**arguments)
    assert names(book) == ["book"] and len(book) == 1


def test_an_unknown_restart_keeps_the_running_goal(book: GoalBook) -> None:
    book.start("g", categories=["cup"])
    with pytest.raises(TaskError):
        book.start("g", categories=["unicorn"])
    assert names(book) == ["cup"]


def test_cancelling_what_does_not_run_is_reported(book: GoalBook) -> None:
    with pytest.raises(TaskError, match="no goal of this id"):
        book.cancel("nobody")


def test_a_full_book_rejects_the_next_goal_and_accepts_it_after_a_cancel(rules: GoalRules, clock: Clock) -> None:
    book = GoalBook(rules, clock, capacity=2)
    book.start("a", categories=["cup"])
    book.start("b", categories=["sink"])
    with pytest.raises(TaskError, match="2 goals are running already"):
        book.start("c", categories=["book"])
    book.start("a", categories=["person"])
    book.cancel("b")
    book.start("c", categories=["book"])
    assert names(book) == ["person", "book"]


def test_a_goal_with_a_megabyte_of_text_costs_no_more_than_its_beginning(book: GoalBook) -> None:
    flood = "please " * 150_000
    with pytest.raises(TaskError) as rejected:
        book.start("flood", text=flood + "cup")
    assert len(str(rejected.value)) < 300
    book.start("flood", text="a cup " + flood)
    assert names(book) == ["cup"]


def test_thousands_of_goals_are_bounded(book: GoalBook) -> None:
    for number in range(5000):
        try:
            book.start(f"goal {number}", text="fetch a cup and a bottle", priority=number % 7)
        except TaskError:
            continue
        book.active()
    assert len(book) == 256
    assert names(book) == ["bottle", "cup"]
    assert book.active().task_id.endswith("more") and len(book.active().task_id) < 100


def test_rules_for_things_the_vocabulary_lacks_are_named_and_left_out() -> None:
    rules = GoalRules({"t": {"categories": ["cup", "unicorn"]}, "u": {"categories": ["dragon"]}}, ["cup"])
    assert rules.problems == ("task 't': the vocabulary has no 'unicorn'", "task 'u': the vocabulary has no 'dragon'")
    assert rules.resolve("t", "", []) == ("cup",)
    with pytest.raises(TaskError):
        rules.resolve("u", "", [])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("tasks: [", "not valid YAML"),
        ("", "no table `tasks`"),
        ("tasks: 3", "no table `tasks`"),
        ("tasks: {fetch: cup}", "must be a table"),
        ("tasks: {fetch: {words: [a]}}", "must be a table"),
        ("tasks: {fetch: {categories: []}}", "must be `all` or a list"),
        ("tasks: {fetch: {categories: [1]}}", "must be `all` or a list"),
        ("tasks: {fetch: {categories: all, words: drink}}", "must be a list of words"),
        ("tasks: {1: {categories: all}}", "is not a name"),
    ],
)
def test_a_broken_rules_file_is_one_clear_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "tasks.yaml"
    path.write_text(content)
    with pytest.raises(TaskError, match=sentence) as error:
        GoalRules.from_yaml(path, COCO)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_rules_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"cannot read the task rules .*none\.yaml"):
        GoalRules.from_yaml(tmp_path / "none.yaml", COCO)
