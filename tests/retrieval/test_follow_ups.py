"""Follow-up questions by the rules: what is put so that it stands alone, and what is left alone."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence

import pytest
from fakes import FindData

from rag.turns import Turn
from retrieval.conversations.phrases import focus_of, names_in
from retrieval.conversations.rules import rewrite
from retrieval.conversations.standing_alone import turns_of

PLAN = "What does the premium plan cover?"
REFUNDS = "How long do refunds take?"
HELM = "How do I configure remote write in Prometheus?"
TIMEOUT = "How do I set a timeout in httpx?"


def asked(question: str, before: str, names: Sequence[str] = ()) -> str:
    return rewrite(question, [Turn(before, before, tuple(names))]).text


@pytest.mark.parametrize(
    ("before", "question", "alone"),
    [
        (PLAN, "How much is it?", "How much is the premium plan?"),
        (PLAN, "Can I cancel it?", "Can I cancel the premium plan?"),
        (PLAN, "How do I cancel this plan?", "How do I cancel the premium plan?"),
        (REFUNDS, "Why do they take so long?", "Why do refunds take so long?"),
        (HELM, "Is it on by default?", "Is remote write in Prometheus on by default?"),
        (HELM, "What are its limits?", "What are the limits of remote write in Prometheus?"),
        (TIMEOUT, "and how do I disable it?", "How do I disable the timeout in httpx?"),
        ("When was Leo Tolstoy born?", "Where did he die?", "Where did Leo Tolstoy die?"),
        ("Where is the Eiffel Tower?", "How tall is it?", "How tall is the Eiffel Tower?"),
        ("I lost my card", "Can I freeze it?", "Can I freeze my card?"),
    ],
)
def test_a_pronoun_is_replaced_by_what_it_stands_for(
    before: str, question: str, alone: str
) -> None:
    assert asked(question, before) == alone


def test_a_pronoun_can_stand_for_a_name_of_the_answer() -> None:
    assert asked("When was he born?", "Who wrote War and Peace?", ["Leo Tolstoy"]) == (
        "When was Leo Tolstoy born?"
    )
    assert asked("How much is it?", "Which plan includes SSO?", ["Premium"]) == (
        "How much is Premium?"
    )


@pytest.mark.parametrize(
    ("before", "question", "alone"),
    [
        (PLAN, "And the basic plan?", "What does the basic plan cover?"),
        (REFUNDS, "And for gift cards?", "How long do refunds take for gift cards?"),
        (
            "How long does delivery take in Germany?",
            "And in France?",
            "How long does delivery take in France?",
        ),
        ("Who runs Acme?", "What about Globex?", "Who runs Globex?"),
        ("What is the price of 5 seats?", "And 10?", "What is the price of 10 seats?"),
        (REFUNDS, "What about gift cards?", "How long do refunds take, gift cards?"),
    ],
)
def test_what_is_left_out_is_taken_from_the_question_before(
    before: str, question: str, alone: str
) -> None:
    assert asked(question, before) == alone


@pytest.mark.parametrize("question", ["Why?", "Since when?", "Tell me more", "And how?"])
def test_what_is_no_question_by_itself_stands_behind_the_last_one(question: str) -> None:
    assert asked(question, REFUNDS) == f"{REFUNDS} {question}"


def test_what_is_asked_how_to_do_is_no_thing() -> None:
    reset = "How can I reset my password?"
    assert asked("How long does that take?", reset) == f"{reset} How long does that take?"


@pytest.mark.parametrize(
    ("before", "question"),
    [
        ("Wie lange dauert eine Rückerstattung?", "Und in Österreich?"),
        ("Wie lange dauert eine Rückerstattung?", "Warum?"),
        ("Combien coûte le plan premium ?", "Et pour les étudiants ?"),
        ("¿Cuánto cuesta el plan premium?", "¿Y para estudiantes?"),
        ("Quanto costa il piano premium?", "E per gli studenti?"),
        ("Quanto custa o plano premium?", "E para estudantes?"),
        ("Hoeveel kost het premium abonnement?", "En voor studenten?"),
    ],
)
def test_in_other_languages_it_stands_behind_the_last_one(before: str, question: str) -> None:
    assert asked(question, before) == f"{before} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "How do I change my e-mail address?",
        "Is it possible to change my e-mail address?",
        "How long does it take to open an account?",
        "My card is lost, can I freeze it?",
        "Why do cats purr when they sleep?",
        "Who was the man that lost his hat?",
        "Is there a free plan?",
        "It says that my card has expired.",
        "Was kostet das Abo?",
        "",
        "???",
    ],
)
def test_what_stands_alone_is_left_as_it_is(question: str) -> None:
    assert asked(question, "How long do refunds take?") == question


def test_without_a_question_before_nothing_is_done() -> None:
    assert rewrite("How much is it?", []).text == "How much is it?"


def test_what_may_lean_on_what_was_said_is_left_and_said_to_be_unsure() -> None:
    found = rewrite("What is the default?", [Turn(TIMEOUT, TIMEOUT)])
    assert (found.text, found.is_sure) == ("What is the default?", False)
    assert rewrite("How do I install Grafana?", [Turn(TIMEOUT, TIMEOUT)]).is_sure


def test_a_chain_of_questions_keeps_what_it_is_about() -> None:
    turns = turns_of(
        [(PLAN, "It covers theft. [1]"), ("How much is it?", "5 dollars."), ("Why?", "")], 6
    )
    assert [turn.asked_as for turn in turns] == [
        PLAN,
        "How much is the premium plan?",
        "How much is the premium plan? Why?",
    ]
    assert rewrite("Can I cancel it?", turns[:2]).text == "Can I cancel the premium plan?"


@pytest.mark.parametrize(
    ("questions", "alone"),
    [
        (
            ["How do I configure remote write?", "What are its limits?", "Can it be tuned?"],
            "Can remote write be tuned?",
        ),
        (
            ["What is a counter?", "And a histogram?", "When should I use it?"],
            "When should I use the histogram?",
        ),
        (
            ["How do I use a proxy?", "Can I route it by host?", "Which errors does it raise?"],
            "Which errors does the proxy raise?",
        ),
        (
            ["How do I set a timeout?", "How do I disable it?", "What happens when it is over?"],
            "What happens when it is over?",
        ),
    ],
)
def test_a_conversation_stays_with_what_it_is_about(questions: list[str], alone: str) -> None:
    turns = turns_of([(question, "") for question in questions], 10)
    assert turns[-1].asked_as == alone


def test_only_the_last_turns_of_a_long_chat_are_read() -> None:
    said = [(f"How long does step {number} take?", "a " * 500_000) for number in range(1_000)]
    assert [turn.question for turn in turns_of(said, 2)] == [one[0] for one in said[-2:]]


def test_names_are_those_inside_a_sentence_and_what_is_quoted() -> None:
    assert names_in("The Premium plan is made by Acme Labs. It has `max_size`.") == [
        "max_size", "Premium", "Acme Labs",
    ]  # fmt: skip
    assert names_in("Yes. No. Maybe.") == []


def test_there_is_no_focus_where_there_are_no_words_of_meaning() -> None:
    assert [focus_of(text) for text in ("", "Why?", "Who are you?")] == ["", "", ""]


@pytest.mark.parametrize("name", ["nq_open", "clapnq", "banking77"])
def test_questions_that_stand_alone_are_hardly_ever_touched(find_data: FindData, name: str) -> None:
    folder = find_data(name)
    if name == "banking77":
        with (folder / "test.csv").open() as file:
            texts = [row["text"] for row in csv.DictReader(file)]
    else:
        rows = (folder / "queries.jsonl").read_text().splitlines()
        texts = [json.loads(row)["text"] for row in rows]
    draw = random.Random(7)
    touched = [text for text in texts if asked(text, draw.choice(texts)) != text]
    assert len(touched) < 0.01 * len(texts), touched
