"""Bounded calls: permits, the deadline, retries, the circuit breaker, and callers who leave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from decimal import Decimal

import pytest
from scripted_model import (
    FOR_EVER,
    ScriptedModel,
    Step,
    collect,
    costs_of,
    failure_of,
    model_call,
    said,
    text_of,
)
from virtual_clock import now, on_virtual_clock

from generation.providers.bounded import BoundedModel, CallLimits
from generation.providers.breaker import CircuitBreaker
from rag.calls import CallEnd, TextDelta
from rag.errors import (
    BudgetError,
    ProviderBusyError,
    ProviderError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
)
from rag.ports import LanguageModel
from rag.types import CostLine, Usage

DOWN = ProviderUnavailableError("the server is out of reach")
BUSY = ProviderBusyError("too many calls")
WRONG_KEY = ProviderRefusedError("the key is not accepted")
GIBBERISH = ProviderReplyError("the reply is not JSON")
PAID = CostLine("generate", "scripted-1", Decimal("0.01"), 5.0)


def bounded(
    model: ScriptedModel,
    limits: CallLimits | None = None,
    max_failures: int = 100,
    chance: float = 1.0,
) -> BoundedModel:
    """Bounded on the running loop's clock; each pause is `chance` of the longest it may be."""
    return BoundedModel(
        model, limits or CallLimits(), CircuitBreaker("it", max_failures, 30, now), lambda: chance
    )


def test_it_is_a_language_model_of_the_same_name() -> None:
    model: LanguageModel = bounded(ScriptedModel(said("yes"), provider="acme", model="big"))
    assert (model.provider, model.model) == ("acme", "big")


@on_virtual_clock
async def test_what_the_model_says_passes_through() -> None:
    script = [*said("Five ", "days.")[:2], PAID, said(usage=Usage(7, 0, 2))[-1]]
    inner = ScriptedModel(script)
    call = model_call()
    assert await collect(bounded(inner).stream(call)) == script
    assert inner.calls == [call]


@on_virtual_clock
async def test_at_most_so_many_calls_run_at_once_and_all_are_answered_in_order() -> None:
    inner = ScriptedModel([1.0, *said("yes")])
    model = bounded(inner, CallLimits(max_concurrent=3))
    calls = [model_call(f"Question {number}?") for number in range(10)]
    answers = await asyncio.gather(*(collect(model.stream(call)) for call in calls))
    assert [text_of(events) for events in answers] == ["yes"] * 10
    assert inner.most_running == 3
    assert inner.calls == calls
    assert now() == pytest.approx(4.0)


@on_virtual_clock
async def test_waiting_for_a_permit_counts_against_the_deadline() -> None:
    inner = ScriptedModel([3.0, *said("yes")], [FOR_EVER])
    model = bounded(inner, CallLimits(max_concurrent=1, timeout_s=5))
    _, served, late = await asyncio.gather(*(failure_of(model) for _ in range(3)))
    assert now() == pytest.approx(5.0)
    assert costs_of(served[1]) == [CostLine("generate", "scripted-1", None, 2000.0)]
    error, events = late
    assert isinstance(error, ProviderUnavailableError)
    assert "took longer than 5 s: other calls held all 1 permits" in str(error)
    assert events == []
    assert len(inner.calls) == 2


@on_virtual_clock
async def test_a_silent_model_is_closed_at_the_deadline_and_its_cost_is_unknown() -> None:
    inner = ScriptedModel([TextDelta("Five "), FOR_EVER])
    error, events = await failure_of(bounded(inner, CallLimits(timeout_s=12.5)))
    assert isinstance(error, ProviderUnavailableError)
    assert str(error).startswith("scripted-1 at scripted took longer than 12.5 s")
    assert now() == pytest.approx(12.5)
    assert (inner.running, inner.left, len(inner.calls)) == (0, 1, 1)
    assert events == [TextDelta("Five "), CostLine("generate", "scripted-1", None, 12500.0)]


