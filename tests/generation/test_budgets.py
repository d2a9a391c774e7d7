"""Budgets are walls: what fits is let through, what does not is refused, and nothing stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from priced import check_sums, lines_of, reservations_of, rooms_of
from pydantic import SecretStr
from scripted_model import model_call
from sqlalchemy import Engine, delete

from api.state.opening import open_state
from generation.money.amounts import shown, to_pico, to_pico_at_most, to_usd
from generation.money.budgets import Account, Room, Walls, period_end
from generation.money.ledger import SqlLedger
from generation.money.sums import wall_states
from generation.money.tables import RESERVATIONS
from rag.calls import LedgerLine
from rag.errors import BudgetError, SettingsError

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
HOLD_S = 60.0
ONE = Decimal(1)


class Clock:
    """A time that stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


MakeLedger = Callable[..., SqlLedger]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_ledger(state_engine: Engine, clock: Clock) -> Iterator[MakeLedger]:
    """Ledgers over one state, as of several services; closed at the end, their sums checked."""
    made: list[SqlLedger] = []

    def make(**walls: object) -> SqlLedger:
        made.append(SqlLedger(state_engine, Walls(**walls), clock))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()
    check_sums(state_engine)


async def reserve(
    ledger: SqlLedger, usd: str | None, *, max_wait_s: float = 20, **changes: object
) -> LedgerLine:
    """Reserve dollars for a call; `changes` are of the question, or the call's tier."""
    call = model_call()
    tier = changes.pop("tier", "premium")
    call = replace(call, question=replace(call.question, **changes), tier=tier)  # type: ignore[arg-type]
    at_most = None if usd is None else Decimal(usd)
    return await ledger.reserve(
        call, at_most, provider="p", model="m", hold_s=HOLD_S, max_wait_s=max_wait_s
    )


async def settle(ledger: SqlLedger, line: LedgerLine, usd: str | None) -> None:
    cost = None if usd is None else Decimal(usd)
    await ledger.settle(replace(line, usd=cost, outcome="done"))


async def spend(ledger: SqlLedger, usd: str, **changes: object) -> None:
    await settle(ledger, await reserve(ledger, usd, **changes), usd)


async def still_waits(task: asyncio.Task[LedgerLine]) -> bool:
    await asyncio.wait({task}, timeout=0.3)
    return not task.done()


