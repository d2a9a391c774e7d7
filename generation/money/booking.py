"""What is done to the tables of money, in one transaction for a whole batch.

One transaction at a time, among all services that share a state: it holds the only lock there is,
so what it reads stays true until it is committed, and none waits for another in a circle.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row

from generation.money.amounts import to_pico, to_pico_at_most
from generation.money.budgets import (
    Account,
    Obstacle,
    Room,
    Wall,
    Walls,
    accounts_of,
    find_obstacle,
)
from generation.money.statements import (
    ADD_TO_BUDGETS,
    END_EXPIRED,
    END_RESERVATIONS,
    INSERT_ANSWERS,
    INSERT_LINES,
    INSERT_RESERVATIONS,
    SELECT_BUDGETS,
    SELECT_LINES,
    SUM_BY_ANSWER,
)
from generation.money.tables import LEDGER
from rag.calls import LedgerLine
from rag.types import Question, Usage

_TURN = 0x7261_6703  # an advisory lock of PostgreSQL: nobody else's number
_TAKE_TURN = (
    "SET LOCAL lock_timeout = '20s'; SET LOCAL idle_in_transaction_session_timeout = '10s'; "
    f"SELECT pg_advisory_xact_lock({_TURN})"
)
_NEED_NOT_OUTLIVE_THE_MACHINE = "SET LOCAL synchronous_commit = off; "
_NO_USAGE = dict.fromkeys(asdict(Usage()))
_log = logging.getLogger(__name__)

Changes = defaultdict[Account, Room]
"""What is to be added to accounts."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call that wants to begin, for which `line.at_most_usd` is to be reserved."""

    line: LedgerLine
    question: Question
    hold_s: float


@dataclass(frozen=True, slots=True)
class Batch:
    """`answers` are rows; `ended` the lines of calls that ended; `released` the ids of those that
    never began; `requests` in the order in which they came.
    """

    answers: list[Mapping[str, Any]] = field(default_factory=list)
    ended: list[LedgerLine] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)


def book(engine: Engine, walls: Walls, batch: Batch, now: datetime) -> list[LedgerLine | Obstacle]:
    """Do all of it or, on a fault, nothing; it is durable when this returns.

    For each request: the line that stands for its reservation, or what is in the way. A reservation
    that has expired becomes the line that it stands for. A crash of PostgreSQL's machine may undo
    the last reservations, as it may the last commits of SQLite; their calls are settled all the
    same.
    """
    verdicts: list[LedgerLine | Obstacle] = []
    with engine.begin() as connection:
        if batch.ended or batch.released or batch.requests:
            _take_turn(connection, only_reserves=not (batch.ended or batch.answers))
            changes = Changes(Room)
            _settle(connection, batch, changes)
            if batch.requests:
                _settle_lost(connection, now, changes)
                verdicts = _reserve(connection, walls, batch.requests, now, changes)
            _add(connection, changes)
        if batch.answers:
            connection.execute(INSERT_ANSWERS, batch.answers)
    return verdicts


def book_lost(engine: Engine, now: datetime) -> int:
    """Turn the reservations that have expired into lines; gives how many."""
    with engine.begin() as connection:
        _take_turn(connection, only_reserves=False)
        changes = Changes(Room)
        lost = _settle_lost(connection, now, changes)
        _add(connection, changes)
        return lost


def _take_turn(connection: Connection, *, only_reserves: bool) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        before = _NEED_NOT_OUTLIVE_THE_MACHINE if only_reserves else ""
        connection.exec_driver_sql(before + _TAKE_TURN)


def _settle(connection: Connection, batch: Batch, changes: Changes) -> None:
    """End reservations: what is known of the calls goes to the ledger."""
    ids = [*(line.line_id for line in batch.ended), *batch.released]
    if not ids:
        return
    held = {row.line_id: row for row in connection.execute(END_RESERVATIONS, {"ids": ids})}
    gone = [line.line_id for line in batch.ended if line.line_id not in held]
    late: set[str] = set()
    if gone:
        late.update(connection.scalars(SELECT_LINES, {"ids": gone}))
    if late:
        _log.warning("%d calls ended later than their reservations: they stay lost", len(late))
    rows = [_row(line) for line in batch.ended if line.line_id not in late]
    if rows:
        connection.execute(INSERT_LINES, rows)
    _change(changes, held.values(), rows)