@on_virtual_clock
async def test_a_cost_that_was_told_before_the_deadline_is_told_once() -> None:
    error, events = await failure_of(bounded(ScriptedModel([TextDelta("Five "), PAID, FOR_EVER])))
    assert isinstance(error, ProviderUnavailableError)
    assert costs_of(events) == [PAID]


@on_virtual_clock
async def test_a_slow_reader_is_not_cut_off_while_there_is_text() -> None:
    async with aclosing(bounded(ScriptedModel(said("a", "b"))).stream(model_call())) as stream:
        events = []
        async for event in stream:
            await asyncio.sleep(100)
            events.append(event)
    assert text_of(events) == "ab"


@pytest.mark.parametrize("error", [DOWN, BUSY])
def test_a_call_that_failed_is_made_again_and_each_attempt_is_on_the_bill(
    error: ProviderError,
) -> None:
    @on_virtual_clock
    async def body() -> None:
        inner = ScriptedModel([PAID, error], [PAID, error], [*said("yes"), PAID])
        events = await collect(bounded(inner).stream(model_call()))
        assert text_of(events) == "yes"
        assert costs_of(events) == [PAID] * 3
        assert now() == pytest.approx(0.5 + 1.0)

    body()


@pytest.mark.parametrize("error", [WRONG_KEY, GIBBERISH, BudgetError("the wall of 1 USD")])
def test_what_would_fail_again_is_not_made_again(error: Exception) -> None:
    @on_virtual_clock
    async def body() -> None:
        inner = ScriptedModel([error])
        assert (await failure_of(bounded(inner)))[0] is error
        assert len(inner.calls) == 1
        assert now() == 0

    body()


@on_virtual_clock
async def test_nothing_is_made_again_once_text_was_passed_on() -> None:
    inner = ScriptedModel([TextDelta("Five "), PAID, DOWN], said("no"))
    error, events = await failure_of(bounded(inner))
    assert error is DOWN
    assert events == [TextDelta("Five "), PAID]
    assert len(inner.calls) == 1


@on_virtual_clock
async def test_it_gives_up_after_as_many_attempts_as_allowed() -> None:
    inner = ScriptedModel([PAID, DOWN])
    error, events = await failure_of(bounded(inner, CallLimits(max_attempts=4)))
    assert error is DOWN
    assert events == [PAID] * 4


@on_virtual_clock
async def test_pauses_are_random_and_bounded() -> None:
    limits = CallLimits(
        max_attempts=6, timeout_s=1000, first_pause_s=1, longest_pause_s=5
    )  # so at most 1, 2, 4, 5 and 5 seconds
    await failure_of(bounded(ScriptedModel([DOWN]), limits, chance=1.0))
    assert now() == pytest.approx(17)
    await failure_of(bounded(ScriptedModel([DOWN]), limits, chance=0.5))
    assert now() == pytest.approx(17 + 8.5)
    await failure_of(bounded(ScriptedModel([DOWN]), limits, chance=0.0))
    assert now() == pytest.approx(17 + 8.5)


@on_virtual_clock
async def test_the_pause_that_the_server_asks_for_is_kept() -> None:
    busy = ProviderBusyError("too many calls", retry_after_s=20)
    assert text_of(await collect(bounded(ScriptedModel([busy], said("yes"))).stream(model_call())))
    assert now() == pytest.approx(20.5)


@on_virtual_clock
async def test_a_pause_that_would_pass_the_deadline_is_not_begun() -> None:
    busy = ProviderBusyError("too many calls", retry_after_s=60)
    error, _ = await failure_of(bounded(ScriptedModel([busy], said("yes"))))
    assert error is busy
    assert now() == 0


@on_virtual_clock
async def test_the_deadline_is_for_all_attempts_together() -> None:
    inner = ScriptedModel([4.0, PAID, DOWN], [FOR_EVER])
    error, events = await failure_of(bounded(inner, CallLimits(timeout_s=10)))
    assert "took longer than 10 s" in str(error)
    assert now() == pytest.approx(10)
    assert [line.usd for line in costs_of(events)] == [PAID.usd, None]


def broken(*errors: Exception) -> list[Sequence[Step]]:
    return [[error] for error in errors]


