"""Bounds every call of a model: a permit, a deadline, retries, and a circuit breaker.

A call waits its turn for a permit, and keeps it until its stream is closed; its question stands
aside meanwhile. The deadline is for all of it, waits and retries included. A call that failed
before it wrote anything is made again where that may help, after a random pause of up to twice as
long each time ("full jitter": M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog,
2015), on top of what the server asked for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count

from generation.providers.breaker import CircuitBreaker
from rag.aside import standing_aside
from rag.calls import ModelCall, ModelEvent
from rag.errors import ProviderError, ProviderUnavailableError
from rag.ports import LanguageModel
from rag.types import CostLine


@dataclass(frozen=True, slots=True)
class CallLimits:
    """`max_attempts` includes the first. The pause before attempt n + 1 is random, up to
    `first_pause_s * 2 ** (n - 1)` and at most `longest_pause_s`.
    """

    max_concurrent: int = 8
    timeout_s: float = 60.0
    max_attempts: int = 3
    first_pause_s: float = 0.5
    longest_pause_s: float = 8.0


class BoundedModel:
    """A LanguageModel that calls `model` within `limits`.

    Besides the errors of `model`, raises ProviderUnavailableError when the deadline passes and,
    at once, while the breaker is open. `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        model: LanguageModel,
        limits: CallLimits,
        breaker: CircuitBreaker,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._model = model
        self._limits = limits
        self._breaker = breaker
        self._chance = chance
        self._permits = asyncio.Semaphore(limits.max_concurrent)

    @property
    def provider(self) -> str:
        """That of the model inside."""
        return self._model.provider

    @property
    def model(self) -> str:
        """That of the model inside."""
        return self._model.model

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """As the model inside, with a CostLine for each attempt."""
        self._breaker.check()
        deadline = _now() + self._limits.timeout_s
        with standing_aside():
            await self._permit(deadline)
            try:
                async with aclosing(self._attempts(call, deadline)) as events:
                    async for event in events:
                        yield event
            finally:
                self._permits.release()

    async def _permit(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._permits.acquire()
        except TimeoutError:
            permits = self._limits.max_concurrent
            raise self._late(f"other calls held all {permits} permits: allow more calls") from None

    async def _attempts(self, call: ModelCall, deadline: float) -> AsyncGenerator[ModelEvent, None]:
        for attempt in count(1):
            has_written = False
            try:
                with self._breaker.watch():
                    async with aclosing(self._attempt(call, deadline)) as events:
                        async for event in events:
                            has_written |= not isinstance(event, CostLine)
                            yield event
                return
            except ProviderError as error:
                pause_s = self._pause_s(attempt, error)
                if (
                    has_written
                    or not error.retryable
                    or attempt >= self._limits.max_attempts
                    or _now() + pause_s >= deadline
                    or self._breaker.state != "closed"
                ):
                    raise
            await asyncio.sleep(pause_s)

    async def _attempt(self, call: ModelCall, deadline: float) -> AsyncGenerator[ModelEvent, None]:
        """One attempt, cut at the deadline; what was cut cannot tell its cost, so it is unknown.

        The clock runs only while the model is waited for: a timeout around a `yield` would cancel
        the caller instead.
        """
        began = _now()
        is_billed = False
        async with aclosing(self._model.stream(call)) as events:
            try:
                while (event := await _next(events, deadline)) is not None:
                    is_billed |= isinstance(event, CostLine)
                    yield event
                return
            except TimeoutError:
                pass
        if not is_billed:
            yield CostLine(call.stage, self.model, None, (_now() - began) * 1000)
        raise self._late("the answer was not complete: ask for less, or allow more time")

    def _pause_s(self, attempt: int, error: ProviderError) -> float:
        longest_s = min(
            self._limits.longest_pause_s, self._limits.first_pause_s * 2.0 ** (attempt - 1)
        )
        return (error.retry_after_s or 0.0) + self._chance() * longest_s

    def _late(self, what: str) -> ProviderUnavailableError:
        return ProviderUnavailableError(
            f"{self.model} at {self.provider} took longer than {self._limits.timeout_s:g} s: {what}"
        )


async def _next(events: AsyncGenerator[ModelEvent, None], deadline: float) -> ModelEvent | None:
    """The next event, None at the end. Raises TimeoutError."""
    async with asyncio.timeout_at(deadline):
        return await anext(events, None)


def _now() -> float:
    return asyncio.get_running_loop().time()
