"""Made records in the shapes of OpenAI, Anthropic and vLLM: from the wire to the dollar, exactly.

Some were reckoned by hand. The others are drawn by chance and reckoned anew from the wire, in whole
pico-dollars and by other formulas than the code's. All of them are charged twice: as an answer that
came whole, and as one that the real clients read from a stream. (A batch's come whole alone.)
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import pytest
from contexts import question
from streaming_server import Answering, Asked, serving

from generation.money.price_file import read_price_file
from generation.money.price_table import PriceTable
from generation.money.token_pricing import TokenPricing
from generation.providers.anthropic_chat import AnthropicModel
from generation.providers.openai_chat import OpenAIChatModel
from generation.providers.usage import anthropic_usage, believable, openai_usage
from rag.calls import CallEnd, ModelCall, Prompt
from rag.types import Usage

Shape = Literal["openai", "anthropic", "vllm"]
PICO = 10**12
TO_COME = 300
"""Records that are drawn by chance."""

PRICES = """
[[models]]  # the cache is cheaper, and batches cost half
provider = "openai"
model = "plain"
input = 2.50
cached_input = 1.25
output = 10.00
batch_discount = 0.5
as_of = 2026-11-01
source = "made for this test"

[[models]]  # a long prompt is dearer, and reasoning has a price of its own
provider = "openai"
model = "long"
input = 1.24
cached_input = 0.124
output = 10.00
reasoning = 14.2
batch_discount = 0.5
as_of = 2026-11-01
source = "made for this test"
[[models.tiers]]
above_input_tokens = 2_000
input = 2.48
cached_input = 0.248
output = 15.00
reasoning = 21.4

[[models]]  # what the cache takes is dearer than what it is not asked for
provider = "anthropic"
model = "cached"
input = 3
cached_input = 0.30
cache_write = 3.75
output = 15
batch_discount = 0.5
as_of = 2026-11-01
source = "made for this test"