@on_virtual_clock
async def test_the_breaker_opens_after_failures_in_a_row_and_closes_after_a_probe() -> None:
    inner = ScriptedModel(*broken(DOWN, BUSY, GIBBERISH), [5.0, *said("yes")], said("yes"))
    breaker = CircuitBreaker("big at acme", max_failures=3, open_s=30, clock=now)
    model = BoundedModel(inner, CallLimits(max_attempts=1), breaker)
    for _ in range(3):
        assert breaker.state == "closed"
        assert breaker.reason is None
        await failure_of(model)
    assert breaker.state == "open"

    error, _ = await failure_of(model)
    assert isinstance(error, ProviderUnavailableError)
    assert str(error) == (
        "big at acme failed 3 times in a row and is tried again in 30 s: the reply is not JSON"
    )
    assert error.retry_after_s == 30
    assert len(inner.calls) == 3, "nothing was called"

    await asyncio.sleep(30)
    assert breaker.state == "half-open"
    probe = asyncio.create_task(collect(model.stream(model_call())))
    await asyncio.sleep(1)
    error, _ = await failure_of(model)
    assert "now tried with one call" in str(error)
    assert len(inner.calls) == 4, "only the probe was called"
    assert text_of(await probe) == "yes"
    assert breaker.state == "closed"
    assert text_of(await collect(model.stream(model_call()))) == "yes"


@on_virtual_clock
async def test_a_probe_that_fails_opens_the_breaker_anew() -> None:
    inner = ScriptedModel([DOWN])
    breaker = CircuitBreaker("it", max_failures=1, open_s=30, clock=now)
    model = BoundedModel(inner, CallLimits(max_attempts=3), breaker)
    assert (await failure_of(model))[0] is DOWN
    assert len(inner.calls) == 1, "an open breaker ends the retries, with the true error"
    await asyncio.sleep(31)
    await failure_of(model)
    assert (breaker.state, len(inner.calls)) == ("open", 2)


@on_virtual_clock
async def test_a_probe_whose_caller_leaves_lets_the_next_one_try() -> None:
    inner = ScriptedModel([DOWN], [FOR_EVER], said("yes"))
    breaker = CircuitBreaker("it", max_failures=1, open_s=30, clock=now)
    model = BoundedModel(inner, CallLimits(), breaker)
    await failure_of(model)
    await asyncio.sleep(30)
    probe = asyncio.create_task(collect(model.stream(model_call())))
    await asyncio.sleep(1)
    probe.cancel()
    await asyncio.wait([probe])
    assert breaker.state == "half-open"
    assert text_of(await collect(model.stream(model_call()))) == "yes"
    assert breaker.state == "closed"


@on_virtual_clock
async def test_an_open_breaker_does_not_let_calls_wait_for_a_permit() -> None:
    breaker = CircuitBreaker("it", max_failures=1, open_s=30, clock=now)
    await failure_of(BoundedModel(ScriptedModel([DOWN]), CallLimits(), breaker))
    model = BoundedModel(ScriptedModel(said("yes")), CallLimits(max_concurrent=0), breaker)
    error, _ = await failure_of(model)
    assert isinstance(error, ProviderUnavailableError)
    assert "tried again in 30 s" in str(error)
    assert now() == 0


@on_virtual_clock
async def test_a_call_that_began_before_the_breaker_opened_does_not_put_the_probe_off() -> None:
    inner = ScriptedModel([20.0, DOWN], [DOWN], said("yes"))
    breaker = CircuitBreaker("it", max_failures=1, open_s=30, clock=now)
    model = BoundedModel(inner, CallLimits(max_attempts=1), breaker)
    await asyncio.gather(failure_of(model), failure_of(model))
    assert now() == pytest.approx(20)
    await asyncio.sleep(10)
    assert text_of(await collect(model.stream(model_call()))) == "yes"


