"""Batches that hold no personal data: masked when they are sent, restored when they are collected.

What the placeholders stood for is found anew from the calls, which whoever sends a batch keeps. A
call that is masked goes by its id and a hash of what was sent. So where the settings have changed
in between, and placeholders may stand for something else, it has no result; a wrong value is
never put in.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from generation.privacy.masking import MaskedCall, Masking
from generation.providers.batch import BatchAnswer, BatchEndpoint, BatchProgress, BatchResult
from rag.calls import ModelCall
from rag.ports import Meter, Pricing


class MaskedBatches:
    """A BatchEndpoint that sends to `endpoint` only what may leave."""

    def __init__(self, endpoint: BatchEndpoint, masking: Masking) -> None:
        self._endpoint = endpoint
        self._masking = masking

    @property
    def provider(self) -> str:
        """That of the endpoint inside."""
        return self._endpoint.provider

    @property
    def model(self) -> str:
        """That of the endpoint inside."""
        return self._endpoint.model

    async def submit(self, calls: Mapping[str, ModelCall]) -> str:
        """See `BatchEndpoint`. Raises ProviderRefusedError where one of them may not leave."""
        masked = await asyncio.to_thread(_each, self._masking.mask, calls)
        return await self._endpoint.submit(
            {_sent_as(n, one): one.call for n, one in masked.items()}
        )

    async def progress(self, batch_id: str) -> BatchProgress:
        """See `BatchEndpoint`."""
        return await self._endpoint.progress(batch_id)

    async def results(
        self, batch_id: str, calls: Mapping[str, ModelCall]
    ) -> dict[str, BatchResult]:
        """See `BatchEndpoint`."""
        masked = await asyncio.to_thread(_each, self._masking.masked, calls)
        sent = {_sent_as(name, one): one.call for name, one in masked.items()}
        results = await self._endpoint.results(batch_id, sent)
        return {name: _restored(results[_sent_as(name, one)], one) for name, one in masked.items()}


class MaskedPricing:
    """The Pricing of calls as they are sent."""

    def __init__(self, pricing: Pricing, masking: Masking) -> None:
        self._pricing = pricing
        self._masking = masking

    def at_most_usd(self, call: ModelCall) -> Decimal | None:
        """See `Pricing`."""
        return self._pricing.at_most_usd(self._masking.masked(call).call)

    def begin(self) -> Meter:
        """See `Pricing`."""
        return self._pricing.begin()


def _each(
    mask: Callable[[ModelCall], MaskedCall], calls: Mapping[str, ModelCall]
) -> dict[str, MaskedCall]:
    return {name: mask(call) for name, call in calls.items()}


def _sent_as(name: str, masked: MaskedCall) -> str:
    if not masked.values.by_placeholder:
        return name
    prompt = masked.call.prompt
    return f"{name}-{hashlib.sha256(f'{prompt.system}{prompt.user}'.encode()).hexdigest()[:12]}"


def _restored(result: BatchResult, masked: MaskedCall) -> BatchResult:
    if not isinstance(result, BatchAnswer):
        return result
    return replace(result, text=masked.values.restored(result.text))
