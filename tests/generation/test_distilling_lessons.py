"""Lessons in SQL: what comes back, what was made of it, and what goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select

from generation.deciding.feedback import Feedback
from generation.distilling.lessons import Lesson, Lessons
from generation.distilling.tables import LESSON_DOCUMENTS
from generation.money.tables import ANSWERS
from generation.reuse.tables import REUSES
from rag.calls import Prompt

BEGIN = datetime(2026, 10, 5, 12, tzinfo=UTC)


class Clock:
    """Goes on by a second whenever somebody looks."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def lesson(name: str, collection: str = "help", documents: Sequence[str] = ("refunds",)) -> Lesson:
    return Lesson(
        answer_id=name,
        tenant="acme",
        collection=collection,
        question=f"What of {name}?",
        prompt=Prompt("v1", "Answer.", f"<context>…</context>\n\nQuestion: {name}"),
        answer="Five days [2].",
        evidence=f"evidence of {name}",
        model="big",
        escalated_from="local",
        is_abstained=False,
        documents={document: f"revision of {document}" for document in documents},
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lessons(state_engine: Engine, clock: Clock) -> Lessons:
    return Lessons(state_engine, max_lessons=3, keep_days=30, now=clock)


@pytest.fixture
def answered(state_engine: Engine) -> Any:
    """Records the answer that was given under an id."""

    def record(name: str, tier: str = "premium", status: str = "answered", **own: Any) -> None:
        row = {
            "answer_id": name, "at": "2026-10-05", "tenant": "", "key": "", "collection": "help",
            "tier": tier, "status": status, "confidence": 0.9, "spent_pico_usd": 1,
            "baseline_pico_usd": 1, "ms": 1.0,
        }  # fmt: skip
        with state_engine.begin() as connection:
            connection.execute(insert(ANSWERS), row | own)

    return record


def names(lessons: Lessons, *collections: str) -> list[str]:
    return [one.answer_id for one in lessons.judged(collections or ("help",))]


class TestKeeping:
    def test_what_is_kept_comes_back_as_it_was(self, lessons: Lessons) -> None:
        one, two = lesson("one", documents=["refunds", "fees"]), lesson("two")
        lessons.keep(one)
        lessons.keep(replace(two, is_abstained=True))
        assert list(lessons.load(["two", "nobody", "one"])) == [
            replace(two, is_abstained=True),
            one,
        ]

    def test_the_oldest_go_when_there_are_too_many(self, lessons: Lessons) -> None:
        for name in "abcde":
            lessons.keep(lesson(name))
        assert names(lessons) == ["c", "d", "e"]

    def test_what_is_too_old_goes_even_when_nothing_comes(
        self, lessons: Lessons, clock: Clock, state_engine: Engine
    ) -> None:
        lessons.keep(lesson("old"))
        clock.now += timedelta(days=29)
        lessons.keep(lesson("young"))
        assert lessons.prune() == 0
        clock.now += timedelta(days=2)
        assert lessons.prune() == 1
        assert names(lessons) == ["young"]
        with state_engine.connect() as connection:
            query = select(func.count()).select_from(LESSON_DOCUMENTS)
            assert connection.scalar(query) == 1, "its documents go with it"


class TestForgetting:
    def test_lessons_go_with_any_document_of_their_context(self, lessons: Lessons) -> None:
        lessons.keep(lesson("a", documents=["refunds", "fees"]))
        lessons.keep(lesson("b", documents=["hours"]))
        lessons.keep(lesson("c", "other", ["fees"]))
        assert lessons.delete_made_from("help", ["fees", "nothing"]) == 1
        assert names(lessons, "help", "other") == ["b", "c"]
        assert lessons.delete_made_from("help", []) == 0

    def test_so_many_documents_at_once_as_a_sync_removes(self, lessons: Lessons) -> None:
        lessons.keep(lesson("a", documents=["d1", "d1700"]))
        assert lessons.delete_made_from("help", [f"d{n}" for n in range(2_000)]) == 1

    def test_collections_that_consent_no_longer(self, lessons: Lessons) -> None:
        for name, collection in (("a", "help"), ("b", "shop"), ("c", "shop")):
            lessons.keep(lesson(name, collection))
        assert lessons.delete_all_but(["help", "shop"]) == 0
        assert lessons.delete_all_but(["help"]) == 2
        assert names(lessons, "help", "shop") == ["a"]
        assert lessons.delete_all_but([]) == 1

    def test_it_knows_what_its_lessons_came_from(self, lessons: Lessons) -> None:
        lessons.keep(lesson("a", documents=["refunds", "fees"]))
        lessons.keep(lesson("b", documents=["fees"]))
        lessons.keep(lesson("c", "other", ["hours"]))
        found = sorted(lessons.documents("help"))
        assert found == [("fees", "revision of fees"), ("refunds", "revision of refunds")]


class TestJudged:
    def test_the_last_verdict_counts(
        self, lessons: Lessons, answered: Any, state_engine: Engine
    ) -> None:
        for name in "abc":
            lessons.keep(lesson(name))
            answered(name, confidence=0.5)
        feedback = Feedback(state_engine)
        feedback.record("a", is_right=False)
        feedback.record("a", is_right=True)
        feedback.record("b", is_right=False)
        feedback.record("c", use="edited")
        found = [(one.answer_id, one.is_right, one.confidence) for one in lessons.judged(["help"])]
        assert found == [("a", True, 0.5), ("b", False, 0.5), ("c", None, 0.5)]

    @pytest.mark.parametrize(
        ("tier", "status", "is_abstained", "was_given"),
        [
            ("premium", "answered", False, True),
            ("premium", "degraded", False, True),
            ("premium", "abstained", True, True),
            ("premium", "abstained", False, False),
            ("local", "answered", False, False),
            ("extractive", "abstained", True, False),
        ],
    )
    def test_it_tells_whether_the_answer_given_is_the_one_that_teaches(
        self,
        lessons: Lessons,
        answered: Any,
        tier: str,
        status: str,
        is_abstained: bool,
        was_given: bool,
    ) -> None:
        lessons.keep(replace(lesson("a"), is_abstained=is_abstained))
        answered("a", tier, status)
        (one,) = lessons.judged(["help"])
        assert one.was_given is was_given

    def test_an_answer_that_was_never_recorded_was_not_given(self, lessons: Lessons) -> None:
        lessons.keep(lesson("a"))
        (one,) = lessons.judged(["help"])
        assert (one.was_given, one.confidence, one.is_right) == (False, 0.0, None)

    @pytest.mark.parametrize(("score", "is_right"), [(1.0, False), (0.97, True)])
    def test_what_was_wrong_for_the_same_words_again_is_wrong(
        self, lessons: Lessons, answered: Any, state_engine: Engine, score: float, is_right: bool
    ) -> None:
        """For other words it may be wrong because those ask for something else."""
        lessons.keep(lesson("a"))
        answered("a")
        Feedback(state_engine).record("a", is_right=True)
        reuse = {
            "answer_id": "again", "entry_id": "a", "collection": "help", "says": "", "score": score,
            "was_given": True, "is_right": False, "at": "2026-10-06", "judged_at": "2026-10-06",
        }  # fmt: skip
        with state_engine.begin() as connection:
            connection.execute(insert(REUSES), reuse)
        (one,) = lessons.judged(["help"])
        assert one.is_right is is_right