async def test_what_fits_is_let_through_to_the_last_cent(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(day_usd=Decimal("1.00"))
    await spend(ledger, "0.99")
    await spend(ledger, "0.01")
    with pytest.raises(BudgetError) as caught:
        await reserve(ledger, "0.01")
    assert str(caught.value) == (
        "the budget of the day 2026-10-05 is $1.00: $1.00 is spent, and this call may take $0.01: "
        "wait until 2026-10-06 00:00 UTC, or raise budgets.day_usd"
    )
    assert caught.value.retry_after_s == 12 * 3600
    await spend(ledger, "0")  # costs nothing, passes no wall


async def test_less_than_reserved_gives_the_rest_back(
    make_ledger: MakeLedger, state_engine: Engine
) -> None:
    ledger = make_ledger(day_usd=ONE)
    line = await reserve(ledger, "0.90")
    day = Account("service", "", "2026-10-05")
    assert rooms_of(state_engine)[day] == Room(0, to_pico(Decimal("0.90")))
    await settle(ledger, line, "0.10")
    assert rooms_of(state_engine)[day] == Room(to_pico(Decimal("0.10")), 0)
    await reserve(ledger, "0.90")


async def test_an_unknown_cost_counts_as_all_that_was_reserved(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(day_usd=ONE)
    await settle(ledger, await reserve(ledger, "0.60"), None)
    with pytest.raises(BudgetError, match=r"\$0\.60 is spent, and this call may take \$0\.41"):
        await reserve(ledger, "0.41")


@pytest.mark.parametrize(
    ("walls", "other", "named"),
    [
        ({"month_usd": ONE}, {}, "of the month 2026-10 .*2026-11-01 00:00 .*budgets.month_usd"),
        ({"tenant_day_usd": ONE}, {"tenant": "b"}, "tenant 'acme' for the day .*tenant_day_usd"),
        ({"tenant_month_usd": ONE}, {"tenant": ""}, "tenant 'acme' for the month"),
        ({"key_day_usd": ONE}, {"key": "b"}, "key 'widget' for the day .*budgets.key_day_usd"),
        ({"key_month_usd": ONE}, {"key": ""}, "key 'widget' for the month"),
        ({"tenants": {"acme": (ONE, None)}}, {"tenant": "b"}, "raise budgets.tenants.acme.day_usd"),
        ({"keys": {"widget": (None, ONE)}}, {"key": "b"}, "raise budgets.keys.widget.month_usd"),
        (
            {"key_day_usd": 9 * ONE, "keys": {"widget": (ONE, None)}},
            {"key": "b"},
            "keys.widget.day_usd",
        ),
        ({"request_usd": ONE}, {"answer_id": "ans_2"}, "of this answer is .*budgets.request_usd"),
    ],
)
async def test_each_wall_stands_before_its_own(
    make_ledger: MakeLedger, walls: dict[str, object], other: dict[str, object], named: str
) -> None:
    ledger = make_ledger(**walls)
    await spend(ledger, "0.75")
    with pytest.raises(BudgetError, match=named):
        await reserve(ledger, "0.50")
    if other:
        await spend(ledger, "0.50", **other)


async def test_a_named_one_can_be_without_a_wall(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(tenant_day_usd=ONE, tenants={"acme": (None, None)})
    await spend(ledger, "5")


async def test_the_asker_bounds_all_calls_of_an_answer(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(request_usd=ONE)
    limit = {"max_cost_usd": Decimal("0.30")}
    running = await reserve(ledger, "0.10", **limit)
    await spend(ledger, "0.20", **limit)
    with pytest.raises(BudgetError, match=r"this answer is \$0\.30: .*raise max_cost_usd"):
        await reserve(ledger, "0.11", **limit)
    await settle(ledger, running, "0.05")
    await spend(ledger, "0.05", **limit)


async def test_a_new_day_and_a_new_month(make_ledger: MakeLedger, clock: Clock) -> None:
    ledger = make_ledger(day_usd=ONE, month_usd=Decimal("1.50"))
    clock.now = datetime(2026, 10, 30, 23, 59, tzinfo=UTC)
    late = await reserve(ledger, "1")
    clock.now += timedelta(minutes=2)
    await spend(ledger, "0.50")
    await settle(ledger, late, "1")  # booked to the day on which it began
    with pytest.raises(BudgetError, match="of the month 2026-10"):
        await reserve(ledger, "0.50")
    clock.now += timedelta(days=1)
    await spend(ledger, "1")


async def test_who_comes_while_others_run_waits_and_is_not_refused(
    make_ledger: MakeLedger,
) -> None:
    ledger = make_ledger(day_usd=ONE)
    running = await reserve(ledger, "0.80")
    waiting = asyncio.create_task(reserve(ledger, "0.50"))
    assert await still_waits(waiting)
    await settle(ledger, running, "0.50")
    await settle(ledger, await waiting, "0.50")


async def test_waiting_ends_when_it_cannot_fit_any_more(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(day_usd=ONE)
    running = await reserve(ledger, "0.80")
    waiting = asyncio.create_task(reserve(ledger, "0.50"))
    assert await still_waits(waiting)
    await settle(ledger, running, "0.80")
    with pytest.raises(BudgetError, match=r"\$0\.80 is spent, and"):
        await waiting


async def test_waiting_ends_after_its_time(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(day_usd=ONE)
    await reserve(ledger, "0.80")
    with pytest.raises(BudgetError, match=r"\$0\.80 is reserved by calls that still run, and"):
        await reserve(ledger, "0.50", max_wait_s=0.01)


async def test_another_service_is_waited_for_too(make_ledger: MakeLedger) -> None:
    ours, theirs = make_ledger(day_usd=ONE), make_ledger(day_usd=ONE)
    running = await reserve(theirs, "0.80")
    waiting = asyncio.create_task(reserve(ours, "0.50"))
    assert await still_waits(waiting)
    await settle(theirs, running, "0.20")
    await waiting


async def test_a_dear_call_is_not_overtaken_for_ever(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(day_usd=ONE)
    running = await reserve(ledger, "0.50")
    dear = asyncio.create_task(reserve(ledger, "0.80"))
    assert await still_waits(dear)
    cheap = asyncio.create_task(reserve(ledger, "0.40"))  # would fit beside the running one
    assert await still_waits(cheap)
    await settle(ledger, running, "0.00")
    await settle(ledger, await dear, "0.10")
    await settle(ledger, await cheap, "0.40")


async def test_who_leaves_while_he_waits_takes_nothing(
    make_ledger: MakeLedger, state_engine: Engine
) -> None:
    ledger = make_ledger(day_usd=ONE)
    running = await reserve(ledger, "0.80")
    waiting = asyncio.create_task(reserve(ledger, "0.50"))
    assert await still_waits(waiting)
    waiting.cancel()
    await asyncio.wait({waiting})
    await settle(ledger, running, "0")
    await spend(ledger, "1")
    assert len(lines_of(state_engine)) == 2


async def test_who_leaves_as_he_is_let_through_gives_it_back(
    make_ledger: MakeLedger, state_engine: Engine
) -> None:
    ledger = make_ledger(day_usd=ONE)
    for turns in range(40):  # of the loop, after which he leaves
        leaving = asyncio.create_task(reserve(ledger, "0.60"))
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait({leaving})
        if not leaving.cancelled():
            await settle(ledger, leaving.result(), "0")
        await spend(ledger, "0.01")
    ledger.close()
    assert reservations_of(state_engine) == []


async def test_without_a_price(make_ledger: MakeLedger, state_engine: Engine) -> None:
    free = make_ledger()
    await settle(free, await reserve(free, None), None)
    walled = make_ledger(day_usd=ONE)
    with pytest.raises(BudgetError, match=r"m has no known price, and budgets\.day_usd allows \$1"):
        await reserve(walled, None)
    await settle(walled, await reserve(walled, None, tier="local"), None)
    assert {row.at_most_pico_usd for row in lines_of(state_engine)} == {None}
    with pytest.raises(BudgetError, match="max_cost_usd allows"):
        await reserve(free, None, max_cost_usd=ONE)


async def test_what_a_dead_process_reserved_is_lost_and_counts(
    make_ledger: MakeLedger, clock: Clock, state_engine: Engine
) -> None:
    dead, alive = make_ledger(), make_ledger(day_usd=ONE)
    await reserve(dead, "0.60")
    clock.now += timedelta(seconds=HOLD_S / 2)
    running = await reserve(alive, "0.10")
    clock.now += timedelta(seconds=HOLD_S / 2 + 1)
    with pytest.raises(BudgetError, match=r"\$0\.60 is spent, \$0\.10 is reserved"):
        await reserve(alive, "0.50")
    [lost] = lines_of(state_engine)
    assert (lost.outcome, lost.pico_usd, to_usd(lost.at_most_pico_usd)) == (
        "lost", None, Decimal("0.60"),
    )  # fmt: skip
    assert (lost.tenant, lost.key, lost.model) == ("acme", "widget", "m")
    assert [row.line_id for row in reservations_of(state_engine)] == [running.line_id]
    clock.now += timedelta(seconds=HOLD_S)
    assert (alive.settle_lost(), alive.settle_lost()) == (1, 0)


async def test_what_ends_after_it_was_lost_stays_lost(
    make_ledger: MakeLedger, clock: Clock, state_engine: Engine
) -> None:
    ledger = make_ledger()
    slow = await reserve(ledger, "0.60")
    clock.now += timedelta(seconds=HOLD_S + 1)
    ledger.settle_lost()
    await settle(ledger, slow, "0.01")
    assert [row.outcome for row in lines_of(state_engine)] == ["lost"]


async def test_a_reservation_that_a_crash_undid_is_settled_all_the_same(
    make_ledger: MakeLedger, state_engine: Engine
) -> None:
    ledger = make_ledger()
    line = await reserve(ledger, "0")
    with state_engine.begin() as connection:
        connection.execute(delete(RESERVATIONS))
    await settle(ledger, line, "0.01")
    assert [row.outcome for row in lines_of(state_engine)] == ["done"]


async def test_two_services_at_once_never_pass_the_wall(
    state_url: SecretStr | None, tmp_path: Path
) -> None:
    engines = [open_state(tmp_path, state_url) for _ in range(3)]
    walls = Walls(day_usd=Decimal("0.50"), key_day_usd=Decimal("0.30"))
    ledgers = [SqlLedger(engine, walls) for engine in engines]

    async def ask(number: int) -> bool:
        ledger = ledgers[number % len(ledgers)]
        try:
            line = await reserve(ledger, "0.02", key=f"k{number % 2}", max_wait_s=60)
        except BudgetError:
            return False
        await settle(ledger, line, "0.01" if number % 3 else None)
        return True

    passed = await asyncio.gather(*map(ask, range(90)))
    check_sums(engines[0])
    spent = {a.name: room for a, room in rooms_of(engines[0]).items() if len(a.period) == 10}
    assert to_pico(Decimal("0.48")) < spent[""].spent <= to_pico(Decimal("0.50"))
    assert all(spent[key].spent <= to_pico(Decimal("0.30")) for key in ("k0", "k1"))
    assert sum(passed) == len(lines_of(engines[0]))
    for ledger, engine in zip(ledgers, engines, strict=True):
        ledger.close()
        engine.dispose()


async def test_the_state_of_the_walls(
    make_ledger: MakeLedger, clock: Clock, state_engine: Engine
) -> None:
    walls = Walls(day_usd=Decimal(5), key_month_usd=Decimal(2), tenants={"new": (ONE, None)})
    ledger = make_ledger()
    await spend(ledger, "0.25")
    await reserve(ledger, "0.10")
    told = wall_states(state_engine, walls, clock.now)
    assert [(one.scope, one.name, one.period, one.setting) for one in told] == [
        ("service", "", "2026-10-05", "budgets.day_usd"),
        ("tenant", "new", "2026-10-05", "budgets.tenants.new.day_usd"),
        ("key", "widget", "2026-10", "budgets.key_month_usd"),
    ]
    assert [(one.limit_usd, one.spent_usd, one.reserved_usd) for one in told] == [
        (5, Decimal("0.25"), Decimal("0.10")),
        (1, 0, 0),
        (2, Decimal("0.25"), Decimal("0.10")),
    ]


def test_a_negative_wall_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"budgets\.month_usd is -1, the least is 0"):
        Walls(month_usd=Decimal(-1))
    with pytest.raises(SettingsError, match=r"budgets\.keys\.widget\.day_usd is -2"):
        Walls(keys={"widget": (Decimal(-2), None)})


def test_amounts() -> None:
    assert to_usd(to_pico(Decimal("0.000000075"))) == Decimal("0.000000075")
    assert (to_pico(Decimal("1e-13")), to_pico_at_most(Decimal("1e-13"))) == (0, 1)
    assert [shown(to_pico(Decimal(usd))) for usd in ("0", "1234.5", "0.0000004")] == [
        "$0.00", "$1,234.50", "$0.0000004",
    ]  # fmt: skip
    with pytest.raises(SettingsError, match=r"costs \$10,000,000, the limit is .* file of prices"):
        to_pico(Decimal(10_000_000))


@pytest.mark.parametrize(
    ("period", "end"),
    [("2026-12", "2027-01-01"), ("2028-02", "2028-03-01"), ("2028-02-29", "2028-03-01")],
)
def test_when_a_period_ends(period: str, end: str) -> None:
    assert period_end(period) == datetime.fromisoformat(end).replace(tzinfo=UTC)


async def test_the_walls_of_a_key_come_with_its_question(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(day_usd=Decimal(10))
    made = {"key": "desk", "key_day_usd": Decimal(1), "key_month_usd": Decimal(2)}
    await settle(ledger, await reserve(ledger, "0.75", **made), "0.75")
    with pytest.raises(BudgetError, match=r"key 'desk' for the day .* is .1.00: .0.75 is"):
        await reserve(ledger, "0.5", **made)
    await settle(ledger, await reserve(ledger, "5", key="other"), "5")


@pytest.mark.parametrize(("in_settings", "made", "stands"), [("1", "3", "1"), ("3", "1", "1")])
async def test_of_two_walls_of_a_key_the_lower_one_stands(
    make_ledger: MakeLedger, in_settings: str, made: str, stands: str
) -> None:
    for walls in (
        {"key_day_usd": Decimal(in_settings)},
        {"keys": {"desk": (Decimal(in_settings), None)}},
    ):
        ledger = make_ledger(**walls)
        line = await reserve(ledger, "0.4", key="desk", key_day_usd=Decimal(made))
        with pytest.raises(BudgetError, match=f"is .{stands}.00"):
            await reserve(ledger, "0.7", key="desk", key_day_usd=Decimal(made), max_wait_s=0)
        await settle(ledger, line, "0")
