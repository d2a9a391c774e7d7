"""Failover: which model is tried first, what sends a call on, and what a failure of all says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from decimal import Decimal

import pytest
from scripted_model import (
    ScriptedModel,
    Step,
    collect,
    costs_of,
    failure_of,
    model_call,
    said,
    text_of,
)

from generation.providers.bounded import BoundedModel, CallLimits
from generation.providers.breaker import CircuitBreaker
from generation.providers.failover import FailoverModel
from rag.calls import CallEnd, Charge, ModelCall, TextDelta
from rag.errors import (
    BudgetError,
    ProviderBusyError,
    ProviderError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
)
from rag.ports import LanguageModel, Meter, Pricing
from rag.types import CostLine, Usage

DOWN = ProviderUnavailableError("the server is out of reach", retry_after_s=30)
BUSY = ProviderBusyError("too many calls", retry_after_s=7)
WRONG_KEY = ProviderRefusedError("the key is not accepted")
GIBBERISH = ProviderReplyError("the reply is not JSON")
WALL = BudgetError("the day's wall of 5 USD leaves 0.01 USD")
PAID = CostLine("generate", "scripted-1", Decimal("0.01"), 5.0)


class FixedPricing:
    """A Pricing: so much a token of output; None where no price is known."""

    def __init__(self, usd_per_token: str | None) -> None:
        self._usd = None if usd_per_token is None else Decimal(usd_per_token)

    def at_most_usd(self, call: ModelCall) -> Decimal | None:
        return None if self._usd is None else self._usd * call.max_output_tokens

    def begin(self) -> Meter:
        return self

    def end(self, usage: Usage | None) -> Charge:
        raise AssertionError("nothing is metered here")


def offer(
    usd: str | None, *scripts: Sequence[Step], name: str = "m"
) -> tuple[ScriptedModel, Pricing]:
    return ScriptedModel(*scripts, provider="acme", model=name), FixedPricing(usd)


async def test_the_cheapest_is_tried_first_and_unknown_prices_last() -> None:
    offers = [
        offer(None, [DOWN], name="unpriced"),
        offer("0.002", said("second"), name="dear"),
        offer("0.001", [PAID, DOWN], name="cheap"),
        offer("0.002", said("third"), name="as dear"),
    ]
    events = await collect(FailoverModel(offers).stream(model_call()))
    assert text_of(events) == "second", "equals stay in the order given"
    assert costs_of(events) == [PAID], "the failed attempt is on the bill"
    assert [len(model.calls) for model, _ in offers] == [0, 1, 1, 0]


async def test_it_is_a_language_model_named_after_the_first_and_tells_who_answered() -> None:
    model: LanguageModel = FailoverModel(
        [
            offer("0.002", said("yes", model="first-2025"), name="first"),
            offer("0.001", said("yes", model="second-2025"), name="second"),
        ]
    )
    assert (model.provider, model.model) == ("acme", "first")
    end = (await collect(model.stream(model_call())))[-1]
    assert isinstance(end, CallEnd)
    assert end.model == "second-2025"


@pytest.mark.parametrize("error", [DOWN, BUSY, WRONG_KEY, GIBBERISH])
async def test_any_failure_of_a_provider_sends_the_call_on(error: ProviderError) -> None:
    offers = [offer("0.001", [error]), offer("0.002", said("yes"))]
    assert text_of(await collect(FailoverModel(offers).stream(model_call()))) == "yes"
    assert offers[0][0].calls == offers[1][0].calls


async def test_nobody_else_goes_on_with_text_that_broke_off() -> None:
    offers = [offer("0.001", [TextDelta("Five "), DOWN]), offer("0.002", said("yes"))]
    error, events = await failure_of(FailoverModel(offers))
    assert error is DOWN
    assert events == [TextDelta("Five ")]
    assert not offers[1][0].calls


async def test_a_call_that_does_not_fit_the_budget_is_not_tried_with_a_dearer_model() -> None:
    offers = [offer("0.001", [WALL]), offer("0.002", said("yes"))]
    with pytest.raises(BudgetError) as caught:
        await collect(FailoverModel(offers).stream(model_call()))
    assert caught.value is WALL
    assert not offers[1][0].calls


async def test_when_all_fail_the_error_names_each_and_when_to_come_back() -> None:
    offers = [
        offer("0.001", [WRONG_KEY], name="a"),
        offer("0.002", [DOWN], name="b"),
        offer("0.003", [BUSY], name="c"),
        offer("0.004", [GIBBERISH], name="d"),
    ]
    with pytest.raises(ProviderUnavailableError) as caught:
        await collect(FailoverModel(offers).stream(model_call()))
    assert str(caught.value) == (
        "none of 4 models answered: a at acme: the key is not accepted; "
        "b at acme: the server is out of reach; c at acme: too many calls; "
        "d at acme: the reply is not JSON"
    )
    assert caught.value.retry_after_s == 7


async def test_when_no_model_may_work_later_the_error_says_so() -> None:
    offers = [offer("0.001", [GIBBERISH], name="a"), offer("0.002", [WRONG_KEY], name="b")]
    with pytest.raises(ProviderRefusedError, match=r"a at acme.*b at acme") as caught:
        await collect(FailoverModel(offers).stream(model_call()))
    assert not caught.value.retryable
    assert caught.value.retry_after_s is None


async def test_the_only_error_is_left_as_it_is() -> None:
    with pytest.raises(ProviderUnavailableError) as caught:
        await collect(FailoverModel([offer("0.001", [DOWN])]).stream(model_call()))
    assert caught.value is DOWN


async def test_leaving_closes_the_model_that_answers() -> None:
    offers = [offer("0.001", [DOWN]), offer("0.002", [TextDelta("a"), TextDelta("b")])]
    async with aclosing(FailoverModel(offers).stream(model_call())) as stream:
        assert await anext(stream) == TextDelta("a")
    assert (offers[1][0].running, offers[1][0].left) == (0, 1)


async def test_an_open_breaker_sends_calls_on_without_a_call() -> None:
    cheap, pricing = offer("0.001", [DOWN])
    dear = offer("0.002", said("yes"))
    bounded = BoundedModel(
        cheap, CallLimits(max_attempts=1), CircuitBreaker("cheap", max_failures=2)
    )
    model = FailoverModel([(bounded, pricing), dear])
    for _ in range(5):
        assert text_of(await collect(model.stream(model_call()))) == "yes"
    assert (len(cheap.calls), len(dear[0].calls)) == (2, 5)
