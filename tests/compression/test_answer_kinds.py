"""What a question asks for, and whether a text has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression.answer_kinds import AnswerKind, holds_kind, wanted_kind
from rag.terms import question_terms


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many people live in Paris?", "number"),
        ("how long do refunds take", "number"),
        ("HOW MUCH is it?", "number"),
        ("What percentage is kept?", "number"),
        ("What is the rate limit?", None),  # a limit, but not "what limit"
        ("When was it released?", "date"),
        ("when did the war end", "date"),
        ("In the end, when will it open?", "date"),
        ("when the next season", "date"),
        ("In which year did it open?", "date"),
        ("Who wrote it?", "name"),
        ("whose perspective is it told from?", "name"),
        ("Where is the office?", "name"),
        ("Which country is the largest?", "name"),
        ("What is a webhook?", None),
        ("How do I configure it?", None),
        ("Is it free?", None),
        ("", None),
        ("???", None),
        ("什么时候发货？", None),
    ],
)
def test_the_wording_tells(question: str, kind: AnswerKind | None) -> None:
    assert wanted_kind(question) == kind


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What happens when the disk is full?", None),
        ("What are the size limits when uploading images?", None),
        ("When I press the button, what happens?", None),
        ("who was president when the canal was built", "name"),
        ("Where did he go when he left?", "name"),
    ],
)
def test_a_when_that_only_joins_asks_for_no_date(question: str, kind: AnswerKind | None) -> None:
    assert wanted_kind(question) == kind


@pytest.mark.parametrize("question", ["whenever", "nowhere", "whole", "somehow many", "wholesale"])
def test_a_part_of_a_word_asks_for_nothing(question: str) -> None:
    assert wanted_kind(question) is None


def holds(kind: AnswerKind, text: str, question: str = "Who is it?") -> bool:
    return holds_kind(kind, text, question_terms(question))


@pytest.mark.parametrize(
    "text", ["It takes 5 days.", "It takes five days.", "Twice a day.", "٣ أيام"]
)
def test_numbers_in_digits_and_words(text: str) -> None:
    assert holds("number", text)


@pytest.mark.parametrize("text", ["", "It takes a while.", "Someone often did.", "没有收据"])
def test_no_number(text: str) -> None:
    assert not holds("number", text)


@pytest.mark.parametrize(
    "text",
    [
        "It opened in 1987.",
        "In the 1960s.",
        "On May 5 it opened.",
        "in December",
        "on the 3rd of it",
        "at 10:30",
        "three days later",
        "2024-05-01",
        "in the 19th century",
    ],
)
def test_dates(text: str) -> None:
    assert holds("date", text)


@pytest.mark.parametrize(
    "text", ["", "It may be.", "They march on.", "It takes 5 days.", "Port 8080.", "In 12345."]
)
def test_no_date(text: str) -> None:
    assert not holds("date", text)


@pytest.mark.parametrize(
    "text",
    [
        "It was written by Jane Austen.",
        "Jane Austen wrote it.",
        "in Émilie's house",
        "and then Paris",
        "- Paris",
        "the **Bank of England** said so",
    ],
)
def test_names(text: str) -> None:
    assert holds("name", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It was written long ago.",
        "It was late. Everybody slept. Or so it seemed! Somebody knew.",
        "- The next one",
        "and what I do",
        "没有收据不能退款。",
        "`rag ask`",
    ],
)
def test_no_name(text: str) -> None:
    assert not holds("name", text)


def test_a_name_that_the_question_gives_itself_answers_nothing() -> None:
    asked = "Who is the governor of the Bank of England?"
    assert not holds("name", "there the Bank of England stands", asked)
    assert not holds("name", "and the Bank of England's doors", asked)
    assert holds("name", "at the Bank of England it was Mark Carney", asked)
    assert holds("name", "there the Bank of Japan stands", asked)


@given(st.sampled_from(["number", "date", "name"]), st.text(max_size=300))
def test_any_text_either_holds_it_or_not(kind: AnswerKind, text: str) -> None:
    assert holds_kind(kind, text, frozenset()) in (True, False)
    assert wanted_kind(text) in (None, "number", "date", "name")


@pytest.mark.parametrize("kind", ["number", "date", "name"])
@pytest.mark.parametrize("text", ["A " * 20_000, "X of " * 20_000, "1" * 50_000, "A" * 50_000])
def test_long_texts_take_no_time(kind: AnswerKind, text: str) -> None:
    holds(kind, text)
