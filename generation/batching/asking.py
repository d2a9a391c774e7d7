"""The calls of a batch and their money: reserved one by one, sent together, settled one by one."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from generation.batching.choosing import ASKED, gain_per_usd
from generation.batching.collected import CollectedModel
from generation.batching.entries import Waiting
from generation.money.amounts import shown, to_pico_at_most, to_pico_limit
from generation.money.ledger import SqlLedger
from generation.money.metered import RunningCall
from generation.providers.batch import BatchAnswer, BatchEndpoint, BatchResult
from generation.tiers.written import WrittenGenerator, call_for
from rag.calls import LedgerLine, ModelCall, Outcome
from rag.errors import BudgetError
from rag.ports import Pricing
from rag.types import CostLine, Tier

HOLD_S = 8 * 24 * 3600.0
"""How long a reservation is held: endpoints answer, or give up, within 24 hours, and who collects
may have a long weekend."""

_BELOW: Tier = "extractive"


class BatchAsking:
    """Calls to one model's batch endpoint, paid from `ledger` at its prices of batches."""

    def __init__(
        self,
        endpoint: BatchEndpoint,
        pricing: Pricing,
        ledger: SqlLedger,
        max_output_tokens: int,
        instructions: str = "",
    ) -> None:
        self.endpoint = endpoint
        self._pricing = pricing
        self._ledger = ledger
        self._max_output_tokens = max_output_tokens
        self._instructions = instructions

    def calls(self, waiting: Iterable[Waiting]) -> dict[str, ModelCall]:
        """What is put to the model, by answer: the same as at any other time."""
        return {
            one.question.answer_id: call_for(
                replace(one.question, escalated_from=_BELOW),
                one.context,
                ASKED,
                self._max_output_tokens,
                self._instructions,
            )
            for one in waiting
        }

    def writer(self, result: BatchResult | BudgetError, cost: CostLine | None) -> WrittenGenerator:
        """A Generator of the answer that came back, checked as any other."""
        model = CollectedModel(self.endpoint.provider, self.endpoint.model, result, cost)
        return WrittenGenerator(model, ASKED, self._max_output_tokens)

    async def reserve(
        self, waiting: Sequence[Waiting], max_usd: Decimal | None
    ) -> tuple[list[Waiting], Decimal]:
        """Reserve the most that each call may cost, while that fits before the walls.

        Calls that gain most for a dollar go first: as each question has two ways, its quote and
        its call, that is what `allocate` buys. A dollar is one of what is reserved, since that is
        what fills the room before a wall. Gives the entries in that order, those that did not fit
        with the reason, and what was reserved in all. `max_usd` is the wall of the whole batch.
        Raises StateError.
        """
        calls = self.calls(waiting)
        limits = {name: self._pricing.at_most_usd(call) for name, call in calls.items()}

        def worth(one: Waiting) -> float:
            at_most = limits[one.answer_id]
            return -math.inf if at_most is None else gain_per_usd(one.gain, float(at_most))

        made: list[Waiting] = []
        total = Decimal(0)
        for one in sorted(waiting, key=worth, reverse=True):
            call, at_most = calls[one.answer_id], limits[one.answer_id]
            try:
                _check_batch(total, at_most, max_usd)
                await self._ledger.reserve(
                    call,
                    at_most,
                    provider=self.endpoint.provider,
                    model=self.endpoint.model,
                    hold_s=HOLD_S,
                    max_wait_s=0.0,  # what is in the way may be of this batch
                    is_batch=True,
                )
            except BudgetError as error:
                made.append(replace(one, refused=f"{error}; {_forgone(one)}"))
            else:
                made.append(one)
                total += at_most or 0
        return made, total

    async def settle(
        self, reserved: Mapping[str, LedgerLine], results: Mapping[str, BatchResult]
    ) -> None:
        """Write down what the calls came to whose reservations are held. Raises StateError."""
        lines = [self._line(line, results[answer_id]) for answer_id, line in reserved.items()]
        await asyncio.gather(*map(self._ledger.settle, lines))

    async def give_back(self, reserved: Iterable[LedgerLine]) -> None:
        """Settle calls that were never taken: they cost nothing. Raises StateError."""
        free = [replace(line, usd=Decimal(0), outcome="failed") for line in reserved]
        await asyncio.gather(*map(self._ledger.settle, free))

    async def lose(self, reserved: Iterable[LedgerLine]) -> None:
        """Settle calls of which nobody knows whether they were taken. Raises StateError."""
        await asyncio.gather(*map(self._ledger.settle, reserved))

    def _line(self, reserved: LedgerLine, result: BatchResult) -> LedgerLine:
        running = RunningCall(reserved, self._pricing.begin(), None, time.perf_counter())
        model = self.endpoint.model
        if isinstance(result, BatchAnswer):
            outcome: Outcome = "refused" if result.end.finish == "refused" else "done"
            line = running.end(outcome, model, result.end)
        else:
            line = running.fail(result, model, has_written=False)
        return replace(line, ms=0.0)  # a batch does not tell how long a call took


def _forgone(one: Waiting) -> str:
    """What is not gained, and why it was left out and not another."""
    return (
        f"the call was expected to gain {one.gain:.2f} of a right answer, and those that gain more "
        "for a dollar go first"
    )


def _check_batch(total: Decimal, at_most: Decimal | None, max_usd: Decimal | None) -> None:
    if at_most is None or max_usd is None or total + at_most <= max_usd:
        return
    raise BudgetError(
        f"the limit of this batch is {shown(to_pico_limit(max_usd))}: "
        f"{shown(to_pico_at_most(total))} is reserved by its calls before, and this call may take "
        f"{shown(to_pico_at_most(at_most))}: raise max_cost_usd"
    )