@on_virtual_clock
async def test_a_refusal_is_a_sign_of_life() -> None:
    inner = ScriptedModel([DOWN], [WRONG_KEY])
    breaker = CircuitBreaker("it", max_failures=1, open_s=30, clock=now)
    model = BoundedModel(inner, CallLimits(), breaker)
    await failure_of(model)
    await asyncio.sleep(30)
    assert (await failure_of(model))[0] is WRONG_KEY
    assert breaker.state == "closed"


@on_virtual_clock
async def test_calls_that_time_out_open_the_breaker() -> None:
    breaker = CircuitBreaker("it", max_failures=2, open_s=30, clock=now)
    model = BoundedModel(ScriptedModel([FOR_EVER]), CallLimits(timeout_s=3), breaker)
    await failure_of(model)
    await failure_of(model)
    assert breaker.state == "open"


@pytest.mark.parametrize("error", [WRONG_KEY, BudgetError("the wall of 1 USD")])
def test_a_refused_call_does_not_open_the_breaker(error: Exception) -> None:
    @on_virtual_clock
    async def body() -> None:
        breaker = CircuitBreaker("it", max_failures=2, open_s=30, clock=now)
        model = BoundedModel(ScriptedModel([error]), CallLimits(), breaker)
        for _ in range(5):
            assert (await failure_of(model))[0] is error
        assert breaker.state == "closed"

    body()


@on_virtual_clock
async def test_a_success_in_between_begins_the_count_anew() -> None:
    inner = ScriptedModel([DOWN], said("yes"), [DOWN], [DOWN])
    breaker = CircuitBreaker("it", max_failures=2, open_s=30, clock=now)
    model = BoundedModel(inner, CallLimits(max_attempts=1), breaker)
    await failure_of(model)
    await collect(model.stream(model_call()))
    await failure_of(model)
    assert breaker.state == "closed"
    await failure_of(model)
    assert breaker.state == "open"


@on_virtual_clock
async def test_closing_the_stream_closes_the_model_and_gives_the_permit_back() -> None:
    inner = ScriptedModel([TextDelta("Five "), FOR_EVER], said("yes"))
    model = bounded(inner, CallLimits(max_concurrent=1))
    async with aclosing(model.stream(model_call())) as stream:
        assert await anext(stream) == TextDelta("Five ")
    assert (inner.running, inner.left) == (0, 1)
    assert text_of(await collect(model.stream(model_call()))) == "yes"
    assert now() == 0


@on_virtual_clock
async def test_a_caller_who_is_cancelled_leaves_nothing_behind() -> None:
    inner = ScriptedModel([FOR_EVER], [DOWN], said("yes"))
    model = bounded(inner, CallLimits(max_concurrent=1))
    while_waiting = asyncio.create_task(collect(model.stream(model_call())))
    await asyncio.sleep(0.1)
    in_the_queue = asyncio.create_task(collect(model.stream(model_call())))
    await asyncio.sleep(0)
    in_the_queue.cancel()
    while_waiting.cancel()
    await asyncio.wait([while_waiting, in_the_queue])
    assert (inner.running, inner.left) == (0, 1)

    in_the_pause = asyncio.create_task(collect(model.stream(model_call())))
    await asyncio.sleep(0.1)
    in_the_pause.cancel()
    await asyncio.wait([in_the_pause])
    events = await collect(model.stream(model_call()))
    assert isinstance(events[-1], CallEnd)
    assert now() < 1


async def test_permits_hold_on_a_real_clock_with_callers_who_come_and_go() -> None:
    inner = ScriptedModel([0.002, *said("yes", "no")])
    model = bounded(inner, CallLimits(max_concurrent=4))

    async def ask(number: int) -> None:
        async with aclosing(model.stream(model_call())) as stream:
            async for _ in stream:
                if number % 3 == 0:
                    return

    tasks = [asyncio.create_task(ask(number)) for number in range(60)]
    await asyncio.sleep(0.005)
    for task in tasks[1::5]:
        task.cancel()
    await asyncio.wait(tasks)
    assert (inner.running, inner.most_running) == (0, 4)
    assert all(task.cancelled() or task.exception() is None for task in tasks)
    assert text_of(await collect(model.stream(model_call()))) == "yesno"
