"""Rates applied to tokens, and the prices that are published."""

from __future__ import annotations

import json
import socket
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from generation.money.price_file import OwnPrice
from generation.money.price_table import PriceTable
from generation.money.prices import Price, Rates
from rag.types import Usage

UNKNOWN = "no-such-model-1"
SOME_DAY = date(2026, 11, 1)


def price_of(*rates: Rates) -> Price:
    return Price("acme", "one", rates, SOME_DAY, "a contract")


def rates(**given: str | int) -> Rates:
    return Rates(
        **{  # type: ignore[arg-type]
            name: value if isinstance(value, int) else Decimal(value)
            for name, value in given.items()
        }
    )


class TestCost:
    FULL = rates(input="2", cached_input="0.5", cache_write="2.5", output="8", reasoning="12")

    def test_by_hand(self) -> None:
        usage = Usage(
            input_tokens=1_000,
            cached_input_tokens=300,
            cache_write_tokens=200,
            output_tokens=100,
            reasoning_tokens=40,
        )
        # 500 x 2 + 300 x 0.5 + 200 x 2.5 + 60 x 8 + 40 x 12 = 1000 + 150 + 500 + 480 + 480
        assert price_of(self.FULL).cost_usd(usage) == Decimal("0.002610")

    def test_tokens_without_a_rate_of_their_own_cost_as_others(self) -> None:
        plain = price_of(rates(input="2", output="8"))
        usage = Usage(1_000, 300, 100, 200, 40)
        assert plain.cost_usd(usage) == plain.cost_usd(Usage(1_000, 0, 100)) == Decimal("0.0028")

    def test_a_rate_of_nothing_is_a_rate(self) -> None:
        free_reading = price_of(rates(input="2", cached_input="0", output="8"))
        assert free_reading.cost_usd(Usage(1_000, 1_000, 0)) == 0
        assert '"cached_input":"0"' in free_reading.describe()

    def test_no_tokens_cost_nothing(self) -> None:
        assert price_of(self.FULL).cost_usd(Usage()) == 0

    def test_one_token_is_not_rounded_away(self) -> None:
        cheap = price_of(rates(input="0.0001", output="0.0001"))
        assert cheap.cost_usd(Usage(1)) == Decimal("0.0000000001")


class TestLongPrompts:
    SHORT = rates(input="1", output="10")
    LONG = rates(input="2", output="15", above_input_tokens=200)
    LONGEST = rates(input="4", output="30", above_input_tokens=500)
    PRICE = price_of(SHORT, LONG, LONGEST)

    @pytest.mark.parametrize(
        ("tokens", "dollars_a_million"), [(0, 0), (200, 200), (201, 402), (500, 1000), (501, 2004)]
    )
    def test_all_tokens_cost_what_the_length_says(
        self, tokens: int, dollars_a_million: int
    ) -> None:
        cost = self.PRICE.cost_usd(Usage(input_tokens=tokens))
        assert cost == Decimal(dollars_a_million) / 1_000_000

    def test_the_answer_too(self) -> None:
        short = self.PRICE.cost_usd(Usage(200, 0, 10)) - self.PRICE.cost_usd(Usage(200))
        long = self.PRICE.cost_usd(Usage(201, 0, 10)) - self.PRICE.cost_usd(Usage(201))
        assert (short, long) == (Decimal("0.0001"), Decimal("0.00015"))

    def test_cached_tokens_count_for_the_length(self) -> None:
        assert self.PRICE.cost_usd(Usage(201, 201, 0)) == Decimal("0.000402")

    def test_the_worst_case_covers_every_length_up_to_it(self) -> None:
        dear_when_short = price_of(rates(input="9", output="9"), self.LONG)
        for price in (self.PRICE, dear_when_short):
            for most in (0, 1, 200, 201, 700):
                worst = price.at_most_usd(most, 50)
                costs = [price.cost_usd(Usage(n, 0, 50)) for n in range(most + 1)]
                assert max(costs) <= worst
        assert self.PRICE.at_most_usd(200, 50) == self.PRICE.cost_usd(Usage(200, 0, 50)), "no more"


def test_the_worst_case_takes_the_dearest_kind_of_token() -> None:
    full = price_of(TestCost.FULL)
    worst = full.at_most_usd(100, 10)
    assert worst == full.cost_usd(Usage(100, 0, 10, cache_write_tokens=100, reasoning_tokens=10))


def test_a_call_can_be_priced_anew_from_what_its_line_says() -> None:
    price = price_of(TestCost.FULL, rates(input="4", output="16", above_input_tokens=200))
    stated = json.loads(price.describe())
    assert (stated["as_of"], stated["source"]) == ("2026-11-01", "a contract")
    again = price_of(
        *(
            Rates(**{k: v if isinstance(v, int) else Decimal(v) for k, v in each.items()})
            for each in stated["usd_per_million"]
        )
    )
    assert again == price


