"""Walls of spending, and whether what a call may cost fits before them.

A wall stands before the calls of one answer, or before those of a day or a month (in UTC): of the
whole service, of a tenant, of a key. Who gave no name has no wall of a tenant or a key. Everything
is in whole pico-dollars but for the limits that people write. Knows no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from generation.money.amounts import shown, to_pico_limit
from rag.errors import BudgetError, SettingsError
from rag.types import Question

Scope = Literal["answer", "service", "tenant", "key"]
Limits = tuple[Decimal | None, Decimal | None]
"""Dollars in a day and in a month; None where there is no wall."""


@dataclass(frozen=True, slots=True)
class Account:
    """What is summed: the spending of a name in a period, 2026-10-05 or 2026-10.

    Empty are the name of the service, and the period of an answer.
    """

    scope: Scope
    name: str
    period: str


@dataclass(frozen=True, slots=True)
class Wall:
    """The most that an account may come to; `setting` is where that is set.

    Of one that `is_shared` the caller is not told how full it is: others fill it too.
    """

    account: Account
    limit: int
    setting: str
    is_shared: bool = False


@dataclass(slots=True)
class Room:
    """What is taken of an account."""

    spent: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Walls:
    """All walls, in dollars; None where there is none.

    Each tenant and each key has its own room. `tenants` and `keys` are the limits of those that
    are named there, instead of the ones for all. Raises SettingsError for a negative one.
    """

    request_usd: Decimal | None = None
    day_usd: Decimal | None = None
    month_usd: Decimal | None = None
    tenant_day_usd: Decimal | None = None
    tenant_month_usd: Decimal | None = None
    key_day_usd: Decimal | None = None
    key_month_usd: Decimal | None = None
    tenants: Mapping[str, Limits] = field(default_factory=dict)
    keys: Mapping[str, Limits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in self.__slots__ if name.endswith("_usd")}
        for group in ("tenants", "keys"):
            for name, (day, month) in getattr(self, group).items():
                given |= {f"{group}.{name}.day_usd": day, f"{group}.{name}.month_usd": month}
        for name, limit in given.items():
            if limit is not None and not limit >= 0:
                raise SettingsError(
                    f"budgets.{name} is {limit}, the least is 0: give dollars, or leave it unset"
                )

    def before(self, question: Question, at: str) -> list[Wall]:
        """The walls that stand before a call for `question` that begins at `at` (ISO 8601)."""
        own = {question.key: (question.key_day_usd, question.key_month_usd)}
        shared = self.of("service", "", at)
        return [
            *_wall_of_answer(self.request_usd, question),
            *(replace(wall, is_shared=question.is_of_stranger) for wall in shared),
            *(self.of("tenant", question.tenant, at) if question.tenant else ()),
            *(with_key_walls(self, own).of("key", question.key, at) if question.key else ()),
        ]

    def of(self, scope: Scope, name: str, at: str) -> list[Wall]:
        """The walls of the day and the month of one name."""
        if scope == "service":
            limits, setting = (self.day_usd, self.month_usd), "budgets."
        elif scope == "tenant":
            limits, setting = (self.tenant_day_usd, self.tenant_month_usd), "budgets.tenant_"
        elif scope == "key":
            limits, setting = (self.key_day_usd, self.key_month_usd), "budgets.key_"
        else:  # one answer has no day
            return []
        own = {"tenant": self.tenants, "key": self.keys}.get(scope, {})
        if name in own:
            limits, setting = own[name], f"budgets.{scope}s.{name}."
        periods = ((at[:10], "day_usd"), (at[:7], "month_usd"))
        return [
            Wall(Account(scope, name, period), to_pico_limit(limit), setting + unit)
            for limit, (period, unit) in zip(limits, periods, strict=True)
            if limit is not None
        ]


def with_key_walls(walls: Walls, made: Mapping[str, Limits]) -> Walls:
    """The same with the walls that keys were `made` with.

    Where the settings name a key too, or have a wall for all keys, the lower one stands.
    """
    given = {name: limits for name, limits in made.items() if limits != (None, None)}
    if not given:
        return walls
    usual = (walls.key_day_usd, walls.key_month_usd)
    lower: dict[str, Limits] = {}
    for name, (day, month) in given.items():
        set_day, set_month = walls.keys.get(name, usual)
        lower[name] = _lower(set_day, day), _lower(set_month, month)
    return replace(walls, keys={**walls.keys, **lower})


def _lower(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A wall that a call which may take `at_most` would pass.

    It `may_pass` when the calls that run now turn out cheaper than what is reserved for them.
    """

    wall: Wall
    room: Room
    at_most: int
    may_pass: bool

    def error(self, now: datetime) -> BudgetError:
        """What the caller is told."""
        account, room = self.wall.account, self.room
        limit, taken = shown(self.wall.limit), f"{shown(room.spent)} is spent"
        if room.reserved:
            taken += f", {shown(room.reserved)} is reserved by calls that still run"
        if self.wall.is_shared:
            limit, taken = "used up", "others spend from it too"
        mend, wait_s = f"raise {self.wall.setting}", None
        if account.period:
            reset = period_end(account.period)
            wait_s = max(0.0, (reset - now).total_seconds())
            mend = f"wait until {reset:%Y-%m-%d %H:%M} UTC, or {mend}"
        return BudgetError(
            f"the budget of {_named(account)} is {limit}: {taken}, and this call "
            f"may take {shown(self.at_most)}: {mend}",
            retry_after_s=wait_s,
        )


def find_obstacle(
    walls: Iterable[Wall], at_most: int, rooms: Mapping[Account, Room]
) -> Obstacle | None:
    """The first wall that the call would pass; one that will stay before one that may pass."""
    found = None
    for wall in walls if at_most else ():
        room = rooms[wall.account]
        if room.spent + at_most > wall.limit:
            return Obstacle(wall, Room(room.spent, room.reserved), at_most, may_pass=False)
        if found is None and room.spent + room.reserved + at_most > wall.limit:
            found = Obstacle(wall, Room(room.spent, room.reserved), at_most, may_pass=True)
    return found


def accounts_of(tenant: str, key: str, at: str) -> list[Account]:
    """The accounts that a call which began at `at` is booked to, whether they have walls or not."""
    names: list[tuple[Scope, str]] = [("service", "")]
    names += [("tenant", tenant)] if tenant else []
    names += [("key", key)] if key else []
    return [Account(scope, name, period) for scope, name in names for period in (at[:10], at[:7])]


def period_end(period: str) -> datetime:
    """When a day or a month is over."""
    if len(period) == len("2026-10"):
        first = datetime.fromisoformat(f"{period}-01").replace(tzinfo=UTC)
        return (first + timedelta(days=31)).replace(day=1)
    return datetime.fromisoformat(period).replace(tzinfo=UTC) + timedelta(days=1)


def _wall_of_answer(request_usd: Decimal | None, question: Question) -> list[Wall]:
    given = {"budgets.request_usd": request_usd, "max_cost_usd": question.max_cost_usd}
    limits = {setting: limit for setting, limit in given.items() if limit is not None}
    if not limits:
        return []
    setting = min(limits, key=lambda name: limits[name])
    account = Account("answer", question.answer_id, "")
    return [Wall(account, to_pico_limit(limits[setting]), setting)]


def _named(account: Account) -> str:
    if account.scope == "answer":
        return "this answer"
    period = f"{'day' if len(account.period) == len('2026-10-05') else 'month'} {account.period}"
    if account.scope == "service":
        return f"the {period}"
    return f"{account.scope} {account.name!r} for the {period}"
