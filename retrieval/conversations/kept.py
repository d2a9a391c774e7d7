"""The last turns of conversations as SQL holds them, until they expire.

A conversation belongs to who asks: the same id of another tenant, with another key or in another
collection is another conversation. Its id stands nowhere, only a hash of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Row, and_, delete, insert, select

from rag.turns import Turn, mark_of
from rag.types import Answer, Question
from retrieval.conversations.phrases import names_in
from retrieval.conversations.tables import TURN_DOCUMENTS, TURNS

MAX_NAMES = 5
_AT_ONCE = 500  # names in one query


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class KeptTurns:
    """The last `max_turns` turns of each conversation, in the tables of `engine`.

    A turn expires `keep_minutes` after it was asked: it is not given any more, and is deleted with
    the next turn of any conversation. Methods raise StateError.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_turns: int,
        keep_minutes: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._max_turns = max_turns
        self._keep = timedelta(minutes=keep_minutes)
        self._now = now

    def load(self, question: Question) -> list[Turn]:
        """The turns before this question in its conversation, oldest first."""
        query = (
            select(TURNS)
            .where(_is_of(question), TURNS.c.at > self._since())
            .order_by(TURNS.c.position.desc())
            .limit(self._max_turns)
        )
        with self._engine.connect() as connection:
            return [_turn(row) for row in connection.execute(query)][::-1]

    def keep(self, asked: str, question: Question, answer: Answer) -> None:
        """Keep a turn, and delete what is too much or too old."""
        row = {
            "answer_id": answer.answer_id,
            "at": _text(self._now()),
            "tenant": question.tenant,
            "key": question.key,
            "collection": question.collection,
            "conversation": mark_of(question.conversation_id),
            "question": asked,
            "asked_as": question.text,
            "names": json.dumps(names_of(answer)),
        }
        documents = {citation.document_id for citation in answer.citations}
        surplus = select(TURNS.c.position).where(_is_of(question))
        surplus = surplus.order_by(TURNS.c.position.desc()).offset(self._max_turns)
        with self._engine.begin() as connection:
            position = connection.execute(insert(TURNS), row).inserted_primary_key[0]  # type: ignore[index]
            key = {"position": position, "collection": question.collection}
            rows = [{**key, "document_id": name} for name in sorted(documents)]
            if rows:
                connection.execute(insert(TURN_DOCUMENTS), rows)
            old = list(connection.scalars(surplus))
            connection.execute(
                delete(TURNS).where(TURNS.c.position.in_(old) | (TURNS.c.at <= self._since()))
            )

    def prune(self) -> int:
        """Delete what has expired; gives how many turns."""
        with self._engine.begin() as connection:
            return connection.execute(delete(TURNS).where(TURNS.c.at <= self._since())).rowcount

    def delete_made_from(self, collection: str, document_ids: Sequence[str]) -> int:
        """Delete the turns whose answer cites one of these documents; gives how many."""
        columns = TURN_DOCUMENTS.c
        deleted = 0
        with self._engine.begin() as connection:
            for first in range(0, len(document_ids), _AT_ONCE):
                theirs = select(columns.position).where(
                    columns.collection == collection,
                    columns.document_id.in_(document_ids[first : first + _AT_ONCE]),
                )
                gone = delete(TURNS).where(TURNS.c.position.in_(theirs))
                deleted += connection.execute(gone).rowcount
        return deleted

    def _since(self) -> str:
        return _text(self._now() - self._keep)


def names_of(answer: Answer) -> list[str]:
    """The names that an answer says; none of one that says nothing."""
    return [] if answer.status == "abstained" else names_in(answer.text)[:MAX_NAMES]


def _is_of(question: Question) -> ColumnElement[bool]:
    """That a row is of the conversation of this question."""
    return and_(
        TURNS.c.conversation == mark_of(question.conversation_id),
        TURNS.c.tenant == question.tenant,
        TURNS.c.key == question.key,
        TURNS.c.collection == question.collection,
    )


def _turn(row: Row[tuple[object, ...]]) -> Turn:
    return Turn(row.question, row.asked_as, tuple(json.loads(row.names)))


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
