"""What people say of answers: right or wrong, one verdict for each, the last one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Boolean, Column, Engine, Index, MetaData, String, Table, select, text

from generation.money.tables import ANSWERS
from rag.errors import NotFoundError

METADATA = MetaData()
FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("answer_id", String, primary_key=True),
    Column("is_right", Boolean, nullable=False),
    Column("at", String, nullable=False),
    Index("feedback_by_time", "at"),
)
_PUT = text(
    "INSERT INTO feedback (answer_id, is_right, at) VALUES (:answer_id, :is_right, :at) "
    "ON CONFLICT (answer_id) DO UPDATE SET is_right = excluded.is_right, at = excluded.at"
)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Feedback:
    """The verdicts in the tables of `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def record(self, answer_id: str, *, is_right: bool) -> None:
        """Keep a verdict, instead of an earlier one. Raises NotFoundError for no such answer."""
        at = self._now().isoformat(timespec="microseconds")
        with self._engine.begin() as connection:
            known = select(ANSWERS.c.answer_id).where(ANSWERS.c.answer_id == answer_id)
            if connection.scalar(known) is None:
                raise NotFoundError(
                    f"there is no answer {answer_id!r}: take the id of an answer of this service"
                )
            connection.execute(_PUT, {"answer_id": answer_id, "is_right": is_right, "at": at})

    def verdicts(self) -> dict[str, bool]:
        """By answer, whether it was said to be right; oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(FEEDBACK).order_by(FEEDBACK.c.at)).all()
        return {row.answer_id: row.is_right for row in rows}