[[models]]  # somebody's vLLM that is paid by the token
provider = "vllm"
model = "small"
input = 0.06
output = 0.18
as_of = 2026-11-01
source = "made for this test"
"""


@dataclass(frozen=True)
class InPico:
    """The same prices again, in pico-dollars per token."""

    input: int
    cached: int
    written: int
    output: int
    reasoning: int


IN_PICO = {
    ("plain", False): InPico(2_500_000, 1_250_000, 2_500_000, 10_000_000, 10_000_000),
    ("long", False): InPico(1_240_000, 124_000, 1_240_000, 10_000_000, 14_200_000),
    ("long", True): InPico(2_480_000, 248_000, 2_480_000, 15_000_000, 21_400_000),
    ("cached", False): InPico(3_000_000, 300_000, 3_750_000, 15_000_000, 15_000_000),
    ("small", False): InPico(60_000, 60_000, 60_000, 180_000, 180_000),
}


@dataclass(frozen=True)
class Record:
    """One call as its provider reports it."""

    shape: Shape
    model: str
    report: Mapping[str, Any]
    is_batch: bool = False


def openai(
    model: str, read: int, cached: int, wrote: int, thought: int, *, is_batch: bool = False
) -> Record:
    report = {
        "prompt_tokens": read,
        "completion_tokens": wrote,
        "total_tokens": read + wrote,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": thought,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return Record("openai", model, report, is_batch)


def anthropic(
    fresh: int, cached: int | None, taken: int | None, wrote: int, *, is_batch: bool = False
) -> Record:
    report = {
        "input_tokens": fresh,
        "cache_creation_input_tokens": taken,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": taken or 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": wrote,
        "service_tier": "batch" if is_batch else "standard",
    }
    return Record("anthropic", "cached", report, is_batch)


def vllm(read: int, cached: int | None, wrote: int) -> Record:
    details = None if cached is None else {"cached_tokens": cached}
    report = {
        "prompt_tokens": read,
        "total_tokens": read + wrote,
        "completion_tokens": wrote,
        "prompt_tokens_details": details,
    }
    return Record("vllm", "small", report)


BY_HAND = [
    (openai("plain", 1_000, 0, 100, 0), "0.0035"),  # 0.0025 + 0.001
    (openai("plain", 1_000, 400, 100, 0), "0.003"),  # 0.0015 + 0.0005 + 0.001
    (openai("plain", 1_000, 1_000, 100, 0), "0.00225"),
    (openai("plain", 1_000, 400, 100, 60), "0.003"),  # reasoning is output like other
    (openai("plain", 1_000, 400, 100, 60, is_batch=True), "0.0015"),
    (openai("plain", 1, 0, 1, 0), "0.0000125"),
    (openai("long", 2_000, 0, 100, 0), "0.00348"),  # the last of the short ones
    (openai("long", 2_001, 0, 100, 0), "0.00646248"),  # all of it dearer
    (openai("long", 3_000, 1_000, 100, 40), "0.006964"),  # 4960 + 248 + 900 + 856
    (openai("long", 3_000, 1_000, 100, 40, is_batch=True), "0.003482"),
    (anthropic(1_000, 0, 0, 100), "0.0045"),
    (anthropic(100, 2_000, 0, 100), "0.0024"),  # 0.0003 + 0.0006 + 0.0015
    (anthropic(100, 0, 2_000, 100), "0.0093"),  # 0.0003 + 0.0075 + 0.0015
    (anthropic(100, 1_000, 2_000, 100), "0.0096"),
    (anthropic(100, 1_000, 2_000, 100, is_batch=True), "0.0048"),
    (anthropic(0, 3_000, 0, 1), "0.000915"),
    (anthropic(1_000, None, None, 100), "0.0045"),  # older models report null
    (vllm(1_000, None, 100), "0.000078"),
    (vllm(1_000, 960, 100), "0.000078"),  # one price for all input, wherever it was read from
    (vllm(1, None, 1), "0.00000024"),
]


def drawn() -> list[Record]:
    chance = random.Random(20_261_120)

    def up_to(most: int) -> int:
        return chance.choice([0, most, chance.randint(0, most)])

    records = []
    for number in range(TO_COME):
        read, wrote = chance.randint(1, 4_000), chance.randint(1, 900)
        is_batch = chance.random() < 0.25
        if number % 3 == 0:
            model = chance.choice(["plain", "long"])
            cached, thought = up_to(read), up_to(wrote)
            records.append(openai(model, read, cached, wrote, thought, is_batch=is_batch))
        elif number % 3 == 1:
            cached = up_to(read)
            taken = up_to(read - cached)
            fresh = read - cached - taken
            records.append(anthropic(fresh, cached, taken, wrote, is_batch=is_batch))
        else:
            records.append(vllm(read, chance.choice([None, up_to(read)]), wrote))
    return records


def reckoned(record: Record) -> Decimal:
    """Dollars from the wire by whole numbers alone: each token in one bin, each at its price."""
    told = record.report
    if record.shape == "anthropic":
        fresh = told["input_tokens"]
        cached = told["cache_read_input_tokens"] or 0
        taken = told["cache_creation_input_tokens"] or 0
        said, thought = told["output_tokens"], 0
    else:
        cached = (told["prompt_tokens_details"] or {}).get("cached_tokens", 0)
        thought = told.get("completion_tokens_details", {}).get("reasoning_tokens", 0)
        fresh, taken = told["prompt_tokens"] - cached, 0
        said = told["completion_tokens"] - thought
    is_long = record.model == "long" and fresh + cached + taken > 2_000
    price = IN_PICO[record.model, is_long]
    pico = fresh * price.input + cached * price.cached + taken * price.written
    pico += said * price.output + thought * price.reasoning
    return Decimal(pico // 2 if record.is_batch else pico) / PICO


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PriceTable:
    path = tmp_path_factory.mktemp("prices") / "prices.toml"
    path.write_text(PRICES, "utf-8")
    return PriceTable(read_price_file(path, date(2026, 11, 20)))


def call_of(record: Record) -> ModelCall:
    """A call whose usage can be believed: as many bytes as there are tokens of input."""
    usage = whole_usage(record)
    prompt = Prompt("v1", "", "x" * usage.input_tokens)
    return ModelCall(prompt, question("How?"), "premium", usage.output_tokens)


def whole_usage(record: Record) -> Usage:
    read = anthropic_usage if record.shape == "anthropic" else openai_usage
    usage = read(json.loads(json.dumps(record.report)))
    assert usage is not None
    return usage


def charged(table: PriceTable, record: Record, usage: Usage | None) -> Decimal | None:
    price = table.batch_price if record.is_batch else table.price
    pricing = TokenPricing(lambda: price(record.shape, record.model), lambda p: len(p.user))
    charge = pricing.begin().end(usage)
    most = pricing.at_most_usd(call_of(record))
    assert most is not None
    assert charge.usd is None or charge.usd <= most, "never more than was reserved"
    return charge.usd


def test_there_are_enough_of_each_kind() -> None:
    records = [record for record, _ in BY_HAND] + drawn()
    usages = [whole_usage(record) for record in records]
    assert len(records) >= 200
    for shape in ("openai", "anthropic", "vllm"):
        assert sum(record.shape == shape for record in records) >= 60
    assert sum(record.is_batch for record in records) >= 30
    assert sum(usage.cached_input_tokens > 0 for usage in usages) >= 100
    assert sum(usage.cache_write_tokens > 0 for usage in usages) >= 30
    assert sum(usage.reasoning_tokens > 0 for usage in usages) >= 30


@pytest.mark.parametrize(("record", "dollars"), BY_HAND)
def test_by_hand(table: PriceTable, record: Record, dollars: str) -> None:
    assert reckoned(record) == Decimal(dollars), "the reckoning itself"
    usage = believable(whole_usage(record), call_of(record), text_was_written=True)
    assert charged(table, record, usage) == Decimal(dollars)


def test_whole_answers(table: PriceTable) -> None:
    for record in drawn():
        usage = believable(whole_usage(record), call_of(record), text_was_written=True)
        assert charged(table, record, usage) == reckoned(record), record


async def test_streamed_answers(table: PriceTable) -> None:
    records = [record for record, _ in BY_HAND] + drawn()
    turn: list[Record] = []

    async def answer(asked: Asked, out: Answering) -> None:
        await (_messages if asked.path == "/v1/messages" else _chat)(turn[-1].report, out)

    async with serving(answer) as server:
        models = [
            OpenAIChatModel(f"{server.url}/v1", "plain", "key", provider="openai"),
            AnthropicModel(server.url, "cached", "key"),
            OpenAIChatModel(f"{server.url}/v1", "small", None, provider="vllm"),
        ]
        for record in records:
            if record.is_batch:
                continue
            turn.append(record)
            model = next(model for model in models if model.provider == record.shape)
            async with aclosing(model.stream(call_of(record))) as events:
                *_, end = [event async for event in events]
            assert isinstance(end, CallEnd)
            assert charged(table, record, end.usage) == reckoned(record), record
        for model in models:
            await model.close()
    assert len(turn) >= 200


async def _chat(report: Mapping[str, Any], out: Answering) -> None:
    """The usage comes after the text, in an event without a choice."""
    told = {"object": "chat.completion.chunk", "model": "m"}
    await out.begin_events()
    for delta, finish in (({"content": "Five days."}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        await out.event(told | {"choices": [choice], "usage": None})
    await out.event(told | {"choices": [], "usage": report})
    await out.event("[DONE]")
    await out.end_events()


async def _messages(report: Mapping[str, Any], out: Answering) -> None:
    """The input is told before the text, with one token of the output; all of that, after it."""
    delta = {"type": "text_delta", "text": "Five days."}
    message = {
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": {**report, "output_tokens": 1},
    }
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": report["output_tokens"]},
        },
        {"type": "message_stop"},
    ]
    await out.begin_events()
    for event in told:
        await out.event(event, event["type"])
    await out.end_events()
