"""What was spent: what a caller may ask of the ledger, and the sums and walls that it gets.

Dollars are decimal strings, null where they are unknown or make no sense. Days are those of UTC.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.models.answers import dollars
from api.models.inputs import Input
from api.models.output import Output
from generation.money.budgets import period_end
from generation.money.sums import By, CostSum, WallState
from generation.reuse.verdicts import HitSum
from rag.errors import InputError

DAYS = 30
_FIRST, _LAST = date(2000, 1, 1), date(2999, 12, 31)


def _check_day(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
            raise ValueError
        day = date.fromisoformat(given)
    except ValueError:
        raise ValueError("give a day that exists, such as 2026-11-01") from None
    if not _FIRST <= day <= _LAST:
        raise ValueError(f"give a day from {_FIRST} to {_LAST}")
    return day


Day = Annotated[
    date,
    BeforeValidator(_check_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": "^2[0-9]{3}-"}),
]


class DaysIn(Input):
    """Which days."""

    since: Day | None = Field(
        default=None,
        description=f"First day, in UTC; unset: {DAYS} days, `until` the last of them.",
    )
    until: Day | None = Field(default=None, description="Last day, in UTC; unset: today.")

    def days(self, today: date) -> tuple[date, date]:
        """The first and the last day that are meant. Raises InputError."""
        until = self.until or today
        since = self.since or until - timedelta(days=DAYS - 1)
        if since > until:
            told = f"until is {until}" if self.until else f"today is {until} in UTC"
            raise InputError(f"since is {since}, and {told}: give an earlier day as since")
        return since, until


class CostsIn(DaysIn):
    """Which days of the ledger, and how they are grouped."""

    by: By = Field(default="day", description="What gets a row each.")


class CostsQuery(CostsIn):
    """The same, and how it is written."""

    format: Literal["json", "csv"] = Field(
        default="json", description="csv: the rows alone, a header first."
    )


class SumOut(Output):
    """What calls and answers under one name came to.

    `name` is empty for who gave none. Tokens and watt-hours, an estimate, are those that are known.
    `spent_usd` leaves out the `unknown_calls`: together they cost `unknown_at_most_usd` at most,
    null where one of them has no price. `saved_usd` is the least that was saved: all of that taken
    from the baseline. By stage and by model, answers and all that is told of them are null.
    """

    name: str
    calls: int
    answers: int | None
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    spent_usd: str
    unknown_calls: int
    unknown_at_most_usd: str | None
    baseline_usd: str | None
    saved_usd: str | None
    watt_hours: float | None

    @classmethod
    def of(cls, found: CostSum) -> SumOut:
        watt_hours = None if found.watt_hours is None else round(found.watt_hours, 6)
        return cls(**_told(found, cls) | {"watt_hours": watt_hours})


class WallOut(Output):
    """A budget of this day or this month, and what is taken of it now.

    `name` is that of the tenant or the key, empty for the whole service. `reserved_usd` is kept
    for calls that still run.
    """

    scope: str
    name: str
    period: str
    limit_usd: str
    spent_usd: str
    reserved_usd: str
    resets_at: datetime

    @classmethod
    def of(cls, state: WallState) -> WallOut:
        return cls(**_told(state, cls), resets_at=period_end(state.period))


class ReuseOut(Output):
    """Answers that were given again: `given` of them, a share `of_all` answers, 0 to 1.

    `saved_usd` is against the baseline, as making them took no call. `judged` is what is known of
    them: verdicts of people, and fresh answers that were made in the stead of some, at random, to
    compare. Of these `wrong` were wrong, a share `wrong_share`, 0 to 1; in the long run at most
    `wrong_at_most`, by a chance of 95 in 100. Shares are null where there is nothing to share.
    """

    given: int
    of_all: float | None
    saved_usd: str | None
    judged: int
    wrong: int
    wrong_share: float | None
    wrong_at_most: float | None

    @classmethod
    def of(cls, given: CostSum | None, answers: int, known: HitSum) -> ReuseOut:
        count = 0 if given is None else given.answers or 0
        return cls(
            given=count,
            of_all=round(count / answers, 6) if answers else None,
            saved_usd=dollars(None if given is None else given.saved_usd),
            judged=known.judged,
            wrong=known.wrong,
            wrong_share=round(known.wrong / known.judged, 6) if known.judged else None,
            wrong_at_most=round(known.wrong_at_most, 6) if known.judged else None,
        )


class CostsOut(Output):
    """The sums of the days from `since` to `until`, both included, and the budgets as they are."""

    since: date
    until: date
    by: By
    rows: list[SumOut]
    total: SumOut
    reuse: ReuseOut
    walls: list[WallOut]


def _told(value: CostSum | WallState, model: type[Output]) -> dict[str, Any]:
    """The fields that both have, dollars as strings."""
    names = [name for name in model.model_fields if hasattr(value, name)]
    values = {name: getattr(value, name) for name in names}
    return values | {name: dollars(values[name]) for name in names if name.endswith("_usd")}
