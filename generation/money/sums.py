"""Sums over the ledger and the answers: what `rag costs` shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, Table, case, func, select

from generation.money.amounts import to_usd
from generation.money.budgets import Account, Scope, Walls
from generation.money.tables import ANSWERS, BUDGETS, LEDGER

By = Literal["day", "key", "tenant", "tier", "stage", "model", "collection"]


@dataclass(frozen=True, slots=True)
class CostSum:
    """What calls and answers of one group came to.

    `answers` are those of its day, key, tenant, collection, or that its tier gave; None by stage
    and by model, as for all that is told of answers. Tokens and watt-hours are those that are
    known. `spent_usd` sums what is known; `unknown_calls` are the rest, which cost at most
    `unknown_at_most_usd`, None where one of them has no price at all. `baseline_usd` sums the known
    baselines of the answers, None where there is none. `saved_usd` is the least that was saved: the
    baseline without what was spent and what the unknown calls cost at most.
    """

    name: str
    calls: int
    answers: int | None
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    spent_usd: Decimal
    unknown_calls: int
    unknown_at_most_usd: Decimal | None
    baseline_usd: Decimal | None
    watt_hours: float | None

    @property
    def saved_usd(self) -> Decimal | None:
        """The least that was saved; None where the baseline or a cost is not bounded."""
        if self.baseline_usd is None or self.unknown_at_most_usd is None:
            return None
        return self.baseline_usd - self.spent_usd - self.unknown_at_most_usd


@dataclass(frozen=True, slots=True)
class WallState:
    """A wall, and what is taken of the room before it. `period` is a day or a month."""

    scope: Scope
    name: str
    period: str
    setting: str
    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal


def costs(
    engine: Engine,
    since: datetime | None,
    until: datetime | None,
    by: By,
    tenant: str | None = None,
) -> list[CostSum]:
    """Sums of what began in `[since, until)`, of each group that has any, by its name.

    Both are times with a time zone; None is without a bound. Days are those of UTC. Of a `tenant`
    alone, or (None) of all.
    """
    is_of_answers = by not in ("stage", "model")
    with engine.connect() as connection:
        lines = _by_name(connection, _grouped(LEDGER, _of_lines(), since, until, by, tenant=tenant))
        answers: dict[str, Row[Any]] = {}
        if is_of_answers:
            query = _grouped(ANSWERS, _of_answers(), since, until, by, tenant=tenant)
            answers = _by_name(connection, query)
    return [
        _cost_sum(name, lines.get(name), answers.get(name), is_of_answers)
        for name in sorted(lines.keys() | answers.keys())
    ]


def wall_states(engine: Engine, walls: Walls, now: datetime) -> list[WallState]:
    """The walls of the day and the month in which `now` is, in UTC.

    Of tenants and keys those that have spent anything then, and those with walls of their own.
    """
    at = _text(now)
    query = select(BUDGETS).where(BUDGETS.c.period.in_((at[:10], at[:7])))
    with engine.connect() as connection:
        taken = {Account(row.scope, row.name, row.period): row for row in connection.execute(query)}
    found = walls.of("service", "", at)
    names = {(account.scope, account.name) for account in taken if account.name}
    names |= {("tenant", name) for name in walls.tenants} | {("key", name) for name in walls.keys}
    for scope, name in sorted(names, reverse=True):
        found += walls.of(scope, name, at)
    return [
        WallState(
            wall.account.scope,
            wall.account.name,
            wall.account.period,
            wall.setting,
            to_usd(wall.limit),
            to_usd(taken[wall.account].spent_pico_usd if wall.account in taken else 0),
            to_usd(taken[wall.account].reserved_pico_usd if wall.account in taken else 0),
        )
        for wall in found
    ]


def _of_lines() -> list[ColumnElement[Any]]:
    columns = LEDGER.c
    is_unknown = columns.pico_usd.is_(None)
    return [
        func.count().label("calls"),
        func.sum(columns.input_tokens).label("input_tokens"),
        func.sum(columns.cached_input_tokens).label("cached_input_tokens"),
        func.sum(columns.output_tokens).label("output_tokens"),
        func.sum(columns.pico_usd).label("spent"),
        func.sum(case((is_unknown, 1), else_=0)).label("unknown_calls"),
        func.sum(case((is_unknown, columns.at_most_pico_usd))).label("unknown_at_most"),
        func.sum(case((is_unknown & columns.at_most_pico_usd.is_(None), 1), else_=0)).label(
            "unpriced_calls"
        ),
        func.sum(columns.watt_hours).label("watt_hours"),
    ]


def _of_answers() -> list[ColumnElement[Any]]:
    return [func.count().label("answers"), func.sum(ANSWERS.c.baseline_pico_usd).label("baseline")]


def _grouped(
    table: Table,
    sums: list[ColumnElement[Any]],
    since: datetime | None,
    until: datetime | None,
    by: By,
    *,
    tenant: str | None,
) -> Select[Any]:
    name = func.substr(table.c.at, 1, 10) if by == "day" else table.c[by]
    query = select(name.label("name"), *sums).group_by(name)
    if since is not None:
        query = query.where(table.c.at >= _text(since))
    if until is not None:
        query = query.where(table.c.at < _text(until))
    if tenant is not None:
        query = query.where(table.c.tenant == tenant)
    return query


def _by_name(connection: Connection, query: Select[Any]) -> dict[str, Row[Any]]:
    return {row.name: row for row in connection.execute(query)}


def _cost_sum(
    name: str, lines: Row[Any] | None, answers: Row[Any] | None, is_of_answers: bool
) -> CostSum:
    told = {} if lines is None else lines._asdict()
    spent = int(told.get("spent") or 0)
    unknown_at_most = None if told.get("unpriced_calls") else int(told.get("unknown_at_most") or 0)
    baseline = None if answers is None or answers.baseline is None else int(answers.baseline)
    return CostSum(
        name=name,
        calls=told.get("calls", 0),
        answers=(0 if answers is None else answers.answers) if is_of_answers else None,
        input_tokens=int(told.get("input_tokens") or 0),
        cached_input_tokens=int(told.get("cached_input_tokens") or 0),
        output_tokens=int(told.get("output_tokens") or 0),
        spent_usd=to_usd(spent),
        unknown_calls=told.get("unknown_calls", 0),
        unknown_at_most_usd=None if unknown_at_most is None else to_usd(unknown_at_most),
        baseline_usd=None if baseline is None else to_usd(baseline),
        watt_hours=told.get("watt_hours"),
    )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