def _settle_lost(connection: Connection, now: datetime, changes: Changes) -> int:
    """End the reservations that have expired: nobody will tell what became of their calls."""
    lost = connection.execute(END_EXPIRED, {"now": _text(now)}).all()
    if lost:
        rows = [{column.name: getattr(row, column.name) for column in LEDGER.c} for row in lost]
        connection.execute(INSERT_LINES, rows)
        _change(changes, lost, rows)
        _log.warning("%d calls are lost: what they may have cost counts as spent", len(lost))
    return len(lost)


def _change(changes: Changes, held: Iterable[Row[Any]], rows: Iterable[Mapping[str, Any]]) -> None:
    for row in held:
        for account in accounts_of(row.tenant, row.key, row.at):
            changes[account].reserved -= row.at_most_pico_usd or 0
    for made in rows:
        for account in accounts_of(made["tenant"], made["key"], made["at"]):
            changes[account].spent += counted(made["pico_usd"], made["at_most_pico_usd"])


def counted(pico_usd: int | None, at_most_pico_usd: int | None) -> int:
    """What a budget counts of a line: the most that it can be, where it is unknown."""
    return (at_most_pico_usd or 0) if pico_usd is None else pico_usd


def _reserve(
    connection: Connection,
    walls: Walls,
    requests: Sequence[Request],
    now: datetime,
    changes: Changes,
) -> list[LedgerLine | Obstacle]:
    """Decide about all requests in order, and write down what is granted.

    One that has to wait keeps its place: what it may take is not given to those after it.
    """
    at = _text(now)
    before = [walls.before(request.question, at) for request in requests]
    rooms = _rooms(connection, [wall for some in before for wall in some], changes)
    verdicts: list[LedgerLine | Obstacle] = []
    rows = []
    for request, its_walls in zip(requests, before, strict=True):
        line = replace(request.line, at=at)
        row = _row(line)
        at_most = row["at_most_pico_usd"] or 0
        obstacle = find_obstacle(its_walls, at_most, rooms)
        verdicts.append(obstacle or line)
        if obstacle is None:
            rows.append(row | {"expires_at": _text(now + timedelta(seconds=request.hold_s))})
            for account in accounts_of(line.tenant, line.key, at):
                changes[account].reserved += at_most
        if obstacle is None or obstacle.may_pass:
            for wall in its_walls:
                rooms[wall.account].reserved += at_most
    if rows:
        connection.execute(INSERT_RESERVATIONS, rows)
    return verdicts


def _rooms(connection: Connection, walls: Sequence[Wall], changes: Changes) -> dict[Account, Room]:
    """What is taken of the accounts that have walls, with the changes not yet written."""
    rooms = {wall.account: Room() for wall in walls}
    answers = [account.name for account in rooms if account.scope == "answer"]
    summed = [account for account in rooms if account.scope != "answer"]
    if summed:
        wanted = {
            part: list({getattr(account, part) for account in summed})
            for part in ("scope", "name", "period")
        }
        for row in connection.execute(SELECT_BUDGETS, wanted):
            account = Account(row.scope, row.name, row.period)
            if account in rooms:
                rooms[account] = Room(row.spent_pico_usd, row.reserved_pico_usd)
    for account in summed:
        change = changes.get(account, Room())
        rooms[account].spent += change.spent
        rooms[account].reserved += change.reserved
    sums = connection.execute(SUM_BY_ANSWER, {"ids": answers}).all() if answers else ()
    for name, spent, reserved in sums:
        room = rooms[Account("answer", name, "")]
        room.spent += int(spent)
        room.reserved += int(reserved)
    return rooms


def _add(connection: Connection, changes: Changes) -> None:
    rows = [
        asdict(account) | asdict(change)
        for account, change in changes.items()
        if change.spent or change.reserved
    ]
    if rows:
        connection.execute(ADD_TO_BUDGETS, rows)


def _row(line: LedgerLine) -> dict[str, Any]:
    """A line as the tables hold it; what providers wrote, without signs that no text may have."""
    row = {column.name: getattr(line, column.name, None) for column in LEDGER.c}
    return row | {
        **(_NO_USAGE if line.usage is None else asdict(line.usage)),
        "reported": _clean(line.reported),
        "pico_usd": None if line.usd is None else to_pico(line.usd),
        "at_most_pico_usd": None if line.at_most_usd is None else to_pico_at_most(line.at_most_usd),
    }


def _clean(reported: str) -> str:
    return reported.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _text(at: datetime) -> str:
    """As all times of the tables are written, so that they sort."""
    return at.isoformat(timespec="microseconds")
