"""What the naive way would have cost."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal

from contexts import COUNTER, chunks_of, hits_of, question

from generation.money.baseline import _INSTRUCTION_TOKENS, PremiumBaseline
from generation.money.price_file import OwnPrice
from generation.money.price_table import PriceTable
from generation.money.prices import Price, Rates
from rag.ports import Baseline
from rag.types import Hit

MILLION = 1_000_000
TEXTS = ("Refunds take five working days.", "Parking is free.", "The office has a dog.")


def hits() -> list[Hit]:
    chunks = [c for n, text in enumerate(TEXTS) for c in chunks_of(text, f"doc{n}")]
    return hits_of(chunks, {})


def baseline(model: str = "gpt-4o", chunks: int = 2) -> Baseline:
    return PremiumBaseline(COUNTER, model, chunks)


def test_by_hand() -> None:
    asked, answer = question("How long do refunds take?"), "Five days. [1]"
    sent = (asked.text, TEXTS[0], TEXTS[1])
    tokens_in = _INSTRUCTION_TOKENS + sum(COUNTER.count(text) for text in sent)
    tokens_out = COUNTER.count(answer)
    by_hand = tokens_in * Decimal("2.50") / MILLION + tokens_out * Decimal("10.00") / MILLION
    assert baseline().cost_usd(asked, hits(), answer) == by_hand


def test_only_so_many_chunks_are_sent() -> None:
    costs = [baseline(chunks=n).cost_usd(question("How?"), hits(), "") for n in (1, 2, 3, 50)]
    known = [cost for cost in costs if cost is not None]
    assert known[0] < known[1] < known[2] == known[3]


def test_without_hits_the_question_and_the_instruction_are_sent() -> None:
    tokens = _INSTRUCTION_TOKENS + COUNTER.count("How?")
    expected = tokens * Decimal("2.50") / MILLION
    assert baseline().cost_usd(question("How?"), [], "") == expected


def test_an_unknown_model_has_no_baseline() -> None:
    assert baseline("no-such-model-1").cost_usd(question("How?"), hits(), "x") is None


def test_scores_make_no_difference() -> None:
    asked = question("How?")
    other = [dataclasses.replace(hit, score=0.0, sentence_scores=()) for hit in hits()]
    assert baseline().cost_usd(asked, other, "x") == baseline().cost_usd(asked, hits(), "x")


def test_the_operators_price_counts() -> None:
    rates = Rates(input=Decimal("5.00"), output=Decimal("20.00"))
    own = Price("openai", "gpt-4o", (rates,), date(2026, 11, 1), "a contract")
    table = PriceTable({("openai", "gpt-4o"): OwnPrice(own, None)})
    published = baseline().cost_usd(question("How?"), hits(), "x")
    twice = PremiumBaseline(COUNTER, "gpt-4o", 2, table).cost_usd(question("How?"), hits(), "x")
    assert published is not None
    assert twice == 2 * published
