"""Kept answers as SQL holds them, each with the documents that it was made from.

Nothing here decides whether an answer may be given: `answers` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, bindparam, delete, insert, select, update

from generation.reuse.tables import KEPT_ANSWER_DOCUMENTS, KEPT_ANSWERS
from rag.types import Answer, Vector

_AT_ONCE = 500  # names in one query
_ANSWER = TypeAdapter(Answer)

_IS_YOUNG = KEPT_ANSWERS.c.kept_at >= bindparam("since")
_BY_WORDING = select(KEPT_ANSWERS).where(
    KEPT_ANSWERS.c.binding == bindparam("binding"),
    KEPT_ANSWERS.c.wording == bindparam("wording"),
    _IS_YOUNG,
)
_BY_ID = select(KEPT_ANSWERS).where(KEPT_ANSWERS.c.entry_id == bindparam("entry_id"), _IS_YOUNG)
_THERE = select(KEPT_ANSWERS.c.entry_id).where(
    KEPT_ANSWERS.c.entry_id.in_(bindparam("entry_ids", expanding=True)), _IS_YOUNG
)
_AFTER = (
    select(
        KEPT_ANSWERS.c.position,
        KEPT_ANSWERS.c.entry_id,
        KEPT_ANSWERS.c.binding,
        KEPT_ANSWERS.c.question,
        KEPT_ANSWERS.c.says,
        KEPT_ANSWERS.c.vector,
    )
    .where(KEPT_ANSWERS.c.position > bindparam("position"))
    .order_by(KEPT_ANSWERS.c.position)
)
"""These are made once, since every question asks them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept answer and all it is bound to; see the columns in `tables`.

    `documents` are those that it was made from, at least one; they are not read again. `filters`
    are None where an earlier version kept it. One that `is_pinned` was approved by a person.
    """

    tenant: str
    collection: str
    binding: str
    wording: str
    question: str
    hits: str
    changes: int
    answer: Answer
    says: str
    documents: frozenset[str] = frozenset()
    filters: str | None = None
    is_pinned: bool = False

    @property
    def entry_id(self) -> str:
        """The id of the answer when it was made."""
        return self.answer.answer_id


@dataclass(frozen=True, slots=True)
class KeptQuestion:
    """The question of an entry with its vector; what is kept later has a higher position."""

    position: int
    entry_id: str
    binding: str
    question: str
    says: str
    vector: Vector


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Entries:
    """At most `max_entries` kept answers, none older than `keep_days`, in the tables of `engine`.

    Its methods raise StateError.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_entries: int,
        keep_days: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._max_entries = max_entries
        self._keep = timedelta(days=keep_days)
        self._now = now
        self.is_file = engine.dialect.name == "sqlite"
        """Whether a read takes less time than a thread takes to wake up."""

    def find(self, binding: str, wording: str) -> Entry | None:
        """The answer to a question of these words."""
        wanted = {"binding": binding, "wording": wording, "since": self._since()}
        with self._engine.connect() as connection:
            row = connection.execute(_BY_WORDING, wanted).first()
        return None if row is None else _entry(row)

    def load(self, entry_id: str) -> Entry | None:
        """The entry of this id."""
        wanted = {"entry_id": entry_id, "since": self._since()}
        with self._engine.connect() as connection:
            row = connection.execute(_BY_ID, wanted).first()
        return None if row is None else _entry(row)

    def still_there(self, entry_ids: Sequence[str]) -> set[str]:
        """Those of these entries that are there."""
        wanted = {"entry_ids": list(entry_ids), "since": self._since()}
        with self._engine.connect() as connection:
            return set(connection.scalars(_THERE, wanted))

    def questions_after(self, position: int) -> list[KeptQuestion]:
        """What was kept behind a position, in order; 0 is before all."""
        with self._engine.connect() as connection:
            return [
                KeptQuestion(*row[:-1], np.frombuffer(row[-1], np.float32))
                for row in connection.execute(_AFTER, {"position": position})
            ]

    def keep(self, entry: Entry, vector: Vector) -> None:
        """Keep an answer instead of the one to the same words, and drop what is too much or old."""
        columns = KEPT_ANSWERS.c
        with self._engine.begin() as connection:
            connection.execute(
                delete(KEPT_ANSWERS).where(
                    columns.binding == entry.binding, columns.wording == entry.wording
                )
            )
            _insert(connection, entry, vector, _text(self._now()))
            newest_first = select(columns.kept_at).order_by(columns.kept_at.desc())
            surplus = connection.scalar(newest_first.offset(self._max_entries).limit(1)) or ""
            last = max(surplus, self._since())
            connection.execute(delete(KEPT_ANSWERS).where(columns.kept_at <= last))

    def prune(self) -> int:
        """Delete what is too old to be given; gives how many answers."""
        with self._engine.begin() as connection:
            gone = delete(KEPT_ANSWERS).where(KEPT_ANSWERS.c.kept_at < self._since())
            return connection.execute(gone).rowcount

    def renew(self, entry: Entry, changes: int) -> None:
        """After so many changes of its collection, an entry rests on what is still found there."""
        renewed = update(KEPT_ANSWERS).where(KEPT_ANSWERS.c.entry_id == entry.entry_id)
        with self._engine.begin() as connection:
            connection.execute(renewed.values(changes=changes))

    def delete(self, entry_id: str) -> None:
        """Delete an entry, if it is there."""
        with self._engine.begin() as connection:
            delete_entry(connection, entry_id)

    def delete_made_from(self, collection: str, document_ids: Sequence[str]) -> int:
        """Delete the answers that were made from one of these documents; gives how many."""
        columns = KEPT_ANSWER_DOCUMENTS.c
        deleted = 0
        with self._engine.begin() as connection:
            for first in range(0, len(document_ids), _AT_ONCE):
                theirs = select(columns.position).where(
                    columns.collection == collection,
                    columns.document_id.in_(document_ids[first : first + _AT_ONCE]),
                )
                gone = connection.execute(
                    delete(KEPT_ANSWERS).where(KEPT_ANSWERS.c.position.in_(theirs))
                )
                deleted += gone.rowcount
        return deleted

    def since(self) -> datetime:
        """What was kept before this is not given any more."""
        return self._now() - self._keep

    def _since(self) -> str:
        return _text(self.since())


