"""What any door tells of spending: sums of the ledger, and the budgets as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from api.keys.reach import EVERYTHING, Reach
from api.keys.records import KeyRecords
from api.models.costs import CostsIn, CostsOut, ReuseOut, SumOut, WallOut
from generation.money.budgets import with_key_walls
from generation.money.sums import CostSum, WallState, costs, wall_states
from generation.reuse.tables import REUSES
from generation.reuse.verdicts import Verdicts

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine

N = TypeVar("N", Decimal, float)


async def look_up_costs(
    application: Application,
    asked: CostsIn,
    reach: Reach = EVERYTHING,
    now: datetime | None = None,
) -> CostsOut:
    """The sums that are asked for, and the budgets at the time `now`, which is this moment.

    Of one tenant alone, where the reach is no further. Raises InputError, StateError.
    """
    return await asyncio.to_thread(_look_up, application, asked, reach, now or datetime.now(UTC))


def _look_up(application: Application, asked: CostsIn, reach: Reach, now: datetime) -> CostsOut:
    since, until = asked.days(now.date())
    begin, end = _midnight(since), _midnight(until + timedelta(days=1))
    tenant = reach.tenant
    rows = costs(application.state, begin, end, asked.by, tenant)
    tiers = rows if asked.by == "tier" else costs(application.state, begin, end, "tier", tenant)
    total = _total(tiers)
    again = next((one for one in tiers if one.name == "cache"), None)
    known = Verdicts(application.state).sum(begin, end, reach.within(REUSES.c.collection))
    if asked.by == "collection":
        rows = [replace(row, name=reach.shown(row.name)) for row in rows]
    return CostsOut(
        since=since,
        until=until,
        by=asked.by,
        rows=[SumOut.of(row) for row in rows],
        total=SumOut.of(total),
        reuse=ReuseOut.of(again, total.answers or 0, known),
        walls=[WallOut.of(state) for state in walls_within(application, tenant, now)],
    )


def walls_within(application: Application, tenant: str | None, now: datetime) -> list[WallState]:
    """The walls of the settings and of the keys; of a tenant, its own and those of its keys."""
    made = [kept.key for kept in KeyRecords(application.state).all() if kept.revoked_at is None]
    walls = with_key_walls(
        application.answering.walls, {key.name: (key.day_usd, key.month_usd) for key in made}
    )
    states = wall_states(application.state, walls, now)
    if tenant is None:
        return states
    own = {("key", key.name) for key in made if key.tenant == tenant} | {("tenant", tenant)}
    return [state for state in states if (state.scope, state.name) in own]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _total(parts: Sequence[CostSum]) -> CostSum:
    """All groups together; they share no call and no answer."""
    spent = sum((one.spent_usd for one in parts), Decimal(0))
    at_most = _sum_if_all(one.unknown_at_most_usd for one in parts)
    baseline = _sum_of_known(one.baseline_usd for one in parts)
    return CostSum(
        name="total",
        calls=sum(one.calls for one in parts),
        answers=sum(one.answers or 0 for one in parts),
        input_tokens=sum(one.input_tokens for one in parts),
        cached_input_tokens=sum(one.cached_input_tokens for one in parts),
        output_tokens=sum(one.output_tokens for one in parts),
        spent_usd=spent,
        unknown_calls=sum(one.unknown_calls for one in parts),
        unknown_at_most_usd=at_most,
        baseline_usd=baseline,
        watt_hours=_sum_of_known(one.watt_hours for one in parts),
    )


def _sum_of_known(values: Iterable[N | None]) -> N | None:
    """The sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


def _sum_if_all(values: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None where one of them is unknown."""
    total = Decimal(0)
    for value in values:
        if value is None:
            return None
        total += value
    return total
