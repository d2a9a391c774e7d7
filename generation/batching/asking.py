"""The calls of a batch and their money: reserved one by one, sent together, settled one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

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

_TIER: Tier = "premium"
_BELOW: Tier = "extractive"


class BatchAsking:
    """Calls to one model's batch endpoint, paid from `ledger` at its prices of batches."""

    def __init__(
        self, endpoint: BatchEndpoint, pricing: Pricing, ledger: SqlLedger, max_output_tokens: int
    ) -> None:
        self.endpoint = endpoint
        self._pricing = pricing
        self._ledger = ledger
        self._max_output_tokens = max_output_tokens

    def calls(self, waiting: Iterable[Waiting]) -> dict[str, ModelCall]:
        """What is put to the model, by answer: the same as at any other time."""
        return {
            one.question.answer_id: call_for(
                replace(one.question, escalated_from=_BELOW),
                one.context,
                _TIER,
                self._max_output_tokens,
            )
            for one in waiting
        }

    def writer(self, result: BatchResult | BudgetError, cost: CostLine | None) -> WrittenGenerator:
        """A Generator of the answer that came back, checked as any other."""
        model = CollectedModel(self.endpoint.provider, self.endpoint.model, result, cost)
        return WrittenGenerator(model, _TIER, self._max_output_tokens)

    async def reserve(
        self, waiting: Sequence[Waiting], max_usd: Decimal | None
    ) -> tuple[list[Waiting], Decimal]:
        """Reserve the most that each call may cost, in order, while that fits before the walls.

        Gives the entries, those that did not fit with the reason, and what was reserved in all.
        `max_usd` is the wall of the whole batch. Raises StateError.
        """
        made: list[Waiting] = []
        total = Decimal(0)
        for one, call in zip(waiting, self.calls(waiting).values(), strict=True):
            at_most = self._pricing.at_most_usd(call)
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
                made.append(replace(one, refused=str(error)))
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


def _check_batch(total: Decimal, at_most: Decimal | None, max_usd: Decimal | None) -> None:
    if at_most is None or max_usd is None or total + at_most <= max_usd:
        return
    raise BudgetError(
        f"the limit of this batch is {shown(to_pico_limit(max_usd))}: "
        f"{shown(to_pico_at_most(total))} is reserved by its calls before, and this call may take "
        f"{shown(to_pico_at_most(at_most))}: raise max_cost_usd"
    )
