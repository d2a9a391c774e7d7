"""Two ways to ask the real vLLM server for the same: our whole stack of models, and bare HTTP.

The stack is the one that the local tier has: bounded, metered on a ledger in SQLite, priced by the
hour. The bare client sends the same body and reads the same stream, and looks at nothing in it but
the usage at its end.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
from sqlalchemy import Engine, func, select

from api.state.opening import open_state
from benchmarks.vllm_server import MODEL
from generation.money.gpu import GpuPricing
from generation.money.ledger import SqlLedger
from generation.money.metered import MeteredModel, MeterLimits
from generation.money.tables import LEDGER, RESERVATIONS
from generation.providers.bounded import BoundedModel, CallLimits
from generation.providers.breaker import CircuitBreaker
from generation.providers.openai_chat import OpenAIChatModel, messages_of
from rag.calls import CallEnd, ModelCall
from rag.ports import LanguageModel
from rag.types import Usage

TIMEOUT_S = 60.0
GPU_USD_PER_HOUR = Decimal(2)

Ask = Callable[[ModelCall], Awaitable[Usage]]
"""Asks once and reads all of the answer."""


@dataclass(frozen=True)
class Stack:
    """Our model, and the state in which its ledger is."""

    model: LanguageModel
    state: Engine

    async def ask(self, call: ModelCall) -> Usage:
        """The usage of an answer that was read to its end."""
        async with aclosing(self.model.stream(call)) as events:
            end = [event async for event in events][-1]
        assert isinstance(end, CallEnd)
        assert end.usage is not None
        return end.usage

    def count_lines(self) -> dict[str, int]:
        """Lines of the ledger by outcome, and reservations that are still held."""
        with self.state.connect() as connection:
            by_outcome = select(LEDGER.c.outcome, func.count()).group_by(LEDGER.c.outcome)
            counts = {str(row[0]): int(row[1]) for row in connection.execute(by_outcome)}
            held = connection.execute(select(func.count()).select_from(RESERVATIONS)).scalar_one()
        return counts | {"held": int(held)}


@asynccontextmanager
async def open_stack(url: str, folder: Path, clients: int) -> AsyncIterator[Stack]:
    """The stack of the local tier, on the server at `url`, for so many calls at once."""
    state = open_state(folder)
    ledger = SqlLedger(state)
    adapter = OpenAIChatModel(url, MODEL, None, provider="local", timeout_s=TIMEOUT_S)
    metered = MeteredModel(
        adapter,
        GpuPricing(GPU_USD_PER_HOUR, TIMEOUT_S),
        ledger,
        MeterLimits(TIMEOUT_S, TIMEOUT_S / 2),
    )
    limits = CallLimits(max_concurrent=clients, timeout_s=TIMEOUT_S, max_attempts=2)
    try:
        yield Stack(BoundedModel(metered, limits, CircuitBreaker("the local server")), state)
    finally:
        await adapter.close()
        ledger.close()
        state.dispose()


@asynccontextmanager
async def open_bare(url: str) -> AsyncIterator[Ask]:
    """Plain streaming over HTTP."""
    limits = httpx.Limits(keepalive_expiry=2)  # s; the server closes what is idle for five
    async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits) as client:

        async def ask(call: ModelCall) -> Usage:
            rest = b""
            async with client.stream("POST", f"{url}/chat/completions", json=_body(call)) as reply:
                reply.raise_for_status()
                async for part in reply.aiter_raw():
                    rest = (rest + part)[-2_000:]
            told = next(line for line in rest.split(b"\n\n") if b'"choices":[]' in line)
            report = json.loads(told.removeprefix(b"data: "))["usage"]
            return Usage(
                input_tokens=report["prompt_tokens"], output_tokens=report["completion_tokens"]
            )

        yield ask


def _body(call: ModelCall) -> dict[str, object]:
    return {
        "model": MODEL,
        "messages": messages_of(call.prompt),
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "logprobs": True,
        "max_tokens": call.max_output_tokens,
    }


async def tokens_per_s(ask: Ask, calls: Sequence[ModelCall], clients: int) -> dict[str, float]:
    """Tokens written a second, from so many clients that each ask one call after another."""
    waiting = iter(calls)
    written: list[int] = []
    began, began_cpu = time.perf_counter(), time.process_time()

    async def client() -> None:
        for call in waiting:
            written.append((await ask(call)).output_tokens)

    await asyncio.gather(*(client() for _ in range(clients)))
    seconds = time.perf_counter() - began
    return {
        "tokens_per_s": sum(written) / seconds,
        "own_cpu_us_per_token": (time.process_time() - began_cpu) / sum(written) * 1e6,
    }