# Dollars for a million tokens, from the providers' own price pages.
PUBLISHED = {
    ("openai", "gpt-4o"): {"input": "2.50", "cached_input": "1.25", "output": "10.00"},
    ("openai", "gpt-4o-mini"): {"input": "0.15", "cached_input": "0.075", "output": "0.60"},
    ("anthropic", "claude-opus-4-5"): {
        "input": "5",
        "cached_input": "0.50",
        "cache_write": "6.25",
        "output": "25",
    },
}


class TestPublished:
    TABLE = PriceTable()

    @pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
    def test_as_published(self, name: tuple[str, str], published: dict[str, str]) -> None:
        price = self.TABLE.price(*name)
        assert price is not None
        assert price.rates == (rates(**published),)
        assert price.source.startswith("genai-prices ")
        assert date(2026, 1, 1) < price.as_of <= datetime.now(UTC).date()

    def test_long_prompts_are_dearer(self) -> None:
        price = self.TABLE.price("google", "gemini-2.5-pro")
        assert price is not None
        assert [each.above_input_tokens for each in price.rates] == [0, 200_000]
        assert price.cost_usd(Usage(200_000, 0, 1_000)) == Decimal("0.26")
        assert price.cost_usd(Usage(200_001, 0, 1_000)) == Decimal("0.5150025")

    @pytest.mark.parametrize(
        ("provider", "model"), [("openai", "gpt-4o"), ("anthropic", "claude-opus-4-5")]
    )
    def test_a_batch_costs_half(self, provider: str, model: str) -> None:
        now, batch = self.TABLE.price(provider, model), self.TABLE.batch_price(provider, model)
        assert now is not None
        assert batch is not None
        usage = Usage(input_tokens=1_000, output_tokens=100)
        assert batch.cost_usd(usage) * 2 == now.cost_usd(usage)

    def test_a_batch_that_nobody_prices_is_unknown(self) -> None:
        assert self.TABLE.price("deepseek", "deepseek-chat") is not None
        assert self.TABLE.batch_price("deepseek", "deepseek-chat") is None

    def test_a_price_holds_from_its_day_on(self) -> None:
        before, after = (
            PriceTable(now=lambda at=at: at).price("openai", "o3")  # type: ignore[misc]
            for at in (datetime(2025, 6, 9, tzinfo=UTC), datetime(2025, 6, 10, tzinfo=UTC))
        )
        assert before is not None
        assert after is not None
        assert (before.rates[0].input, after.rates[0].input) == (10, 2)
        assert before.as_of <= date(2025, 6, 9), "nothing that was to come is claimed"

    @pytest.mark.parametrize("model", [UNKNOWN, "", " ", "gpt", "gpt-4o-banana"])
    def test_an_unknown_model_has_no_price(self, model: str) -> None:
        assert self.TABLE.price("openai", model) is None
        assert self.TABLE.batch_price("openai", model) is None
        assert self.TABLE.price_of_maker(model) is None

    @pytest.mark.parametrize("provider", ["vllm", "local", "", "my-openai-proxy", "anthropic"])
    def test_another_server_has_not_the_makers_price(self, provider: str) -> None:
        assert self.TABLE.price(provider, "gpt-4o") is None
        assert self.TABLE.price_of_maker("gpt-4o") is not None

    def test_a_model_that_charges_for_more_than_tokens_has_no_price(self) -> None:
        assert self.TABLE.price("perplexity", "sonar-pro") is None

    def test_letters_may_be_of_either_size(self) -> None:
        assert self.TABLE.price("OpenAI", "GPT-4o") == self.TABLE.price("openai", "gpt-4o")


class TestOwn:
    DEAR = Price("openai", "gpt-4o", (rates(input="7", output="7"),), SOME_DAY, "a contract")
    TABLE = PriceTable({("openai", "gpt-4o"): OwnPrice(DEAR, None)})

    def test_the_operators_price_stands_before_the_published_one(self) -> None:
        assert self.TABLE.price("OpenAI", "gpt-4o") == self.DEAR
        assert self.TABLE.price_of_maker("gpt-4o") == self.DEAR

    def test_and_for_batches_too_though_he_names_none(self) -> None:
        assert self.TABLE.batch_price("openai", "gpt-4o") is None

    def test_others_keep_theirs(self) -> None:
        assert self.TABLE.price("azure", "gpt-4o") == PriceTable().price("azure", "gpt-4o")


def test_prices_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a price was about to be fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert PriceTable().price("openai", "gpt-4o-2024-11-20") is not None
