"""A metered model: every call reserved, priced and written down once, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from priced import OutputPricing, check_sums, lines_of, reservations_of
from scripted_model import (
    FOR_EVER,
    ScriptedModel,
    Step,
    collect,
    costs_of,
    model_call,
    said,
    text_of,
)
from sqlalchemy import Engine

from generation.money.amounts import to_usd
from generation.money.budgets import Walls
from generation.money.ledger import SqlLedger
from generation.money.metered import MeteredModel, MeterLimits
from rag.calls import CallEnd, ModelEvent, TextDelta
from rag.errors import (
    BudgetError,
    ProviderBusyError,
    ProviderError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
)
from rag.types import CostLine, Usage

PRICE = Decimal("0.001")
AT_MOST = Decimal("0.1")
"""Of the call that tests make, which may write 100 tokens."""
USAGE = Usage(input_tokens=10, output_tokens=2)


@dataclass
class Metering:
    """A metered model of a test, and what is around it."""

    engine: Engine
    ledger: SqlLedger
    pricing: OutputPricing

    def model(self, *script: Step, price: Decimal | None = PRICE) -> MeteredModel:
        self.pricing = OutputPricing(price)
        return MeteredModel(ScriptedModel(script), self.pricing, self.ledger, MeterLimits())


@pytest.fixture
def metering(state_engine: Engine) -> Iterator[Metering]:
    """At the end, nothing is reserved, every meter was read once, and the sums are right."""
    ledger = SqlLedger(state_engine, Walls(day_usd=Decimal(1)))
    made = Metering(state_engine, ledger, OutputPricing(PRICE))
    yield made
    ledger.close()
    assert reservations_of(state_engine) == []
    assert made.pricing.ended == len(lines_of(state_engine))
    check_sums(state_engine)


async def until_error(model: MeteredModel) -> tuple[list[ModelEvent], Exception]:
    events: list[ModelEvent] = []
    try:
        async with aclosing(model.stream(model_call())) as stream:
            async for event in stream:
                events.append(event)
    except Exception as error:
        return events, error
    pytest.fail("it ended well")


async def test_an_answer_is_billed_at_its_usage(metering: Metering) -> None:
    events = await collect(metering.model(*said("Two ", "weeks.")).stream(model_call()))
    assert text_of(events) == "Two weeks."
    cost, end = events[-2:]
    assert isinstance(cost, CostLine)
    assert isinstance(end, CallEnd)
    assert (cost.stage, cost.model, cost.usd) == ("generate", "scripted-1", Decimal("0.002"))
    [row] = lines_of(metering.engine)
    assert (row.outcome, to_usd(row.pico_usd), to_usd(row.at_most_pico_usd)) == (
        "done", Decimal("0.002"), AT_MOST,
    )  # fmt: skip
    assert (row.input_tokens, row.output_tokens, row.reported) == (10, 2, "{}")
    assert (row.provider, row.model, row.prompt_version) == ("scripted", "scripted-1", "test-1")
    assert row.watt_hours > 0
    assert row.ms == cost.ms > 0


@pytest.mark.parametrize(
    ("end", "outcome", "usd"),
    [
        (CallEnd("length", USAGE, "{}", "m"), "done", Decimal("0.002")),
        (CallEnd("refused", USAGE, "{}", "m"), "refused", Decimal("0.002")),
        (CallEnd("stop", None, '{"odd": -1}', "m"), "done", None),
        (CallEnd("stop", Usage(10, 0, 101), "{}", "m"), "done", None),  # more than there can be
    ],
)
async def test_ways_to_end(
    metering: Metering, end: CallEnd, outcome: str, usd: Decimal | None
) -> None:
    events = await collect(metering.model(end).stream(model_call()))
    assert events[-1] == end
    assert [line.usd for line in costs_of(events)] == [usd]
    [row] = lines_of(metering.engine)
    assert (row.outcome, row.reported) == (outcome, end.reported)
    assert (row.pico_usd is None) == (usd is None)


@pytest.mark.parametrize(
    ("error", "usd"),
    [
        (ProviderRefusedError("wrong key"), 0),
        (ProviderBusyError("too many", retry_after_s=3), 0),
        (ProviderUnavailableError("nobody there", was_taken=False), 0),
        (ProviderUnavailableError("too slow"), None),
        (ProviderReplyError("what is this"), None),
        (ValueError("a mistake of ours"), None),
    ],
)
async def test_a_call_that_fails_at_once(
    metering: Metering, error: Exception, usd: int | None
) -> None:
    events, caught = await until_error(metering.model(error))
    assert caught is error
    assert [line.usd for line in costs_of(events)] == [usd]
    [row] = lines_of(metering.engine)
    assert (row.outcome, row.pico_usd) == ("failed", usd)


async def test_a_stream_that_breaks_may_have_cost_anything(metering: Metering) -> None:
    error = ProviderUnavailableError("gone")
    events, caught = await until_error(metering.model(TextDelta("Two "), error))
    assert caught is error
    assert isinstance(events[-1], CostLine)
    assert events[-1].usd is None
    [row] = lines_of(metering.engine)
    assert (row.outcome, row.pico_usd, to_usd(row.at_most_pico_usd)) == ("cut off", None, AT_MOST)


async def test_a_stream_without_an_end_is_an_error(metering: Metering) -> None:
    events, caught = await until_error(metering.model(TextDelta("Two ")))
    assert isinstance(caught, ProviderError)
    assert "stopped without saying why" in str(caught)
    assert [line.usd for line in costs_of(events)] == [None]


async def test_a_caller_who_leaves_is_billed(metering: Metering) -> None:
    model = metering.model(TextDelta("Two "), FOR_EVER)
    async with aclosing(model.stream(model_call())) as stream:
        assert await anext(stream) == TextDelta("Two ")
    [row] = lines_of(metering.engine)
    assert (row.outcome, row.pico_usd) == ("cancelled", None)


async def test_a_caller_who_is_cancelled_is_billed(metering: Metering) -> None:
    model = metering.model(TextDelta("Two "), FOR_EVER)
    heard = asyncio.Event()

    async def listen() -> None:
        async with aclosing(model.stream(model_call())) as stream:
            async for _ in stream:
                heard.set()

    listening = asyncio.create_task(listen())
    await heard.wait()
    listening.cancel()
    await asyncio.sleep(0)
    listening.cancel()  # again, while the ledger is written
    await asyncio.wait({listening})
    assert listening.cancelled()
    metering.ledger.close()
    assert [row.outcome for row in lines_of(metering.engine)] == ["cancelled"]


async def test_a_caller_who_leaves_with_the_bill_is_billed_once(metering: Metering) -> None:
    async with aclosing(metering.model(*said("Yes.")).stream(model_call())) as stream:
        async for event in stream:
            if isinstance(event, CostLine):
                break
    assert [row.outcome for row in lines_of(metering.engine)] == ["done"]


async def test_at_the_wall_nothing_is_sent(metering: Metering) -> None:
    scripted = ScriptedModel(said("Yes."))
    model = MeteredModel(scripted, metering.pricing, metering.ledger, MeterLimits())
    with pytest.raises(BudgetError, match=r"may take \$1\.001: wait"):
        await collect(model.stream(replace(model_call(), max_output_tokens=1_001)))
    assert (scripted.calls, lines_of(metering.engine)) == ([], [])


async def test_without_a_price_the_cost_is_unknown(metering: Metering) -> None:
    local = replace(model_call(), tier="local")
    events = await collect(metering.model(*said("Yes."), price=None).stream(local))
    assert [line.usd for line in costs_of(events)] == [None]
    [row] = lines_of(metering.engine)
    assert (row.outcome, row.pico_usd, row.at_most_pico_usd) == ("done", None, None)


async def test_the_bill_and_the_ledger_say_the_same(metering: Metering) -> None:
    third = Decimal(1) / 3000
    model = metering.model(*said("a", "b"), price=third)
    [cost] = costs_of(await collect(model.stream(model_call())))
    [row] = lines_of(metering.engine)
    assert cost.usd == to_usd(row.pico_usd)
