"""The statements over the tables of money, made once: making one takes as long as running it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
)

from generation.money.tables import ANSWERS, BUDGETS, LEDGER, RESERVATIONS


def _any_of(name: str) -> BindParameter[Any]:
    return bindparam(name, expanding=True)


def _taken(table: Table) -> ColumnElement[Any]:
    """What a budget counts of lines: the most that they can be, where that is unknown."""
    return func.sum(func.coalesce(table.c.pico_usd, table.c.at_most_pico_usd, 0))


def _by_answer(
    table: Table, spent: ColumnElement[Any], reserved: ColumnElement[Any]
) -> Select[Any]:
    its = select(table.c.answer_id, spent, reserved).where(table.c.answer_id.in_(_any_of("ids")))
    return its.group_by(table.c.answer_id)


INSERT_ANSWERS = insert(ANSWERS)
INSERT_LINES = insert(LEDGER)
INSERT_RESERVATIONS = insert(RESERVATIONS)
END_RESERVATIONS = (
    delete(RESERVATIONS).where(RESERVATIONS.c.line_id.in_(_any_of("ids"))).returning(RESERVATIONS)
)
END_EXPIRED = (
    delete(RESERVATIONS).where(RESERVATIONS.c.expires_at < bindparam("now")).returning(RESERVATIONS)
)
SELECT_LINES = select(LEDGER.c.line_id).where(LEDGER.c.line_id.in_(_any_of("ids")))
SELECT_BUDGETS = select(BUDGETS).where(
    *(BUDGETS.c[part].in_(_any_of(part)) for part in ("scope", "name", "period"))
)
SUM_BY_ANSWER = union_all(
    _by_answer(LEDGER, _taken(LEDGER), literal(0)),
    _by_answer(RESERVATIONS, literal(0), _taken(RESERVATIONS)),
)
"""By answer, what is spent and nothing, or nothing and what is reserved."""
ADD_TO_BUDGETS = text(
    "INSERT INTO budgets (scope, name, period, spent_pico_usd, reserved_pico_usd) "
    "VALUES (:scope, :name, :period, :spent, :reserved) "
    "ON CONFLICT (scope, name, period) DO UPDATE SET "
    "spent_pico_usd = budgets.spent_pico_usd + excluded.spent_pico_usd, "
    "reserved_pico_usd = budgets.reserved_pico_usd + excluded.reserved_pico_usd"
)
