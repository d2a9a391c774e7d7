"""Prices for tests: so many dollars a token, and whoever asks the state what was spent."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, select

from generation.money.budgets import Account, Room, accounts_of
from generation.money.tables import BUDGETS, LEDGER, RESERVATIONS
from rag.calls import Charge, ModelCall
from rag.types import Usage


class OutputPricing:
    """A Pricing by the token written; None is unknown. `ended` counts the meters that were read."""

    def __init__(self, usd_per_token: Decimal | None) -> None:
        self._usd = usd_per_token
        self.ended = 0

    def at_most_usd(self, call: ModelCall) -> Decimal | None:
        return None if self._usd is None else self._usd * call.max_output_tokens

    def begin(self) -> OutputPricing:
        return self

    def end(self, usage: Usage | None) -> Charge:
        self.ended += 1
        is_known = usage is not None and self._usd is not None
        usd = self._usd * usage.output_tokens if is_known else None  # type: ignore[union-attr,operator]
        return Charge(usd, '{"output": "made up"}')


def lines_of(engine: Engine) -> list[Any]:
    """The rows of the ledger, in order of time."""
    with engine.connect() as connection:
        return list(connection.execute(select(LEDGER).order_by(LEDGER.c.at, LEDGER.c.line_id)))


def rooms_of(engine: Engine) -> dict[Account, Room]:
    """What stands in the budgets."""
    with engine.connect() as connection:
        rows = connection.execute(select(BUDGETS)).all()
    return {
        Account(row.scope, row.name, row.period): Room(row.spent_pico_usd, row.reserved_pico_usd)
        for row in rows
    }


def reservations_of(engine: Engine) -> list[Any]:
    """The rows of what is reserved."""
    with engine.connect() as connection:
        return list(connection.execute(select(RESERVATIONS)))


def check_sums(engine: Engine) -> None:
    """The budgets say what the ledger and the reservations add up to."""
    summed: dict[Account, Room] = defaultdict(Room)
    for row in lines_of(engine):
        for account in accounts_of(row.tenant, row.key, row.at):
            known, at_most = row.pico_usd, row.at_most_pico_usd or 0
            summed[account].spent += at_most if known is None else known
    for row in reservations_of(engine):
        for account in accounts_of(row.tenant, row.key, row.at):
            summed[account].reserved += row.at_most_pico_usd or 0
    empty = Room()
    assert {a: room for a, room in rooms_of(engine).items() if room != empty} == {
        a: room for a, room in summed.items() if room != empty
    }
