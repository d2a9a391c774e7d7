"""Meters a model: no call without a reservation, none that ends without a line in the ledger.

How a call ended, and what it counts as:

    done, refused   at the price of its usage; as unknown where the provider reported none, or more
                    than there can be
    failed          nothing, where the provider did not take it: a wrong key, too many calls, no
                    connection; otherwise as unknown
    cut off         the stream broke after a part of the answer: as unknown
    cancelled       the caller left, or its deadline passed: as unknown
    lost            the process died, or did not settle in time: as unknown

What is unknown counts, before a wall, as the most that it can be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from decimal import Decimal

from generation.money.amounts import to_pico, to_usd
from generation.money.energy import watt_hours
from generation.money.ledger import SqlLedger
from rag.calls import CallEnd, LedgerLine, ModelCall, ModelEvent, Outcome, TextDelta
from rag.errors import (
    ProviderBusyError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
)
from rag.ports import LanguageModel, Meter, Pricing
from rag.types import CostLine


@dataclass(frozen=True, slots=True)
class MeterLimits:
    """`timeout_s` is the most that a call can take; a reservation is held for `grace_s` longer.
    `max_wait_s`, for other calls to give back what they reserved, is to be shorter than the
    deadline of whoever waits.
    """

    timeout_s: float = 60.0
    max_wait_s: float = 30.0
    grace_s: float = 60.0


class MeteredModel:
    """A LanguageModel that reserves the worst case, and records what each call came to.

    Besides the errors of `model`, raises BudgetError before anything is sent, and StateError.
    `gpu_watts` is what one's own GPU draws.
    """

    def __init__(
        self,
        model: LanguageModel,
        pricing: Pricing,
        ledger: SqlLedger,
        limits: MeterLimits,
        gpu_watts: float | None = None,
    ) -> None:
        self._model = model
        self._pricing = pricing
        self._ledger = ledger
        self._limits = limits
        self._gpu_watts = gpu_watts

    @property
    def provider(self) -> str:
        """That of the model inside."""
        return self._model.provider

    @property
    def model(self) -> str:
        """That of the model inside."""
        return self._model.model

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """As the model inside, with what it cost before its end or its error.

        The line is in the ledger when the stream is over.
        """
        if_lost = await self._ledger.reserve(
            call,
            self._pricing.at_most_usd(call),
            provider=self.provider,
            model=self.model,
            hold_s=self._limits.timeout_s + self._limits.grace_s,
            max_wait_s=self._limits.max_wait_s,
        )
        running = RunningCall(if_lost, self._pricing.begin(), self._gpu_watts, time.perf_counter())
        end: CallEnd | None = None
        has_written = False
        try:
            async with aclosing(self._model.stream(call)) as events:
                async for event in events:
                    if isinstance(event, CallEnd):
                        end = event
                        continue
                    has_written |= isinstance(event, TextDelta)
                    yield event
            if end is None:
                raise ProviderReplyError(
                    f"{self.model} at {self.provider} stopped without saying why: ask again"
                )
        except Exception as error:
            line = running.fail(error, self.model, has_written)
            await self._ledger.settle(line)
            yield _cost(line)
            raise
        except BaseException:  # the caller left
            await self._ledger.settle(running.end("cancelled", self.model))
            raise
        outcome: Outcome = "refused" if end.finish == "refused" else "done"
        line = running.end(outcome, self.model, end)
        settling = asyncio.create_task(self._ledger.settle(line))
        try:  # who is told of the end can begin with the answer while the ledger is written
            yield _cost(line)
            yield end
        finally:
            await settling


@dataclass(frozen=True, slots=True)
class RunningCall:
    """A call that has not ended, of which `if_lost` is what stands for its reservation."""

    if_lost: LedgerLine
    meter: Meter
    gpu_watts: float | None
    began: float

    def end(self, outcome: Outcome, model: str, told: CallEnd | None = None) -> LedgerLine:
        """The line of a call that ended so."""
        usage = None if told is None else told.usage
        charge = self.meter.end(usage)
        usd, at_most = charge.usd, self.if_lost.at_most_usd
        if usd is not None and at_most is not None and usd > at_most:
            usd = None  # more was reported than there can be: a mistake of who reported it
        return replace(
            self.if_lost,
            model=model,
            usage=usage,
            reported="" if told is None else told.reported,
            price=charge.price,
            # As the ledger rounds it, so that the bill and the ledger agree.
            usd=None if usd is None else to_usd(to_pico(usd)),
            watt_hours=watt_hours(usage, charge.gpu_seconds, self.gpu_watts),
            ms=(time.perf_counter() - self.began) * 1000,
            outcome=outcome,
        )

    def fail(self, error: Exception, model: str, has_written: bool) -> LedgerLine:
        """The line of a call that ended with an error."""
        line = self.end("cut off" if has_written else "failed", model)
        return line if has_written or was_taken(error) else replace(line, usd=Decimal(0))


def was_taken(error: Exception) -> bool:
    """Whether the server may have worked on the call, and bill it."""
    if isinstance(error, ProviderUnavailableError):
        return error.was_taken
    return not isinstance(error, ProviderRefusedError | ProviderBusyError)


def _cost(line: LedgerLine) -> CostLine:
    at_most = line.at_most_usd if line.usd is None else None
    return CostLine(line.stage, line.model, line.usd, line.ms, at_most)
