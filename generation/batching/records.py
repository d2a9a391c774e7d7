"""The batches as SQL keeps them, and what the ledger knows of their calls.

Every step from one state of a batch to the next is one transaction:

    reserving   its questions are there; nothing was sent
    sending     the batch may have been sent; its calls are reserved
    submitted   the provider has it
    ended       every question has its answer; nothing else is kept
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, Engine, delete, insert, select, update

from generation.batching.entries import Entry, Given, given_from, to_json, waiting_from
from generation.batching.tables import BATCH_ENTRIES, BATCHES
from generation.money.amounts import to_pico_at_most, to_usd
from generation.money.tables import ANSWERS, LEDGER, RESERVATIONS
from rag.calls import LedgerLine
from rag.types import CostLine

State = Literal["reserving", "sending", "submitted", "ended"]
_AT_ONCE = 500  # names in one query


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch and its entries, in the order in which they were asked."""

    batch_id: str
    tenant: str
    key: str
    state: State
    provider: str
    model: str
    sent_as: str
    at_most_usd: Decimal
    entries: tuple[Entry, ...]


class BatchRecords:
    """The tables of batches in `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, batch_id: str) -> BatchRecord | None:
        """The batch of this id."""
        its_entries = select(BATCH_ENTRIES).where(BATCH_ENTRIES.c.batch_id == batch_id)
        with self._engine.connect() as connection:
            row = connection.execute(
                select(BATCHES).where(BATCHES.c.batch_id == batch_id)
            ).one_or_none()
            if row is None:
                return None
            rows = connection.execute(its_entries.order_by(BATCH_ENTRIES.c.position)).all()
        entries = [
            Entry(
                one.question_id, given_from(one.given) if one.given else waiting_from(one.waiting)
            )
            for one in rows
        ]
        at_most = to_usd(row.at_most_pico_usd)
        return BatchRecord(
            row.batch_id,
            row.tenant,
            row.key,
            row.state,
            row.provider,
            row.model,
            row.sent_as,
            at_most,
            tuple(entries),
        )

    def save(self, record: BatchRecord, now: datetime) -> None:
        """Write the batch as it is now, whatever stood there before."""
        with self._engine.begin() as connection:
            _delete(connection, record.batch_id)
            connection.execute(
                insert(BATCHES),
                {
                    "batch_id": record.batch_id,
                    "tenant": record.tenant,
                    "key": record.key,
                    "state": record.state,
                    "provider": record.provider,
                    "model": record.model,
                    "sent_as": record.sent_as,
                    "at_most_pico_usd": to_pico_at_most(record.at_most_usd),
                    "changed_at": now.isoformat(timespec="microseconds"),
                },
            )
            rows = [
                _row(record.batch_id, position, entry)
                for position, entry in enumerate(record.entries)
            ]
            connection.execute(insert(BATCH_ENTRIES), rows)

    def submitted(self, batch_id: str, sent_as: str, now: datetime) -> None:
        """The provider has taken the batch, and calls it so."""
        with self._engine.begin() as connection:
            connection.execute(
                update(BATCHES)
                .where(BATCHES.c.batch_id == batch_id)
                .values(
                    state="submitted",
                    sent_as=sent_as,
                    changed_at=now.isoformat(timespec="microseconds"),
                )
            )

    def delete(self, batch_id: str) -> None:
        """Forget the batch, if it is there."""
        with self._engine.begin() as connection:
            _delete(connection, batch_id)

    def delete_old(self, before: datetime) -> int:
        """Forget the batches to which nothing has happened since then; gives how many."""
        is_old = BATCHES.c.changed_at < before.isoformat(timespec="microseconds")
        with self._engine.begin() as connection:
            return connection.execute(delete(BATCHES).where(is_old)).rowcount

    def reserved(self, answer_ids: Sequence[str]) -> dict[str, LedgerLine]:
        """By answer, what stands for the call that is reserved for it."""
        fields = [name for name in LedgerLine.__slots__ if name in RESERVATIONS.c]
        lines = {}
        with self._engine.connect() as connection:
            for some in _parts(answer_ids):
                query = select(RESERVATIONS).where(RESERVATIONS.c.answer_id.in_(some))
                for row in connection.execute(query):
                    lines[row.answer_id] = LedgerLine(
                        **{name: getattr(row, name) for name in fields},
                        usage=None,
                        usd=None,
                        at_most_usd=_dollars(row.at_most_pico_usd),
                    )
        return lines

    def bill(self, answer_ids: Sequence[str]) -> dict[str, CostLine]:
        """By answer, what its call came to, as it stands in the ledger."""
        found = {}
        with self._engine.connect() as connection:
            for some in _parts(answer_ids):
                query = select(LEDGER).where(LEDGER.c.answer_id.in_(some))
                for row in connection.execute(query):
                    usd, at_most = _dollars(row.pico_usd), _dollars(row.at_most_pico_usd)
                    found[row.answer_id] = CostLine(
                        row.stage, row.model, usd, row.ms, at_most if usd is None else None
                    )
        return found

    def recorded(self, answer_ids: Sequence[str]) -> set[str]:
        """Which of these answers the ledger has."""
        found: set[str] = set()
        with self._engine.connect() as connection:
            for some in _parts(answer_ids):
                query = select(ANSWERS.c.answer_id).where(ANSWERS.c.answer_id.in_(some))
                found.update(connection.scalars(query))
        return found


def _row(batch_id: str, position: int, entry: Entry) -> dict[str, object]:
    kept, is_given = to_json(entry.form), isinstance(entry.form, Given)
    return {
        "batch_id": batch_id,
        "position": position,
        "question_id": entry.question_id,
        "waiting": "" if is_given else kept,
        "given": kept if is_given else "",
    }


def _delete(connection: Connection, batch_id: str) -> None:
    connection.execute(delete(BATCHES).where(BATCHES.c.batch_id == batch_id))


def _dollars(pico_usd: int | None) -> Decimal | None:
    return None if pico_usd is None else to_usd(pico_usd)


def _parts(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
