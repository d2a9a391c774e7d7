"""Pinned answers as SQL holds them: each one that a person approved, until it is removed.

One that expires is not given any longer and stays listed with the reason, so that a person can
approve it anew. Nothing here decides whether one stands: `pinned` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, bindparam, delete, func, insert, select, update

from generation.reuse.binding import hash_of, saying_of
from generation.reuse.entries import Entry, KeptQuestion
from generation.reuse.normal import normalised
from generation.reuse.tables import KEPT_ANSWERS, PIN_DOCUMENTS, PINS, REUSES
from rag.errors import ConflictError, NotFoundError
from rag.types import Answer, Vector

MOST_PINS = 1_000
"""Of one tenant in one collection, the expired ones included."""

_AT_ONCE = 500  # names in one query
_ANSWER = TypeAdapter(Answer)
_STANDS = PINS.c.expired_at.is_(None)
_BY_WORDING = select(PINS).where(
    PINS.c.scope == bindparam("scope"), PINS.c.wording == bindparam("wording"), _STANDS
)
_BY_ID = select(PINS).where(PINS.c.pin_id == bindparam("pin_id"), _STANDS)
_THERE = select(PINS.c.pin_id).where(
    PINS.c.pin_id.in_(bindparam("pin_ids", expanding=True)), _STANDS
)
_AFTER = (
    select(
        PINS.c.position, PINS.c.pin_id, PINS.c.scope, PINS.c.question, PINS.c.says, PINS.c.vector
    )
    .where(PINS.c.position > bindparam("position"), _STANDS)
    .order_by(PINS.c.position)
)
"""These are made once, since every question asks them."""


@dataclass(frozen=True, slots=True)
class Pin:
    """An answer that a person approved, under its id, and the questions that it is for.

    They are those of the same words, in this scope: of a tenant and a collection, with these
    `filters`, in JSON. `versions` are those that the cited documents had, by document, and
    `changes` those of the collection when that was last looked at. The answer has no text where one
    of its documents is gone.
    """

    tenant: str
    collection: str
    filters: str
    scope: str
    question: str
    answer: Answer
    versions: Mapping[str, str]
    changes: int
    pinned_at: str = ""
    expired_at: str | None = None
    expired_because: str | None = None

    @property
    def pin_id(self) -> str:
        """Its id, which is also that of its answer."""
        return self.answer.answer_id

    @property
    def wording(self) -> str:
        """Equal for questions of the same words."""
        return hash_of(normalised(self.question))


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Pins:
    """The pins in the tables of `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now
        self.is_file = engine.dialect.name == "sqlite"

    def find(self, scope: str, wording: str) -> Entry | None:
        """The one that stands for a question of these words."""
        with self._engine.connect() as connection:
            row = connection.execute(_BY_WORDING, {"scope": scope, "wording": wording}).first()
        return None if row is None else _entry(row)

    def load(self, pin_id: str) -> Entry | None:
        """The one of this id, if it stands."""
        with self._engine.connect() as connection:
            row = connection.execute(_BY_ID, {"pin_id": pin_id}).first()
        return None if row is None else _entry(row)

    def still_there(self, pin_ids: Sequence[str]) -> set[str]:
        """Those of these that stand."""
        with self._engine.connect() as connection:
            return set(connection.scalars(_THERE, {"pin_ids": list(pin_ids)}))

    def questions_after(self, position: int) -> list[KeptQuestion]:
        """The questions that were pinned behind a position, in order; 0 is before all."""
        with self._engine.connect() as connection:
            return [
                KeptQuestion(*row[:-1], np.frombuffer(row[-1], np.float32))
                for row in connection.execute(_AFTER, {"position": position})
            ]

    def put(self, pin: Pin, vector: Vector, instead_of: str | None = None) -> Pin:
        """Pin an answer instead of the one for the same words; gives it with its time.

        The answers that were kept for these words go, and so do those that say what the person has
        corrected: `instead_of`, as their entries say it. Raises ConflictError past the limit.
        """
        pin = replace(pin, pinned_at=self._time())
        kept = KEPT_ANSWERS.c
        ours = (kept.tenant == pin.tenant, kept.collection == pin.collection)
        same_words = (PINS.c.scope == pin.scope, PINS.c.wording == pin.wording)
        with self._engine.begin() as connection:
            connection.execute(delete(PINS).where(*same_words))
            _check_room(connection, pin)
            _insert(connection, pin, vector)
            connection.execute(delete(KEPT_ANSWERS).where(*ours, kept.wording == pin.wording))
            if instead_of is not None:
                connection.execute(delete(KEPT_ANSWERS).where(*ours, kept.says == instead_of))
        return pin

    def pins(self, tenant: str | None, collection: str | None) -> list[Pin]:
        """All, the expired ones too, oldest first; None is any tenant, or any collection."""
        query = select(PINS).order_by(PINS.c.position)
        if tenant is not None:
            query = query.where(PINS.c.tenant == tenant)
        if collection is not None:
            query = query.where(PINS.c.collection == collection)
        with self._engine.connect() as connection:
            return _pins(connection, connection.execute(query).all())

    def citing(self, collection: str, document_ids: Sequence[str]) -> list[Pin]:
        """Those that cite one of these documents, the expired ones too."""
        columns = PIN_DOCUMENTS.c
        found: dict[str, Pin] = {}
        with self._engine.connect() as connection:
            for first in range(0, len(document_ids), _AT_ONCE):
                theirs = select(columns.position).where(
                    columns.collection == collection,
                    columns.document_id.in_(document_ids[first : first + _AT_ONCE]),
                )
                rows = connection.execute(select(PINS).where(PINS.c.position.in_(theirs))).all()
                found |= {pin.pin_id: pin for pin in _pins(connection, rows)}
        return list(found.values())

    def pin(self, pin_id: str) -> Pin | None:
        """The one of this id, also where it has expired."""
        query = select(PINS).where(PINS.c.pin_id == pin_id)
        with self._engine.connect() as connection:
            return next(iter(_pins(connection, connection.execute(query).all())), None)

    def said_wrong(self) -> dict[str, int]:
        """By pin, how often somebody said that it was wrong when it was given."""
        wrong = REUSES.c.was_given & REUSES.c.is_right.is_(False)
        query = select(REUSES.c.entry_id, func.count()).join(
            PINS, PINS.c.pin_id == REUSES.c.entry_id
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(wrong).group_by(REUSES.c.entry_id))
            return {row[0]: row[1] for row in rows}

    def renew(self, pin_id: str, changes: int) -> None:
        """After so many changes of its collection, a pin still stands."""
        self._update(pin_id, {"changes": changes})

    def expire(self, pin_id: str, why: str) -> None:
        """Give it no longer, for this reason; its answer stays to be read by who pins."""
        self._update(pin_id, {"expired_at": self._time(), "expired_because": why})

    def erase(self, pin: Pin, why: str) -> None:
        """As `expire`, and delete its answer: nothing of it is left but the question."""
        nothing = replace(pin.answer, text="", citations=())
        erased = {"answer": _ANSWER.dump_json(nothing).decode(), "says": ""}
        expired = {"expired_at": self._time(), "expired_because": why}
        with self._engine.begin() as connection:
            theirs = select(PINS.c.position).where(PINS.c.pin_id == pin.pin_id).scalar_subquery()
            connection.execute(delete(PIN_DOCUMENTS).where(PIN_DOCUMENTS.c.position == theirs))
            connection.execute(
                update(PINS).where(PINS.c.pin_id == pin.pin_id).values(erased | expired)
            )

    def remove(self, pin_id: str, tenant: str | None) -> Pin:
        """Delete a pin and give what it was. Raises NotFoundError for none of this tenant's."""
        is_it = PINS.c.pin_id == pin_id
        if tenant is not None:
            is_it &= PINS.c.tenant == tenant
        with self._engine.begin() as connection:
            found = _pins(connection, connection.execute(select(PINS).where(is_it)).all())
            if not found:
                raise NotFoundError(
                    f"there is no pinned answer {pin_id!r}: `rag pins list` shows those that are"
                )
            connection.execute(delete(PINS).where(is_it))
        return found[0]

    def _update(self, pin_id: str, values: Mapping[str, object]) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(PINS).where(PINS.c.pin_id == pin_id).values(values))

    def _time(self) -> str:
        return self._now().isoformat(timespec="microseconds")


def _check_room(connection: Connection, pin: Pin) -> None:
    ours = (PINS.c.tenant == pin.tenant, PINS.c.collection == pin.collection)
    count = connection.scalar(select(func.count()).select_from(PINS).where(*ours)) or 0
    if count >= MOST_PINS:
        raise ConflictError(
            f"collection {pin.collection!r} has {count:,} pinned answers, the limit is "
            f"{MOST_PINS:,}: remove one before you pin another"
        )


def _insert(connection: Connection, pin: Pin, vector: Vector) -> None:
    row = {
        "pin_id": pin.pin_id,
        "tenant": pin.tenant,
        "collection": pin.collection,
        "filters": pin.filters,
        "scope": pin.scope,
        "wording": pin.wording,
        "question": pin.question,
        "vector": vector.astype(np.float32).tobytes(),
        "answer": _ANSWER.dump_json(pin.answer).decode(),
        "says": saying_of(pin.answer),
        "changes": pin.changes,
        "pinned_at": pin.pinned_at,
    }
    position = connection.scalar(insert(PINS).values(row).returning(PINS.c.position))
    key = {"position": position, "collection": pin.collection}
    rows = [{**key, "document_id": name, "version": own} for name, own in pin.versions.items()]
    connection.execute(insert(PIN_DOCUMENTS), rows)


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        tenant=row.tenant,
        collection=row.collection,
        binding=row.scope,
        wording=row.wording,
        question=row.question,
        hits="",
        changes=row.changes,
        answer=_ANSWER.validate_json(row.answer),
        says=row.says,
        filters=row.filters,
        is_pinned=True,
    )


def _pins(connection: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> list[Pin]:
    columns = PIN_DOCUMENTS.c
    versions: dict[int, dict[str, str]] = {row.position: {} for row in rows}
    for first in range(0, len(rows), _AT_ONCE):
        some = [row.position for row in rows[first : first + _AT_ONCE]]
        for one in connection.execute(select(PIN_DOCUMENTS).where(columns.position.in_(some))):
            versions[one.position][one.document_id] = one.version
    return [
        Pin(
            tenant=row.tenant,
            collection=row.collection,
            filters=row.filters,
            scope=row.scope,
            question=row.question,
            answer=_ANSWER.validate_json(row.answer),
            versions=versions[row.position],
            changes=row.changes,
            pinned_at=row.pinned_at,
            expired_at=row.expired_at,
            expired_because=row.expired_because,
        )
        for row in rows
    ]
