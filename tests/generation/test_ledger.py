"""The ledger: every line whole and never changed, every answer kept, every sum exact."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from priced import lines_of
from scripted_model import model_call
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from generation.money.ledger import SqlLedger
from generation.money.sums import By, costs
from generation.money.tables import ANSWERS, LEDGER
from rag.calls import LedgerLine
from rag.types import Answer, Cost, CostLine, Question, Tier, Usage

USAGE = Usage(1_000, 600, 50, cache_write_tokens=100, reasoning_tokens=20)
BEGAN = datetime(2026, 10, 5, 23, 59, tzinfo=UTC)


class Days:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Days:
    return Days()


@pytest.fixture
def ledger(state_engine: Engine, clock: Days) -> Iterator[SqlLedger]:
    made = SqlLedger(state_engine, now=clock)
    yield made
    made.close()


async def write(
    ledger: SqlLedger,
    usd: str | None,
    at_most: str | None = "1",
    *,
    tier: Tier = "premium",
    question: Question | None = None,
    **told: object,
) -> LedgerLine:
    """A line of a call that cost so much."""
    call = replace(model_call(), tier=tier)
    call = call if question is None else replace(call, question=question)
    reserved = await ledger.reserve(
        call,
        None if at_most is None else Decimal(at_most),
        provider="p",
        model="m",
        hold_s=60,
        max_wait_s=1,
    )
    given = {"usd": None if usd is None else Decimal(usd), "outcome": "done", **told}
    line = replace(reserved, **given)  # type: ignore[arg-type]
    await ledger.settle(line)
    return line


def answer(answer_id: str, usd: str | None, baseline: str | None, tier: Tier = "premium") -> Answer:
    spent = None if usd is None else Decimal(usd)
    lines = (CostLine("retrieve", None, Decimal(0), 2.5), CostLine("generate", "m", spent, 40.0))
    cost = Cost(lines, None if baseline is None else Decimal(baseline))
    return Answer(answer_id, "answered", "Yes.", tier, "m", 0.9, (), Usage(), 10, cost)


async def test_a_line_holds_all_that_is_known_of_a_call(
    ledger: SqlLedger, state_engine: Engine
) -> None:
    line = await write(
        ledger, "0.000123", usage=USAGE, reported='{"a": 1}', price='{"input": "1"}',
        watt_hours=0.25, ms=12.5, escalated_from="local", is_batch=True,
    )  # fmt: skip
    [row] = lines_of(state_engine)
    assert row._asdict() == {
        "line_id": line.line_id, "answer_id": "ans_1", "at": "2026-10-05T23:59:00.000000+00:00",
        "tenant": "acme", "key": "widget", "collection": "help", "tier": "premium",
        "stage": "generate", "provider": "p", "model": "m", "prompt_version": "test-1",
        "input_tokens": 1_000, "cached_input_tokens": 600, "cache_write_tokens": 100,
        "output_tokens": 50, "reasoning_tokens": 20, "reported": '{"a": 1}',
        "price": '{"input": "1"}', "pico_usd": 123_000_000, "at_most_pico_usd": 10**12,
        "watt_hours": 0.25, "ms": 12.5, "outcome": "done", "escalated_from": "local",
        "is_batch": True,
    }  # fmt: skip


async def test_what_is_unknown_is_null(ledger: SqlLedger, state_engine: Engine) -> None:
    await write(ledger, None, None, tier="local")
    [row] = lines_of(state_engine)
    unknown = [name for name, value in row._asdict().items() if value is None]
    assert unknown == [
        "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens",
        "reasoning_tokens", "pico_usd", "at_most_pico_usd", "watt_hours", "escalated_from",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change", [update(LEDGER).values(pico_usd=0), delete(LEDGER), update(LEDGER).values(tenant="x")]
)
async def test_a_line_is_never_changed(
    ledger: SqlLedger, state_engine: Engine, change: object
) -> None:
    await write(ledger, "0.5")
    before = lines_of(state_engine)
    with (
        pytest.raises(IntegrityError, match="a line of the ledger is never changed"),
        state_engine.begin() as connection,
    ):
        connection.execute(change)  # type: ignore[call-overload]
    assert lines_of(state_engine) == before


async def test_an_answer_is_kept(ledger: SqlLedger, state_engine: Engine) -> None:
    question = Question("Why?", "help", tenant="acme", key="widget")
    await ledger.record_answer(question, answer("a1", "0.01", "0.0300001"))
    await ledger.record_answer(question, replace(answer("a2", None, None), arm="tone/short"))
    with state_engine.connect() as connection:
        first, second = connection.execute(select(ANSWERS).order_by(ANSWERS.c.answer_id))
    assert first._asdict() == {
        "answer_id": "a1", "at": "2026-10-05T23:59:00.000000+00:00", "tenant": "acme",
        "key": "widget", "collection": "help", "tier": "premium", "status": "answered",
        "confidence": 0.9, "spent_pico_usd": 10**10, "baseline_pico_usd": 30_000_100_000,
        "ms": 42.5, "because": "", "signals": "{}", "arm": None, "visitor": None,
        "conversation": None, "cited": None, "markers": "{}",
    }  # fmt: skip
    assert (second.spent_pico_usd, second.baseline_pico_usd) == (None, None)
    assert second.arm == "tone/short"
    assert second.conversation is None


async def test_a_conversation_is_told_apart_and_not_named(
    ledger: SqlLedger, state_engine: Engine
) -> None:
    for number, (conversation, arm) in enumerate(
        [("jane@example.com", "t/a"), ("jane@example.com", ""), ("\ud800", ""), ("", "t/a")]
    ):
        question = Question("Why?", "help", conversation_id=conversation)
        await ledger.record_answer(question, replace(answer(f"a{number}", "0", "0"), arm=arm))
    with state_engine.connect() as connection:
        rows = connection.execute(select(ANSWERS).order_by(ANSWERS.c.answer_id)).all()
    marks = [row.conversation for row in rows]
    assert marks[0] == marks[1] != marks[2]
    assert marks[3] is None
    assert "jane" not in str(rows)


async def test_a_mistake_in_one_does_not_cost_the_others_theirs(
    ledger: SqlLedger, state_engine: Engine
) -> None:
    question = Question("Why?", "help")
    await ledger.record_answer(question, answer("a0", "0", None))
    with state_engine.begin() as blocking:  # so that all that follow are written together
        blocking.execute(insert(ANSWERS).values(_row_of("other")))
        names = ["a1", "a0", "a2"]
        writing = [
            asyncio.create_task(ledger.record_answer(question, answer(name, "0", None)))
            for name in names
        ]
        writing.append(asyncio.create_task(write(ledger, "0.5")))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
    results = await asyncio.gather(*writing, return_exceptions=True)
    assert [isinstance(one, Exception) for one in results] == [False, True, False, False]
    with state_engine.connect() as connection:
        kept = set(connection.scalars(select(ANSWERS.c.answer_id)))
    assert kept == {"a0", "a1", "a2", "other"}
    assert len(lines_of(state_engine)) == 1


def _row_of(answer_id: str) -> dict[str, object]:
    texts = ("at", "tenant", "key", "collection", "tier", "status")
    return {"answer_id": answer_id, "confidence": 1.0, "ms": 0.0} | dict.fromkeys(texts, "")


async def test_what_a_provider_wrote_can_always_be_kept(
    ledger: SqlLedger, state_engine: Engine
) -> None:
    await write(ledger, "0.5", reported="a\0b\ud800c")
    [row] = lines_of(state_engine)
    assert row.reported == "ab?c"


async def test_a_state_that_fails_is_told_to_all_who_wait(state_engine: Engine) -> None:
    with state_engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE reservations")
        connection.exec_driver_sql("CREATE TABLE reservations (line_id INTEGER)")
    ledger = SqlLedger(state_engine)
    results = await asyncio.gather(*(write(ledger, "1") for _ in range(3)), return_exceptions=True)
    assert all(isinstance(one, Exception) for one in results)
    ledger.close()
    with pytest.raises(RuntimeError):
        await ledger.record_answer(Question("Why?", "help"), answer("a", "0", None))


async def test_a_settlement_is_written_though_nobody_waits_for_it(
    ledger: SqlLedger, state_engine: Engine
) -> None:
    reserved = await ledger.reserve(
        model_call(), Decimal(1), provider="p", model="m", hold_s=60, max_wait_s=1
    )
    settling = asyncio.create_task(ledger.settle(replace(reserved, outcome="cancelled")))
    await asyncio.sleep(0)
    settling.cancel()
    await asyncio.wait({settling})
    ledger.close()
    assert [row.outcome for row in lines_of(state_engine)] == ["cancelled"]


async def spend_on_two_days(ledger: SqlLedger, clock: Days) -> None:
    """Two tenants, two days; one call of unknown cost and one answer without a baseline."""
    ours = Question("Why?", "help", tenant="acme", key="k1", answer_id="a1")
    theirs = Question("Why?", "shop", tenant="bolt", key="k2", answer_id="a2")
    await write(ledger, "0.0001", tier="local", question=ours, usage=USAGE, watt_hours=0.5)
    await write(ledger, "0.02", question=ours, usage=USAGE, stage="check")
    await ledger.record_answer(ours, answer("a1", "0.0201", "0.05"))
    clock.now += timedelta(minutes=2)
    await write(ledger, "0.03", question=theirs, usage=USAGE)
    await write(ledger, None, "0.10", question=theirs)
    await ledger.record_answer(theirs, answer("a2", None, "0.05"))
    await ledger.record_answer(replace(ours), answer("a3", "0", None, "extractive"))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("day", [
            ("2026-10-05", 2, 1, "0.0201", 0, "0", "0.05", "0.0299"),
            ("2026-10-06", 2, 2, "0.03", 1, "0.10", "0.05", "-0.08"),
        ]),
        ("tenant", [
            ("acme", 2, 2, "0.0201", 0, "0", "0.05", "0.0299"),
            ("bolt", 2, 1, "0.03", 1, "0.10", "0.05", "-0.08"),
        ]),
        ("tier", [
            ("extractive", 0, 1, "0", 0, "0", None, None),
            ("local", 1, 0, "0.0001", 0, "0", None, None),
            ("premium", 3, 2, "0.05", 1, "0.10", "0.10", "-0.05"),
        ]),
        ("stage", [
            ("check", 1, None, "0.02", 0, "0", None, None),
            ("generate", 3, None, "0.0301", 1, "0.10", None, None),
        ]),
        ("collection", [
            ("help", 2, 2, "0.0201", 0, "0", "0.05", "0.0299"),
            ("shop", 2, 1, "0.03", 1, "0.10", "0.05", "-0.08"),
        ]),
        ("model", [("m", 4, None, "0.0501", 1, "0.10", None, None)]),
    ],
)  # fmt: skip
async def test_sums(
    ledger: SqlLedger,
    clock: Days,
    state_engine: Engine,
    by: By,
    expected: list[tuple[object, ...]],
) -> None:
    await spend_on_two_days(ledger, clock)
    found = [
        (
            one.name, one.calls, one.answers, one.spent_usd, one.unknown_calls,
            one.unknown_at_most_usd, one.baseline_usd, one.saved_usd,
        )
        for one in costs(state_engine, None, None, by)
    ]  # fmt: skip
    assert found == [
        tuple(Decimal(value) if n > 2 and isinstance(value, str) else value
              for n, value in enumerate(row))
        for row in expected
    ]  # fmt: skip


async def test_sums_of_tokens_and_of_a_span_of_time(
    ledger: SqlLedger, clock: Days, state_engine: Engine
) -> None:
    await spend_on_two_days(ledger, clock)
    midnight = datetime(2026, 10, 6, tzinfo=UTC)
    [before] = costs(state_engine, None, midnight, "tenant")
    assert (before.name, before.calls, before.answers) == ("acme", 2, 1)
    assert (before.input_tokens, before.cached_input_tokens, before.output_tokens) == (
        2_000, 1_200, 100,
    )  # fmt: skip
    assert before.watt_hours == 0.5
    after = costs(state_engine, midnight, None, "key")
    assert [(one.name, one.calls, one.answers) for one in after] == [("k1", 0, 1), ("k2", 2, 1)]
    assert after[1].watt_hours is None


async def test_a_call_without_a_price_leaves_the_saving_unknown(
    ledger: SqlLedger, state_engine: Engine
) -> None:
    await write(ledger, None, None, tier="local")
    await ledger.record_answer(model_call().question, answer("a1", None, "0.05"))
    [one] = costs(state_engine, None, None, "tenant")
    assert (one.unknown_calls, one.unknown_at_most_usd, one.saved_usd) == (1, None, None)


async def test_sums_are_exact_where_floats_are_not(ledger: SqlLedger, state_engine: Engine) -> None:
    for _ in range(100):
        await write(ledger, "0.000000075")
    [one] = costs(state_engine, None, None, "day")
    assert one.spent_usd == Decimal("0.0000075")
