"""Many calls at once against walls that let about half of them pass: one process of them.

    python -m benchmarks.budget_load FOLDER URL BILL FIRST END TOTAL HOLD_S

Requests FIRST to END of TOTAL, half of them at once and half over the next seconds. The state is
that of FOLDER, or at URL where that is not empty. The provider is made up: it writes what it bills
to the file BILL as soon as it takes a call, whatever becomes of the call then: some are refused,
break off, report no usage, or lose their caller. Whoever kills this process can read there what was
really spent. At its end it tells of every request how it went.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

from pydantic import SecretStr

from api.state.opening import open_state
from generation.money.budgets import Walls
from generation.money.ledger import SqlLedger
from generation.money.metered import MeteredModel, MeterLimits
from rag.calls import CallEnd, Charge, ModelCall, ModelEvent, Prompt, TextDelta
from rag.errors import (
    BudgetError,
    ProviderBusyError,
    ProviderError,
    ProviderUnavailableError,
)
from rag.types import Question, Usage

USD_PER_TOKEN = Decimal("0.00001")
TENANTS, KEYS, ATTEMPTS = 4, 8, 2
MAX_WAIT_S = 100.0
SPREAD_S = 3.0


def walls_for(requests: int) -> Walls:
    """Walls that about half of so many requests fit before."""
    return Walls(
        request_usd=Decimal("0.03"),
        day_usd=Decimal("0.006") * requests,
        tenant_day_usd=Decimal("0.0017") * requests,
        key_day_usd=Decimal("0.0009") * requests,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """How a request went; `refusal` is what a BudgetError said."""

    number: int
    answered: bool
    refusal: str = ""


class MadeUpPricing:
    """A Pricing by the token written."""

    def at_most_usd(self, call: ModelCall) -> Decimal:
        """All that the call may write."""
        return USD_PER_TOKEN * call.max_output_tokens

    def begin(self) -> MadeUpPricing:
        """Nothing depends on time."""
        return self

    def end(self, usage: Usage | None) -> Charge:
        """What was written."""
        return Charge(None if usage is None else USD_PER_TOKEN * usage.output_tokens, "made up")


class FlakyModel:
    """A LanguageModel of which every third call or so goes wrong; one seed, one course."""

    provider = "made-up"
    model = "flaky-1"

    def __init__(self, bill: Path, seed: int) -> None:
        self._bill = os.open(bill, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._random = random.Random(seed)

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """As it happens."""
        chance = self._random
        luck, tokens = chance.random(), chance.randint(1, call.max_output_tokens)
        await asyncio.sleep(chance.uniform(0, 0.02))
        if luck < 0.10:
            raise ProviderBusyError("too many calls", retry_after_s=1.0)
        line = f"{call.question.answer_id} {USD_PER_TOKEN * tokens}\n"
        os.write(self._bill, line.encode())
        await asyncio.sleep(chance.uniform(0, 0.02))
        if luck < 0.16:
            raise ProviderUnavailableError("silent for too long")
        yield TextDelta("A part of ")
        await asyncio.sleep(chance.uniform(0, 0.02))
        if luck < 0.24:
            raise ProviderUnavailableError("broke off")
        yield TextDelta("the answer.")
        usage = None if luck < 0.32 else Usage(10, 0, tokens)
        yield CallEnd("stop", usage, "{}", self.model)


def call_of(number: int) -> ModelCall:
    """The call of one request."""
    chance = random.Random(number)
    question = Question(
        "Why?",
        "made up",
        tenant=f"t{chance.randrange(TENANTS)}",
        key=f"k{chance.randrange(KEYS)}",
        answer_id=f"ans_{number}",
    )
    return ModelCall(Prompt("1", "", "Why?"), question, "premium", chance.randint(100, 2_000))


async def ask(model: MeteredModel, number: int) -> Told:
    """One request, with a second attempt where the first failed; some callers leave."""
    call = call_of(number)
    chance = random.Random(f"asker {number}")
    leaves = chance.random() < 0.08
    if chance.random() < 0.5:
        await asyncio.sleep(chance.uniform(0, SPREAD_S))
    for _ in range(ATTEMPTS):
        try:
            async with aclosing(model.stream(call)) as events:
                async for event in events:
                    if leaves and isinstance(event, TextDelta):
                        return Told(number, answered=False)
            return Told(number, answered=True)
        except ProviderError:
            continue
        except BudgetError as error:
            return Told(number, answered=False, refusal=str(error))
    return Told(number, answered=False)


async def load(
    folder: Path, url: str, bill: Path, numbers: range, total: int, hold_s: float
) -> list[Told]:
    """All requests of these numbers at once."""
    engine = open_state(folder, SecretStr(url) if url else None)
    ledger = SqlLedger(engine, walls_for(total))
    model = MeteredModel(
        FlakyModel(bill, numbers.start),
        MadeUpPricing(),
        ledger,
        MeterLimits(hold_s, MAX_WAIT_S, grace_s=0),
    )
    told = await asyncio.gather(*(ask(model, number) for number in numbers))
    ledger.close()
    engine.dispose()
    return told


def main() -> None:
    """Ask, and tell how it went."""
    folder, url, bill, first, end, total, hold_s = sys.argv[1:]
    numbers = range(int(first), int(end))
    told = asyncio.run(load(Path(folder), url, Path(bill), numbers, int(total), float(hold_s)))
    print(json.dumps([asdict(one) for one in told]))


if __name__ == "__main__":
    main()
