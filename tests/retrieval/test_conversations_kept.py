"""Turns of conversations: whose they are, how many are kept, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from api.state.opening import open_state
from rag.turns import Turn
from rag.types import Answer, Citation, Cost, CostLine, Question, Usage
from retrieval.conversations.kept import KeptTurns
from retrieval.conversations.standing_alone import Conversations
from retrieval.conversations.tables import TURN_DOCUMENTS, TURNS

QUESTION = Question("What does the premium plan cover?", "help", tenant="a", conversation_id="c1")


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, minutes: float) -> None:
        self.at += timedelta(minutes=minutes)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Engine]:
    engine = open_state(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(state: Engine, clock: Clock) -> KeptTurns:
    return KeptTurns(state, max_turns=3, keep_minutes=30, now=clock)


def answered(document_id: str = "plans", text: str = "The Premium plan covers theft.") -> Answer:
    return Answer(
        answer_id="ans_1",
        status="answered",
        text=text,
        tier="extractive",
        model="quotes",
        confidence=0.9,
        citations=(Citation(1, document_id, "Plans", "plans.md", None, 0, 5, "theft"),),
        usage=Usage(),
        context_tokens=10,
        cost=Cost((CostLine("generate", None, Decimal(0), 1.0),), None),
    )


def count(state: Engine) -> int:
    with state.connect() as connection:
        return connection.scalar(select(func.count()).select_from(TURNS)) or 0


def test_the_last_turns_come_back_in_order(kept: KeptTurns, state: Engine) -> None:
    for number in range(5):
        kept.keep(f"q{number}", replace(QUESTION, text=f"whole q{number}"), answered())
    turns = kept.load(QUESTION)
    assert [(turn.question, turn.asked_as) for turn in turns] == [
        (f"q{number}", f"whole q{number}") for number in (2, 3, 4)
    ]
    assert turns[-1].names == ("Premium",)
    assert count(state) == 3, "what is too much is deleted"


@pytest.mark.parametrize(
    "other", [{"tenant": "b"}, {"key": "k"}, {"collection": "x"}, {"conversation_id": "c2"}]
)
def test_a_conversation_is_that_of_who_asks_there(kept: KeptTurns, other: dict[str, str]) -> None:
    kept.keep(QUESTION.text, QUESTION, answered())
    assert kept.load(QUESTION)
    assert kept.load(replace(QUESTION, **other)) == []


def test_turns_expire(kept: KeptTurns, clock: Clock, state: Engine) -> None:
    kept.keep(QUESTION.text, QUESTION, answered())
    clock.pass_(29)
    assert kept.load(QUESTION)
    clock.pass_(1)
    assert kept.load(QUESTION) == []
    assert count(state) == 1, "nobody has asked since"
    kept.keep("Hello?", replace(QUESTION, conversation_id="other"), answered())
    assert count(state) == 1, "the next turn of anybody deletes what has expired"
    clock.pass_(31)
    assert (kept.prune(), count(state)) == (1, 0)


def test_the_id_of_a_conversation_stands_nowhere(kept: KeptTurns, state: Engine) -> None:
    kept.keep(QUESTION.text, replace(QUESTION, conversation_id="secret-id"), answered())
    with state.connect() as connection:
        [row] = connection.execute(select(TURNS))
    assert "secret-id" not in repr(row)


def test_a_turn_goes_with_a_document_that_its_answer_cites(kept: KeptTurns, state: Engine) -> None:
    kept.keep("q1", QUESTION, answered("plans"))
    kept.keep("q2", QUESTION, answered("refunds"))
    assert kept.delete_made_from("other", ["plans"]) == 0
    assert kept.delete_made_from("help", ["plans", "unknown"]) == 1
    assert [turn.question for turn in kept.load(QUESTION)] == ["q2"]
    with state.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(TURN_DOCUMENTS)) == 1


class Told:
    """A Rewriter that says what it is told, and a Listener that hears nothing."""

    def __init__(self, text: str) -> None:
        self.text_ = text
        self.asked: list[str] = []

    async def rewrite(self, question: Question, draft: str, listener: object) -> str:
        self.asked.append(question.text)
        return self.text_

    def text(self, piece: str) -> None: ...
    def restart(self) -> None: ...
    def cost(self, line: CostLine) -> None: ...


async def test_a_model_is_asked_only_where_the_rules_cannot_tell(kept: KeptTurns) -> None:
    told = Told("What is the default of the timeout?")
    talking = Conversations(kept, told, 4_000)
    first = replace(QUESTION, text="How do I set a timeout in httpx?")
    assert await talking.stand_alone(first, told) == first, "nothing was asked before it"
    await talking.note(first.text, first, answered())
    for text, alone in (
        ("How do I disable it?", "How do I disable the timeout in httpx?"),
        ("How do I install Grafana?", "How do I install Grafana?"),
        ("What is the default?", told.text_),
    ):
        found = await talking.stand_alone(replace(first, text=text), told)
        assert found.text == alone
    assert told.asked == ["What is the default?"]


async def test_a_question_is_never_made_too_long(kept: KeptTurns) -> None:
    talking = Conversations(kept, None, 30)
    await talking.note(QUESTION.text, QUESTION, answered())
    why = replace(QUESTION, text="Why is it so?")
    assert (await talking.stand_alone(why, Told(""))).text == "Why is the premium plan so?"
    why = replace(QUESTION, text="Why?")
    assert (await talking.stand_alone(why, Told(""))).text == "Why?"


async def test_turns_that_come_with_a_question_are_not_kept(kept: KeptTurns, state: Engine) -> None:
    talking = Conversations(kept, None, 4_000)
    asked = Question("How much is it?", "help", turns=(Turn(QUESTION.text, QUESTION.text),))
    found = await talking.stand_alone(asked, Told(""))
    assert found.text == "How much is the premium plan?"
    await talking.note(asked.text, found, answered())
    assert count(state) == 0
