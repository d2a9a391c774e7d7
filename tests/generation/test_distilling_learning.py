"""Lessons are kept beside the answer: never in its way, and never of what is gone by then."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from heard import Heard
from patience import FAR_S
from test_distilling_teaching import ASKED, CONTEXT, answered

from api.state.opening import open_state
from generation.distilling.learning import LearningGenerator, LessonWriter
from generation.distilling.lessons import Lesson, Lessons
from generation.distilling.teaching import lesson_of
from rag.errors import BudgetError
from rag.ports import Generator, Listener
from rag.types import Context, Generation, Hit, Question

MADE = answered("A refund takes five days [1].")
REVISIONS = {piece.hit.chunk.document_id: piece.hit.chunk.revision for piece in CONTEXT.pieces}


class Index:
    """What is recorded of documents."""

    def __init__(self) -> None:
        self.recorded = dict(REVISIONS)

    async def current(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        return {name: self.recorded[name] for name in document_ids if name in self.recorded}

    async def holds(self, collection: str) -> bool:
        return bool(self.recorded)


class Premium:
    """Answers with MADE, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        if self._error is not None:
            raise self._error
        listener.text(MADE.text)
        return MADE


class SlowLessons(Lessons):
    """Waits for `may_write` before each write, and then does `then`."""

    may_write = threading.Event()
    then: Callable[[], None] = staticmethod(lambda: None)

    def keep(self, lesson: Lesson) -> None:
        assert self.may_write.wait(timeout=FAR_S)
        super().keep(lesson)
        self.then()


@pytest.fixture
def lessons(tmp_path: Path) -> SlowLessons:
    made = SlowLessons(open_state(tmp_path), max_lessons=10, keep_days=1)
    made.may_write = threading.Event()
    return made


def kept(lessons: Lessons) -> list[str]:
    return [one.answer_id for one in lessons.judged(["help"])]


async def ask(generator: Generator, question: Question = ASKED) -> Generation:
    return await generator.generate(question, [], CONTEXT, Heard())


async def test_the_answer_does_not_wait_for_its_lesson(lessons: SlowLessons) -> None:
    writer = LessonWriter(lessons, Index(), ["help"])
    heard = Heard()
    generator = LearningGenerator(Premium(), writer, "Be warm.")
    assert await generator.generate(ASKED, [], CONTEXT, heard) == MADE
    assert heard.said == MADE.text
    assert kept(lessons) == []
    lessons.may_write.set()
    await writer.close()
    assert kept(lessons) == [ASKED.answer_id]
    (lesson,) = lessons.load([ASKED.answer_id])
    assert lesson.prompt.system.endswith("Be warm.")


async def test_a_collection_that_did_not_consent_leaves_nothing(lessons: SlowLessons) -> None:
    lessons.may_write.set()
    for consented in ([], ["other"]):
        writer = LessonWriter(lessons, Index(), consented)
        assert await ask(LearningGenerator(Premium(), writer)) == MADE
        await writer.close()
    assert kept(lessons) == []


async def test_an_error_of_the_tier_is_its_own(lessons: SlowLessons) -> None:
    writer = LessonWriter(lessons, Index(), ["help"])
    with pytest.raises(BudgetError, match="a wall"):
        await ask(LearningGenerator(Premium(BudgetError("a wall")), writer))
    await writer.close()
    assert kept(lessons) == []


async def test_a_state_that_fails_costs_a_line_in_the_log(
    lessons: SlowLessons, caplog: pytest.LogCaptureFixture
) -> None:
    lessons.may_write.set()
    with lessons._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    assert "it may only be read" in await _complaint(lessons, caplog)


async def test_so_does_a_mistake_of_the_program(
    lessons: SlowLessons, caplog: pytest.LogCaptureFixture
) -> None:
    lessons.may_write.set()
    lessons.keep(lesson_of(ASKED, CONTEXT, MADE, ""))
    told = await _complaint(lessons, caplog)  # since it is there already
    assert told.endswith("could not be kept: IntegrityError")


async def _complaint(lessons: Lessons, caplog: pytest.LogCaptureFixture) -> str:
    writer = LessonWriter(lessons, Index(), ["help"])
    with caplog.at_level(logging.WARNING):
        assert await ask(LearningGenerator(Premium(), writer)) == MADE
        await writer.close()
    (record,) = caplog.records
    assert "its lesson could not be kept" in record.message
    assert "\n" not in record.message
    assert ASKED.text not in record.message
    return record.message


@pytest.mark.parametrize("is_forgotten", [True, False])
async def test_a_document_that_goes_while_the_lesson_is_written_takes_it_with_it(
    lessons: SlowLessons, is_forgotten: bool
) -> None:
    """Who forgets it deletes its lessons before this one is there: nobody else would."""
    index = Index()
    writer = LessonWriter(lessons, index, ["help"])
    await ask(LearningGenerator(Premium(), writer))
    if is_forgotten:
        del index.recorded["fees"]
    else:
        index.recorded["fees"] = "another revision"
    assert lessons.delete_made_from("help", ["fees"]) == 0
    lessons.may_write.set()
    await writer.close()
    assert kept(lessons) == []


async def test_closing_waits_for_many(lessons: SlowLessons) -> None:
    writer = LessonWriter(lessons, Index(), ["help"])
    generator = LearningGenerator(Premium(), writer)
    asked = [replace(ASKED, answer_id=f"ans_{n}") for n in range(8)]
    await asyncio.gather(*(ask(generator, one) for one in asked))
    lessons.may_write.set()
    await writer.close()
    assert sorted(kept(lessons)) == [one.answer_id for one in asked]
