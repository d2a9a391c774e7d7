"""The words of questions, kept for a while where the operator wants that: off by default.

Whoever runs the service reads there what the documents do not answer. Nothing else does: no answer
is made from it. A question that is forgotten, or older than the days to keep it, is deleted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Index,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from generation.money.tables import ANSWERS
from generation.overview.selection import text_of
from rag.errors import StateError
from rag.ports import Ledger
from rag.types import Answer, Question

METADATA = MetaData()
ASKED_QUESTIONS = Table(
    "asked_questions",
    METADATA,
    Column("answer_id", String, primary_key=True),
    Column("question", Text, nullable=False),
    Column("at", String, nullable=False),
    Index("asked_questions_by_time", "at"),
)
_DROP_OLD_EVERY_S = 3_600.0
_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class AskedQuestions:
    """The questions in the tables of `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def keep(self, answer_id: str, question: str) -> None:
        """Keep the words of one question under the id of its answer."""
        words = question.encode("utf-8", "replace").decode().replace("\0", "")
        row = {"answer_id": answer_id, "question": words, "at": text_of(self._now())}
        with self._engine.begin() as connection:
            connection.execute(insert(ASKED_QUESTIONS), row)

    def forget_all(self) -> int:
        """Delete every question; gives how many there were."""
        with self._engine.begin() as connection:
            return forget_asked(connection)

    def drop_older(self, days: float) -> int:
        """Delete those that are older than so many days; gives how many there were."""
        last = text_of(self._now() - timedelta(days=days))
        with self._engine.begin() as connection:
            return connection.execute(
                delete(ASKED_QUESTIONS).where(ASKED_QUESTIONS.c.at < last)
            ).rowcount


def forget_asked(connection: Connection, *which: ColumnElement[bool]) -> int:
    """Delete the questions of the answers of which these conditions hold, in the ledger.

    Without a condition all questions; gives how many there were.
    """
    chosen = delete(ASKED_QUESTIONS)
    if which:
        answers = select(ANSWERS.c.answer_id).where(*which)
        chosen = chosen.where(ASKED_QUESTIONS.c.answer_id.in_(answers))
    return connection.execute(chosen).rowcount


class QuestionKeepingLedger:
    """A Ledger that keeps the words of each question beside its answer, for `days`."""

    def __init__(self, ledger: Ledger, asked: AskedQuestions, days: float) -> None:
        self._ledger = ledger
        self._asked = asked
        self._days = days
        self._drop_at = 0.0

    async def record_answer(self, question: Question, answer: Answer) -> None:
        """Write down the answer, then the question; no answer fails for want of the latter."""
        await self._ledger.record_answer(question, answer)
        try:
            await asyncio.to_thread(self._keep, answer.answer_id, question.text)
        except StateError as error:
            _log.warning("the question of %s was not kept: %s", answer.answer_id, error)

    def _keep(self, answer_id: str, question: str) -> None:
        if time.monotonic() >= self._drop_at:
            self._drop_at = time.monotonic() + _DROP_OLD_EVERY_S
            self._asked.drop_older(self._days)
        self._asked.keep(answer_id, question)
