"""Batches of questions around a real state and a real server of batches, for tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from batch_server import BatchServer
from contexts import COUNTER, chunks_of, hits_of
from fakes import HashingEmbedder
from sqlalchemy import Engine

from compression.budget import BudgetCompressor
from compression.usefulness import Usefulness
from generation.batching.asking import BatchAsking
from generation.batching.batches import BatchState, QuestionBatches
from generation.batching.choosing import BatchChoosing
from generation.batching.collecting import Collecting
from generation.batching.gathering import Gathering
from generation.batching.records import BatchRecords
from generation.confidence.calibration import Calibrator
from generation.confidence.judging import Judge
from generation.deciding.chances import ChanceEstimator, bundled_chances, traits_of
from generation.deciding.policy import PlainRule, Policy
from generation.deciding.tier_costs import TierCosts
from generation.money.baseline import PremiumBaseline
from generation.money.budgets import Walls
from generation.money.ledger import SqlLedger, utc_now
from generation.money.price_file import read_price_file
from generation.money.price_table import PriceTable
from generation.money.token_pricing import TokenPricing, input_tokens_at_most
from generation.providers.anthropic_batches import AnthropicBatches
from generation.providers.batch import BatchEndpoint
from generation.providers.openai_batches import OpenAIBatches
from rag.pipeline import Limits
from rag.ports import Generator, Listener
from rag.types import Citation, Context, Generation, Hit, Question

TEXT = "# Refunds\n\nA refund takes five business days and goes to the card that paid.\n"
SENTENCE = "A refund takes five business days and goes to the card that paid."
SURE, UNSURE = "How long does a refund take, surely?", "When do I see my money again?"
KEEP_DAYS = 30
TRUE = f"{SENTENCE[:-1]} [1]."
USAGE = {"prompt_tokens": 301, "completion_tokens": 21, "total_tokens": 322}
PRICES = """
[[models]]
provider = "{provider}"
model = "big"
input = 2.00
output = 10.00
batch_discount = 0.5
as_of = 2026-01-01
source = "made for this test"
"""
USD = Decimal("0.000406")
"""301 tokens at $1 and 21 at $5 a million: half of the price."""


def made_chances() -> ChanceEstimator:
    """The bundled estimate, which needs no vector."""
    record = bundled_chances()
    holds = Calibrator.from_record(record["holds_answer"])
    return ChanceEstimator(holds, traits_of(record), HashingEmbedder())


def questions(*texts: str) -> list[tuple[str, Question]]:
    """Questions of one asker, named q1 and so on."""
    return [
        (f"q{number}", Question(text, "help", tenant="acme", key="chat"))
        for number, text in enumerate(texts, start=1)
    ]


class OnePage:
    """A Retriever and Revisions of one page; `revisions` are those that are there."""

    def __init__(self) -> None:
        self.hits = hits_of(chunks_of(TEXT, "refunds"), {"A refund": 0.8})
        chunk = self.hits[0].chunk
        self.revisions = {chunk.document_id: chunk.revision}

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        return self.hits

    async def current(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        return {name: self.revisions[name] for name in document_ids if name in self.revisions}

    async def holds(self, collection: str) -> bool:
        return True


class Quoting:
    """A Generator that quotes the sentence, and is sure where the question says so."""

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        chunk = hits[0].chunk
        start = chunk.start + chunk.text.index(SENTENCE)
        citation = Citation(
            1, chunk.document_id, "Help", chunk.source, None, start, start + len(SENTENCE), SENTENCE
        )
        sure = 0.9 if "surely" in question.text else 0.3
        return Generation(f"{SENTENCE} [1]", (citation,), sure, False, "extractive", "quote")


@dataclass
class Asked:
    """Batches over one state; `open` makes them anew, as another process would."""

    engine: Engine
    server: BatchServer
    folder: Path
    protocol: str = "openai"
    walls: Walls = field(default_factory=Walls)
    page: OnePage = field(default_factory=OnePage)
    now: Callable[[], datetime] = utc_now
    quoting: Generator = field(default_factory=Quoting)
    policy: Policy = field(default_factory=lambda: PlainRule(0.7))
    opened: list[Any] = field(default_factory=list)

    def open(self, endpoint: BatchEndpoint | None = None) -> QuestionBatches:
        prices = self.folder / "prices.toml"
        prices.write_text(PRICES.format(provider=self.protocol))
        table = PriceTable(read_price_file(prices, datetime.now(UTC).date()))
        counted = input_tokens_at_most(self.protocol, "big", COUNTER)
        pricing = TokenPricing(lambda: table.batch_price(self.protocol, "big"), counted)
        ledger = SqlLedger(self.engine, self.walls, self.now)
        endpoint = endpoint or self._endpoint()
        self.opened += [ledger, endpoint]
        compressor = BudgetCompressor(COUNTER, Usefulness.bundled(), min_usefulness=0)
        baseline = PremiumBaseline(COUNTER, "big", 10, table)
        records = BatchRecords(self.engine)
        return QuestionBatches(
            gathering=Gathering(
                retriever=self.page,
                compressor=compressor,
                quoting=self.quoting,
                baseline=baseline,
                limits=Limits(),
                max_context_tokens=1_000,
            ),
            open_asking=lambda: BatchAsking(endpoint, pricing, ledger, 400),
            collecting=Collecting(
                records=records,
                ledger=ledger,
                revisions=self.page,
                compressor=compressor,
                baseline=baseline,
                judge=Judge({}),
                costs=TierCosts({}),
                abstain_below=0.2,
            ),
            records=records,
            keep_days=KEEP_DAYS,
            choosing=BatchChoosing(self.policy, made_chances(), abstain_below=0.2),
            now=self.now,
        )

    def _endpoint(self) -> OpenAIBatches | AnthropicBatches:
        if self.protocol == "anthropic":
            return AnthropicBatches("big", "sk-secret", base_url=self.server.url, timeout_s=5)
        url = f"{self.server.url}/v1"
        return OpenAIBatches("big", "sk-secret", base_url=url, timeout_s=5)

    def end(self, *texts: str | None, usage: Any = USAGE, batch: str = "batch_0") -> None:
        """The server's batch ends with these answers, None for a call that failed."""
        sent = [line["custom_id"] for line in self.server.sent[batch]]
        if self.protocol == "anthropic":
            pairs = zip(sent, texts, strict=True)
            self.server.end_anthropic(batch, *(_result(name, text) for name, text in pairs))
            return
        output, errors = [], []
        for name, text in zip(sent, texts, strict=True):
            if text is None:
                told = {"code": "batch_expired", "message": "too late"}
                errors.append({"custom_id": name, "response": None, "error": told})
            else:
                output.append(answered(name, text, usage))
        self.server.end_openai(batch, output=output, errors=errors)

    async def close(self) -> None:
        for each in self.opened:
            if isinstance(each, SqlLedger):
                each.close()
            elif hasattr(each, "close"):
                await each.close()


def answered(name: str, text: str, usage: Any = USAGE) -> dict[str, Any]:
    """A line of OpenAI's file of answers."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"model": "big", "choices": [choice], "usage": usage}
    return {"custom_id": name, "response": {"status_code": 200, "body": body}, "error": None}


def _result(name: str, text: str | None) -> dict[str, Any]:
    """A line of Anthropic's results."""
    if text is None:
        return {"custom_id": name, "result": {"type": "expired"}}
    message = {
        "model": "big",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 301, "output_tokens": 21},
    }
    return {"custom_id": name, "result": {"type": "succeeded", "message": message}}


def look_like(state: BatchState) -> list[tuple[str, str, str]]:
    """The answers as name, status and tier."""
    assert state.answers is not None
    return [(name, answer.status, answer.tier) for name, answer in state.answers]


def kept(engine: Engine) -> str:
    """All that the tables of batches hold, as one text."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT waiting, given FROM batch_entries").all()
    return json.dumps([list(row) for row in rows])
