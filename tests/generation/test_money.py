"""Prices from the published table, and what the naive way would have cost."""

from __future__ import annotations

import dataclasses
import socket
from decimal import Decimal

import pytest
from contexts import COUNTER, chunks_of, hits_of, question

from generation.money.baseline import _INSTRUCTION_TOKENS, PremiumBaseline
from generation.money.prices import cost_usd, price_usd_per_token
from rag.ports import Baseline
from rag.types import Hit, Usage

UNKNOWN = "no-such-model-1"
MILLION = 1_000_000

# Dollars for a million tokens in and out, from the providers' own price pages.
PUBLISHED = {
    "gpt-4o": ("2.50", "10.00"),
    "gpt-4o-mini": ("0.15", "0.60"),
    "claude-sonnet-4-5": ("3.00", "15.00"),
    "gemini-2.5-pro": ("1.25", "10.00"),  # up to 200,000 tokens of input
}


class TestPrices:
    @pytest.mark.parametrize(("model", "published"), PUBLISHED.items())
    def test_as_published(self, model: str, published: tuple[str, str]) -> None:
        price = price_usd_per_token(model)
        assert price is not None
        assert tuple(one * MILLION for one in price) == tuple(map(Decimal, published))

    @pytest.mark.parametrize("model", [UNKNOWN, "", " ", "gpt"])
    def test_an_unknown_model_has_no_price(self, model: str) -> None:
        assert price_usd_per_token(model) is None
        assert cost_usd(model, Usage(1_000, 0, 1_000)) is None
        assert cost_usd(model, Usage()) is None, "not even for nothing"

    def test_cost_by_hand(self) -> None:
        usage = Usage(input_tokens=1_200, output_tokens=300)
        assert cost_usd("gpt-4o", usage) == Decimal("0.006")  # 0.003 in and 0.003 out

    def test_one_token_of_a_cheap_model_is_not_rounded_away(self) -> None:
        assert cost_usd("gpt-4o-mini", Usage(input_tokens=1)) == Decimal("0.00000015")

    def test_cached_tokens_get_no_discount(self) -> None:
        assert cost_usd("gpt-4o", Usage(100, 100, 0)) == cost_usd("gpt-4o", Usage(100, 0, 0))

    def test_no_tokens_cost_nothing(self) -> None:
        assert cost_usd("gpt-4o", Usage()) == 0


class TestBaseline:
    TEXTS = ("Refunds take five working days.", "Parking is free.", "The office has a dog.")

    def hits(self) -> list[Hit]:
        chunks = [c for n, text in enumerate(self.TEXTS) for c in chunks_of(text, f"doc{n}")]
        return hits_of(chunks, {})

    def baseline(self, model: str = "gpt-4o", chunks: int = 2) -> Baseline:
        return PremiumBaseline(COUNTER, model, chunks)

    def test_by_hand(self) -> None:
        asked, answer = question("How long do refunds take?"), "Five days. [1]"
        sent = (asked.text, self.TEXTS[0], self.TEXTS[1])
        tokens_in = _INSTRUCTION_TOKENS + sum(COUNTER.count(text) for text in sent)
        tokens_out = COUNTER.count(answer)
        by_hand = tokens_in * Decimal("2.50") / MILLION + tokens_out * Decimal("10.00") / MILLION
        assert self.baseline().cost_usd(asked, self.hits(), answer) == by_hand

    def test_only_so_many_chunks_are_sent(self) -> None:
        asked = question("How?")
        costs = [self.baseline(chunks=n).cost_usd(asked, self.hits(), "") for n in (1, 2, 3, 50)]
        known = [cost for cost in costs if cost is not None]
        assert known[0] < known[1] < known[2] == known[3]

    def test_without_hits_the_question_and_the_instruction_are_sent(self) -> None:
        asked = question("How?")
        tokens = _INSTRUCTION_TOKENS + COUNTER.count("How?")
        expected = tokens * Decimal("2.50") / MILLION
        assert self.baseline().cost_usd(asked, [], "") == expected

    def test_an_unknown_model_has_no_baseline(self) -> None:
        assert self.baseline(UNKNOWN).cost_usd(question("How?"), self.hits(), "x") is None

    def test_scores_make_no_difference(self) -> None:
        asked = question("How?")
        other = [dataclasses.replace(hit, score=0.0, sentence_scores=()) for hit in self.hits()]
        cost = self.baseline().cost_usd(asked, self.hits(), "x")
        assert self.baseline().cost_usd(asked, other, "x") == cost


def test_prices_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a price was about to be fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    price_usd_per_token.cache_clear()
    assert price_usd_per_token("gpt-4o") is not None