def delete_entry(connection: Connection, entry_id: str) -> bool:
    """Delete an entry; gives whether it was there."""
    gone = delete(KEPT_ANSWERS).where(KEPT_ANSWERS.c.entry_id == entry_id)
    return bool(connection.execute(gone).rowcount)


def _insert(connection: Connection, entry: Entry, vector: Vector, now: str) -> None:
    row = {
        "entry_id": entry.entry_id,
        "tenant": entry.tenant,
        "collection": entry.collection,
        "binding": entry.binding,
        "wording": entry.wording,
        "question": entry.question,
        "vector": vector.astype(np.float32).tobytes(),
        "hits": entry.hits,
        "changes": entry.changes,
        "answer": _ANSWER.dump_json(entry.answer).decode(),
        "says": entry.says,
        "kept_at": now,
        "filters": entry.filters,
    }
    put = insert(KEPT_ANSWERS).values(row).returning(KEPT_ANSWERS.c.position)
    key = {"position": connection.scalar(put), "collection": entry.collection}
    rows = [{**key, "document_id": name} for name in sorted(entry.documents)]
    connection.execute(insert(KEPT_ANSWER_DOCUMENTS), rows)


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        tenant=row.tenant,
        collection=row.collection,
        binding=row.binding,
        wording=row.wording,
        question=row.question,
        hits=row.hits,
        changes=row.changes,
        answer=_ANSWER.validate_json(row.answer),
        says=row.says,
        filters=row.filters,
    )


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
