"""Corrected answers: kept with their documents, and taught instead of the wrong ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select

from generation.deciding.corrections import CORRECTION_DOCUMENTS, CORRECTIONS, Corrections
from generation.deciding.feedback import FEEDBACK, Feedback
from generation.distilling.choosing import Rules, choose
from generation.distilling.lessons import Lesson, Lessons
from generation.money.tables import ANSWERS
from generation.reuse.tables import REUSES
from rag.calls import Prompt
from rag.errors import InputError

LESSON = Lesson(
    answer_id="a",
    tenant="",
    collection="help",
    question="How long does a refund take?",
    prompt=Prompt("v1", "Answer.", "…"),
    answer="Nine days [4].",
    evidence="seen",
    model="big",
    escalated_from="local",
    is_abstained=False,
    documents={"refunds": "r1"},
    excerpts={1: (4,), 2: (2, 3)},
)


@pytest.fixture
def feedback(state_engine: Engine) -> Feedback:
    return Feedback(state_engine)


@pytest.fixture
def answered(state_engine: Engine) -> Any:
    """Records that an answer was given, citing two documents unless told otherwise."""

    def record(name: str, markers: str | None = '{"1": "refunds", "2": "fees"}') -> None:
        row = {
            "answer_id": name, "at": "2026-10-05", "tenant": "", "key": "", "collection": "help",
            "tier": "premium", "status": "answered", "confidence": 0.9, "ms": 1.0,
            "markers": markers,
        }  # fmt: skip
        with state_engine.begin() as connection:
            connection.execute(insert(ANSWERS), row)

    return record


def corrections(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(select(CORRECTIONS.c.answer_id, CORRECTIONS.c.correction))
        return {row.answer_id: row.correction for row in rows}


def correct(feedback: Feedback, name: str, text: str) -> None:
    feedback.record(name, is_right=False, use="edited", correction=text)


class TestKeeping:
    def test_the_last_one_counts_and_goes_when_the_answer_was_right(
        self, feedback: Feedback, answered: Any, state_engine: Engine
    ) -> None:
        answered("a")
        correct(feedback, "a", "Six days [1].")
        correct(feedback, "a", "Five days [1].")
        feedback.record("a", use="ignored")
        assert corrections(state_engine) == {"a": "Five days [1]."}
        feedback.record("a", is_right=True)
        assert corrections(state_engine) == {}

    def test_a_marker_that_the_answer_does_not_have_keeps_nothing(
        self, feedback: Feedback, answered: Any, state_engine: Engine
    ) -> None:
        answered("a")
        answered("b", None)
        with pytest.raises(InputError, match=r"cites \[3\], and .* are \[1\], \[2\]: use those"):
            correct(feedback, "a", "Five days [1, 3].")
        with pytest.raises(InputError, match=r"cites \[1\], and .* are none: use those"):
            correct(feedback, "b", "Five days [1].")
        assert corrections(state_engine) == {}
        with state_engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(FEEDBACK)) == 0

    @pytest.mark.parametrize("document", ["refunds", "fees"])
    def test_it_goes_with_any_document_that_the_answer_cites(
        self, feedback: Feedback, answered: Any, state_engine: Engine, document: str
    ) -> None:
        answered("a")
        answered("b", '{"1": "hours"}')
        correct(feedback, "a", "Five days [1].")
        correct(feedback, "b", "At nine [1].")
        kept = Corrections(state_engine)
        assert kept.delete_made_from("other", [document]) == 0
        assert kept.delete_made_from("help", [document]) == 1
        assert corrections(state_engine) == {"b": "At nine [1]."}
        with state_engine.connect() as connection:
            documents = select(CORRECTION_DOCUMENTS.c.document_id)
            assert connection.scalars(documents).all() == ["hours"]


class TestTeaching:
    def taught(self, engine: Engine) -> tuple[list[str], dict[str, int]]:
        lessons = Lessons(engine, max_lessons=10, keep_days=1e5)
        choice = choose(lessons.judged(["help"]), Rules(verified_only=True))
        return [one.taught for one in choice.lessons], dict(choice.left_out)

    @pytest.fixture
    def _lesson(self, answered: Any, state_engine: Engine) -> None:
        answered("a")
        Lessons(state_engine, max_lessons=10, keep_days=1e5).keep(LESSON)

    @pytest.mark.usefixtures("_lesson")
    def test_it_is_taught_with_the_markers_of_the_prompt(
        self, feedback: Feedback, state_engine: Engine
    ) -> None:
        feedback.record("a", is_right=False)
        assert self.taught(state_engine) == ([], {"judged wrong": 1})
        correct(feedback, "a", "Five days [1]. The fee stays [2].")
        assert self.taught(state_engine) == (["Five days [4]. The fee stays [2][3]."], {})

    @pytest.mark.usefixtures("_lesson")
    def test_without_a_citation_it_would_teach_to_give_none(
        self, feedback: Feedback, state_engine: Engine
    ) -> None:
        correct(feedback, "a", "Five days.")
        assert self.taught(state_engine) == ([], {"corrected without a citation": 1})

    @pytest.mark.usefixtures("_lesson")
    @pytest.mark.parametrize(
        ("score", "taught"), [(1.0, (["Five days [4]."], {})), (0.9, ([], {"not judged right": 1}))]
    )
    def test_so_it_is_where_the_answer_was_given_again_to_the_same_words_alone(
        self,
        feedback: Feedback,
        answered: Any,
        state_engine: Engine,
        score: float,
        taught: Any,
    ) -> None:
        answered("again", '{"1": "refunds"}')
        reuse = {
            "answer_id": "again", "entry_id": "a", "collection": "help", "says": "s",
            "score": score, "was_given": True, "is_right": False, "at": "1", "judged_at": "1",
        }  # fmt: skip
        with state_engine.begin() as connection:
            connection.execute(insert(REUSES), reuse)
        correct(feedback, "again", "Five days [1].")
        assert self.taught(state_engine) == taught

    def test_a_lesson_of_an_earlier_version_has_no_markers_to_tell(
        self, feedback: Feedback, answered: Any, state_engine: Engine
    ) -> None:
        answered("a")
        lessons = Lessons(state_engine, max_lessons=10, keep_days=1e5)
        lessons.keep(replace(LESSON, excerpts={}))
        correct(feedback, "a", "Five days [1].")
        assert self.taught(state_engine) == ([], {"corrected without a citation": 1})
