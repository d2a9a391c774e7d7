"""What people say of answers: right or wrong, and what they did with them; the last word counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Boolean, Column, Engine, Index, MetaData, String, Table, select, text

from generation.money.tables import ANSWERS
from rag.errors import NotFoundError

Use = Literal["used", "edited", "ignored"]
"""What became of an answer: taken as it was, taken with changes, or not taken."""

METADATA = MetaData()
FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("answer_id", String, primary_key=True),
    Column("is_right", Boolean),  # null: nobody has said
    Column("at", String, nullable=False),  # when that was said first; without it, the use
    Column("use", String),  # null: nobody has said
    Column("used_at", String),  # when that was said first
    Index("feedback_by_time", "at"),
)
_PUT = text(
    "INSERT INTO feedback (answer_id, is_right, at, use, used_at) "
    "VALUES (:answer_id, :is_right, :at, :use, :used_at) "
    "ON CONFLICT (answer_id) DO UPDATE SET "
    "at = CASE WHEN feedback.is_right IS NULL AND excluded.is_right IS NOT NULL "
    "THEN excluded.at ELSE feedback.at END, "
    "is_right = COALESCE(excluded.is_right, feedback.is_right), "
    "use = COALESCE(excluded.use, feedback.use), "
    "used_at = COALESCE(feedback.used_at, excluded.used_at)"
)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Feedback:
    """What was said, in the tables of `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def record(
        self,
        answer_id: str,
        *,
        is_right: bool | None = None,
        use: Use | None = None,
        tenant: str | None = None,
    ) -> None:
        """Keep what is told, instead of what was told earlier; None leaves that as it was.

        Raises NotFoundError where there is no such answer, or none of this tenant's; None is any.
        """
        at = self._now().isoformat(timespec="microseconds")
        row = {
            "answer_id": answer_id,
            "is_right": is_right,
            "at": at,
            "use": use,
            "used_at": None if use is None else at,
        }
        with self._engine.begin() as connection:
            known = select(ANSWERS.c.answer_id).where(ANSWERS.c.answer_id == answer_id)
            if tenant is not None:
                known = known.where(ANSWERS.c.tenant == tenant)
            if connection.scalar(known) is None:
                raise NotFoundError(
                    f"there is no answer {answer_id!r}: take the id of an answer of this service"
                )
            connection.execute(_PUT, row)

    def verdicts(self) -> dict[str, bool]:
        """By answer, whether it was said to be right; those first judged first."""
        query = select(FEEDBACK).where(FEEDBACK.c.is_right.is_not(None)).order_by(FEEDBACK.c.at)
        with self._engine.connect() as connection:
            return {row.answer_id: row.is_right for row in connection.execute(query)}
