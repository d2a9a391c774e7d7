"""A model elsewhere that never sees personal data: masked on the way there, restored on the way
back, while it is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from generation.privacy.masking import Masking
from generation.privacy.placeholders import Restoring
from rag.calls import CallEnd, ModelCall, ModelEvent, TextDelta
from rag.ports import LanguageModel


class MaskedModel:
    """A LanguageModel that gives `model` only what may leave.

    It belongs around whatever reserves money and fails over, so that these see what is sent.
    """

    def __init__(self, model: LanguageModel, masking: Masking) -> None:
        self._model = model
        self._masking = masking

    @property
    def provider(self) -> str:
        """That of the model inside."""
        return self._model.provider

    @property
    def model(self) -> str:
        """That of the model inside."""
        return self._model.model

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """As the model inside, its text restored; the log-probabilities are those of its tokens.

        Raises ProviderRefusedError, besides, for a collection of which nothing leaves.
        """
        masked = await asyncio.to_thread(self._masking.mask, call)
        restoring = Restoring(masked.values)
        async with aclosing(self._model.stream(masked.call)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield replace(event, text=restoring.add(event.text))
                    continue
                if isinstance(event, CallEnd) and (rest := restoring.end()):
                    yield TextDelta(rest)
                yield event
