"""The worst case before a call, and the charge after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from contexts import COUNTER, question

from generation.money.price_table import PriceTable
from generation.money.prices import Price, Rates
from generation.money.token_pricing import TokenPricing, input_tokens_at_most
from rag.calls import ModelCall, Prompt
from rag.ports import Pricing
from rag.types import Usage

SYSTEM = "Answer from the context alone, and cite it."
USERS = [
    "",
    "How long do refunds take?",
    "Wie lange dauert die Rückerstattung? 返金には何日かかりますか。",
    "🦙" * 50 + "<|endoftext|>" * 20 + "\x00\ud800",
    "x" * 5_000 + " " * 5_000 + "0123456789" * 300,
]
PRICE = Price(
    "acme",
    "one",
    (
        Rates(input=Decimal(2), output=Decimal(8), cache_write=Decimal("2.5")),
        Rates(input=Decimal(4), output=Decimal(16), above_input_tokens=1_000),
    ),
    date(2026, 11, 1),
    "a contract",
)


def call(user: str, max_output_tokens: int = 400) -> ModelCall:
    return ModelCall(Prompt("v1", SYSTEM, user), question("How?"), "premium", max_output_tokens)


def pricing(price: Price | None = PRICE, model: str = "one") -> Pricing:
    return TokenPricing(lambda: price, input_tokens_at_most("acme", model, COUNTER))


class TestInputTokensAtMost:
    @pytest.mark.parametrize("user", USERS)
    @pytest.mark.parametrize(
        ("provider", "model"), [("openai", "gpt-4o"), ("openai", "gpt-4"), ("acme", "gpt-4o")]
    )
    def test_no_tokenizer_makes_more(self, provider: str, model: str, user: str) -> None:
        import tiktoken

        most = input_tokens_at_most(provider, model, COUNTER)(Prompt("v1", SYSTEM, user))
        encodings = ["o200k_base"] if provider == "openai" and model == "gpt-4o" else []
        for name in encodings or ["o200k_base", "cl100k_base"]:
            encoding = tiktoken.get_encoding(name)
            made = len(encoding.encode_ordinary(SYSTEM)) + len(encoding.encode_ordinary(user))
            assert made + 50 <= most, "and room for what a template adds"

    def test_a_known_tokenizer_reserves_little_more_than_it_takes(self) -> None:
        user = "How long do refunds take, and who pays for the parcel? " * 100
        prompt = Prompt("v1", SYSTEM, user)
        counted = COUNTER.count(SYSTEM) + COUNTER.count(user)
        most = input_tokens_at_most("openai", "gpt-4o", COUNTER)(prompt)
        assert counted * 1.05 + 50 <= most <= counted * 1.05 + 51

    @pytest.mark.parametrize("model", ["gpt-4", "no-such-model-1"])
    def test_another_vocabulary_is_not_counted_with_this_one(self, model: str) -> None:
        prompt = Prompt("v1", "abc", "äß")
        assert input_tokens_at_most("openai", model, COUNTER)(prompt) == 3 + 4 + 200


class TestAtMost:
    def test_by_hand(self) -> None:
        tokens_in = len(SYSTEM) + len("How?") + 200
        by_hand = (tokens_in * Decimal("2.5") + 400 * 8) / 1_000_000
        assert pricing().at_most_usd(call("How?")) == by_hand

    def test_a_prompt_that_may_be_long_is_reserved_as_a_long_one(self) -> None:
        user = "x" * 1_000
        tokens_in = len(SYSTEM) + 1_000 + 200
        assert pricing().at_most_usd(call(user)) == Decimal(tokens_in * 4 + 400 * 16) / 1_000_000

    def test_no_usage_that_fits_the_call_costs_more(self) -> None:
        priced = pricing()
        for user in USERS:
            most = priced.at_most_usd(call(user))
            assert most is not None
            tokens_in = len((SYSTEM + user).encode("utf-8", "replace"))
            for usage in (
                Usage(tokens_in, 0, 400),
                Usage(tokens_in, 0, 400, cache_write_tokens=tokens_in),
                Usage(tokens_in, tokens_in, 400, reasoning_tokens=400),
            ):
                charge = priced.begin().end(usage)
                assert charge.usd is not None
                assert charge.usd <= most

    def test_without_a_price_nothing_is_known(self) -> None:
        assert pricing(None).at_most_usd(call("How?")) is None


class TestCharge:
    def test_by_hand(self) -> None:
        charge = pricing().begin().end(Usage(900, 0, 100))
        assert charge.usd == Decimal("0.0026")
        assert charge.price == PRICE.describe()
        assert charge.gpu_seconds is None

    def test_unknown_usage_is_an_unknown_cost_with_a_known_price(self) -> None:
        charge = pricing().begin().end(None)
        assert charge.usd is None
        assert charge.price == PRICE.describe()

    def test_no_price_is_an_unknown_cost_whatever_was_used(self) -> None:
        charge = pricing(None).begin().end(Usage(900, 0, 100))
        assert charge.usd is None
        assert json.loads(charge.price) == {}

    def test_a_call_keeps_the_price_at_which_it_began(self) -> None:
        prices: Iterator[Price | None] = iter([PRICE, None])
        changing = TokenPricing(lambda: next(prices), len_of_user)
        meter, later = changing.begin(), changing.begin()
        assert meter.end(Usage(900, 0, 100)).usd == Decimal("0.0026")
        assert later.end(Usage(900, 0, 100)).usd is None

    def test_a_batch_is_charged_at_its_discount(self) -> None:
        table = PriceTable()
        at_once, batch = (
            TokenPricing(lambda price=price: price("openai", "gpt-4o"), len_of_user)  # type: ignore[misc]
            for price in (table.price, table.batch_price)
        )
        usage = Usage(1_000, 0, 1_000)
        assert at_once.begin().end(usage).usd == Decimal("0.0125")
        assert batch.begin().end(usage).usd == Decimal("0.00625")


def len_of_user(prompt: Prompt) -> int:
    return len(prompt.user)
